"""Messages between nodes over WebSocket, for networks in which web servers and load balancers stand between nodes.

Law: *an address that does not say what is spoken there means WebSocket here.*
"""

from rafty_transports.network import NetworkTransport


class WebSocketTransport(NetworkTransport):
    """A `NetworkTransport` for which "host:port" is WebSocket: `wss://` if it has credentials, `ws://` if it has none.

    Needs the extra `websocket`. What `TcpTransport` gains by it: ways through proxies that let only the web pass. What
    it loses: some speed; see `python -m benchmarks transports`.
    """

    schemes = ("ws", "wss")
