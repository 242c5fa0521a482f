"""Connecting to a peer by its name, in a time that is worth waiting.

Law: *whoever does not answer at once is asked again soon, on a new connection, not on the old one later.*

A first packet that is lost is repeated by the operating system after a second, then after two, four, eight: a peer
that is back after a partition would not be reached for as long as it was away. An attempt of a second, and another
one soon after, finds it in the time of an election or two. Resolving a name has a limit of its own: it may take long
for reasons that have nothing to do with the peer.
"""

import socket

import anyio
from anyio.abc import SocketStream


async def reach(host: str, port: int, *, resolving: float, connecting: float) -> SocketStream:
    """Connect to one of the addresses that this name has now, tried in turn.

    resolving   seconds to find the addresses
    connecting  seconds for one attempt at one address

    Raises `OSError` (or `UnicodeError`, for a name that is none) if no address is found or none answers in time.
    """
    with anyio.fail_after(resolving):
        resolved = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure = OSError("the name has no address")
    for address in dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in resolved):
        try:
            with anyio.fail_after(connecting):
                return await anyio.connect_tcp(address, port)
        except OSError as error:
            failure = error
    raise failure
