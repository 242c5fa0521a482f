"""transports of rafty."""
