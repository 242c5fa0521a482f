"""end_to_end of rafty."""
