"""scenarios of rafty."""
