"""Stores: where a node keeps what it promised."""
