"""The durable store of rafty on a simulated disk, for whole simulated clusters and for campaigns of its own."""
