"""The tests of rafty."""
