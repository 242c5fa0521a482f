"""Messages between nodes over TCP, with TLS where there are credentials.

Law: *an address that does not say what is spoken there means TCP here.*
"""

from rafty_transports.addresses import split_address as split_address
from rafty_transports.network import NetworkTransport
from rafty_transports.network import TransportError as TransportError


class TcpTransport(NetworkTransport):
    """A `NetworkTransport` for which "host:port" is TCP: `tls://` if it has credentials, `tcp://` if it has none."""

    schemes = ("tcp", "tls")
