"""acceptance of rafty."""
