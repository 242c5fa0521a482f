"""Where a node listens or is reached, as text and in its parts.

Law: *an address is understood as a whole or refused, and nothing of it ever becomes a path of a file.*

    host:port                   whatever the transport speaks by itself
    tcp://host:port             plain
    tls://host:port             TLS 1.3
    ws://host:port[/path]       WebSocket, plain
    wss://host:port[/path]      WebSocket over TLS 1.3

A host is a name, an IPv4 address, or an IPv6 address in brackets.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, NamedTuple

SCHEMES: Final = ("tcp", "tls", "ws", "wss")

WEBSOCKET_PATH: Final = "/rafty"
"""What is asked for at a WebSocket address that names no path."""

PATH_LIMIT: Final = 200
"""Limit in characters on the path of a WebSocket address."""

_IN_PATHS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


class Address(NamedTuple):
    """The parts of an address. `path` is "" unless it is a WebSocket's."""

    scheme: str
    host: str
    port: int
    path: str = ""

    @property
    def encrypted(self) -> bool:
        """Whether TLS is spoken here."""
        return self.scheme in ("tls", "wss")

    @property
    def web(self) -> bool:
        """Whether WebSocket is spoken here."""
        return self.scheme in ("ws", "wss")

    @property
    def socket(self) -> str:
        """Host and port as "host:port" or "[host]:port"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        path = "" if self.path == WEBSOCKET_PATH else self.path
        return f"{self.scheme}://{self.socket}{path}"


def parse_address(text: str, scheme: str = "tcp") -> Address:
    """The parts of `text`; `scheme` is meant where it names none. Raises `ValueError` with one sentence."""
    named, separator, rest = text.partition("://")
    if not separator:
        named, rest = scheme, text
    if named not in SCHEMES:
        raise ValueError(f"{text!r:.100} begins with none of {', '.join(f'{known}://' for known in SCHEMES)}")
    where, slash, path = rest.partition("/")
    if slash and named not in ("ws", "wss"):
        raise ValueError(f"{text!r:.100} names a path, and only WebSockets have one")
    if len(path) > PATH_LIMIT or not set(path) <= _IN_PATHS:
        raise ValueError(f"the path of {text!r:.100} has other characters than letters, digits and -._~/, or too many")
    host, port = split_address(where)
    if named not in ("ws", "wss"):
        return Address(named, host, port)
    return Address(named, host, port, f"/{path}" if path else WEBSOCKET_PATH)


def check_encryption(address: Address, certificate: bool) -> None:
    """Raise `ValueError` if a node with a certificate, or without one, must not speak what is spoken there."""
    if address.encrypted and not certificate:
        raise ValueError(f"{address} is encrypted, and this node has no certificate; give it one")
    if not address.encrypted and certificate:
        secure = "wss" if address.web else "tls"
        raise ValueError(f"{address} is plain text, and this node has a certificate; use {secure}://")


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[host]:port"; the host may be empty. Raises `ValueError` if it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"an address is host:port, not {address!r:.100}")
    return host.removeprefix("[").removesuffix("]"), int(port)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where somebody comes from: what counts as one address (of IPv6, a network of 64 bits), and if it is this host."""

    group: str
    loopback: bool

    @classmethod
    def of(cls, host: str) -> "Origin":
        """The origin of who has this numeric address. Raises `ValueError` for another text."""
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address):
            if address.ipv4_mapped is None:
                network = ipaddress.IPv6Network((int(address) >> 64 << 64, 64))
                return cls(str(address) if address.is_loopback else str(network), address.is_loopback)
            address = address.ipv4_mapped
        return cls(str(address), address.is_loopback)
