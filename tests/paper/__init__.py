"""paper of rafty."""
