"""Everything of rafty that does IO, on anyio: transports, the durable log, the node, the reference service."""
