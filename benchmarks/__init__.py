"""The benchmarks of rafty."""
