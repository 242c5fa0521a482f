"""mutants of rafty."""
