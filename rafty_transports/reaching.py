"""Connecting to a peer by its name, in a time that is worth waiting.

Law: *whoever does not answer at once is asked again soon, on a new connection, not on the old one later.*

A first packet that is lost is repeated by the operating system after a second, then after two, four, eight: a peer
that is back after a partition would not be reached for as long as it was away. An attempt of a second, and another
one soon after, finds it in the time of an election or two. Resolving a name has a limit of its own: it may take long
for reasons that have nothing to do with the peer.
"""

import ipaddress
import socket

import anyio
from anyio.abc import SocketStream

from rafty_transports.threads import OneEach


async def reach(host: str, port: int, resolver: OneEach, *, resolving: float, connecting: float) -> SocketStream:
    """Connect to one of the addresses that this name has now, tried in turn.

    resolver    its threads ask for names, one for each name at most; a number is no name, and needs none (R205)

    resolving   seconds to find the addresses
    connecting  seconds for one attempt at one address

    Raises `OSError` (or `UnicodeError`, for a name that is none) if no address is found or none answers in time.
    """
    with anyio.fail_after(resolving):
        addresses = [host] if _is_number(host) else await resolver.run(host, _addresses_of, host)
    failure = OSError("the name has no address")
    for address in addresses:
        try:
            with anyio.fail_after(connecting):
                return await anyio.connect_tcp(address, port)
        except OSError as error:
            failure = error
    raise failure


def _is_number(host: str) -> bool:
    """Whether nothing of it is looked up. A zone is a name, and may be one that raises when it is (R220)."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _addresses_of(name: str) -> list[str]:
    """Blocks for as long as those who know names take, half a minute if they do not answer."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
