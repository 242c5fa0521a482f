"""Simulated clusters: many nodes with the real core, one thread, one seed, and all that can go wrong."""
