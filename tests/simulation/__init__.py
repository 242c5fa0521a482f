"""simulation of rafty."""
