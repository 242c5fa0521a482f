"""Everything of rafty that does IO, on anyio: transports, the durable log, the node, the reference service.

Begin with `interfaces`: the three seams, and what each promises and does not. Then, each docstring first:

    node, node_calls, calls, requests, session       the node: drives the core, and answers callers with the truth
    disk, machine, applying, telling, observers      its disk, its state machine, and those who watch it
    compaction, chunks, exchange, node_snapshots     snapshots: taken, and fetched from each other in pieces
    storage                                          the durable log: sqlite, its mark, snapshots in files
    codec, shapes, packing                           one message, one frame; what is not exactly right is no message
    memory                                           nodes of one process that talk through queues
    tcp, websocket_transport, network                nodes that talk over connections:
      addresses, wires, security, websocket            what is spoken below, from an address to a stream of bytes
      dialing, accepting, gate, handshake              how a connection comes about, and who is let in
      roster, peers, links, queues                     whom a node talks to, a connection in use, what waits
    credentials, tls_stream, tls_words, certs        certificates, TLS, and why it was refused
    kv, service, service_connection, conversation    the key-value service, for clients of Redis
      service_clients, passwords, refusals             what they may take, who they are, how often they were refused
    administration, picture, client                  asking a cluster, changing it, and showing it
    arguments, serve, commands, demo                 the command line: `rafty serve`, `rafty status`, ...
    testing                                          kits for transports, stores and machines of other people

Law: *does it wait or touch the outside? Then it is here; otherwise it is in `rafty_core`.*
"""
