"""core of rafty."""
