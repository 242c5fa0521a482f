"""From an address to a stream of bytes: a socket, with TLS on it or not, with WebSocket on that or not.

Law: *a node with credentials says nothing in plain text, and a node without has nothing that it could encrypt with.*

What speaks over the stream, the handshake and the frames, knows nothing of what is below it.
"""

import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketStream

from rafty_transports.addresses import Address, check_encryption
from rafty_transports.handshake import HandshakeFailed
from rafty_transports.interfaces import Refused
from rafty_transports.links import Limits
from rafty_transports.packing import DecodeError
from rafty_transports.reaching import reach
from rafty_transports.security import Credentials, secure_accepted, secure_dialed
from rafty_transports.threads import OneEach
from rafty_transports.websocket import accept_websocket, check_host, check_library, dial_websocket

Names = frozenset[str]

MOST_NAMES: Final = 64
"""For so many names of guests at the same time an address is looked for: each says by which it is reached."""


class CannotReach(OSError):
    """Nobody can be reached at this address; the text is one sentence that says why."""


class Wires:
    """Opens streams in the name of one node. `origins` are the web pages whose scripts may connect; none, as a rule."""

    def __init__(self, limits: Limits, credentials: Credentials | None, origins: Collection[str]) -> None:
        self._limits = limits
        self._credentials = credentials
        self._origins = frozenset(origins)
        self._names, self._names_of_guests = OneEach(), OneEach(MOST_NAMES)

    def check(self, address: Address) -> None:
        """Raise `ValueError` if this node cannot, or must not, speak what is spoken there."""
        check_encryption(address, self._credentials is not None)

    def secured(self, address: Address) -> Address:
        """Where to dial a member: by TLS once this node has a certificate, though its address is from plain times.

        Raises `ValueError` if this node cannot speak what is spoken there.
        """
        if self._credentials is not None and not address.encrypted:
            address = address._replace(scheme="wss" if address.web else "tls")
        self.check(address)
        return address

    @asynccontextmanager
    async def dialed(self, address: Address, peer: str, *, guest: bool = False) -> AsyncIterator[ByteStream]:
        """A stream to the node `peer` at this address. What guests are called holds up nobody else (R209).

        Raises `CannotReach` if nobody answers, `Refused` or `HandshakeFailed` if TLS or WebSocket does
        not come about. Reaching has its time limits; for the rest the caller has one.
        """
        socket = await self._reach(address, self._names_of_guests if guest else self._names)
        try:
            stream: ByteStream = socket
            if self._credentials is not None:
                stream = await secure_dialed(socket, self._credentials, peer)
            if address.web:
                check_websocket(address)
                async with dial_websocket(stream, address.socket, address.path) as web:
                    yield web
            else:
                yield stream
        finally:
            await anyio.aclose_forcefully(socket)

    @asynccontextmanager
    async def accepted(self, socket: SocketStream, at: Address) -> AsyncIterator[tuple[ByteStream, Names | None]]:
        """A stream to whoever connected with this socket to the address `at`, and the names that it proved.

        None instead of names: nothing was proved, for nobody asked. Raises as `dialed` does; closes the socket. Over
        WebSocket, the error that leaves the block is what the other side is told on closing.
        """
        names: Names | None = None
        try:
            stream: ByteStream = socket
            if self._credentials is not None:
                stream, names = await _secured(socket, self._credentials)
            if at.web:
                async with accept_websocket(stream, path=at.path, origins=self._origins) as web:
                    try:
                        yield web, names
                    except Refused as refusal:
                        web.closing(1008, str(refusal))
                        raise
                    except DecodeError as error:
                        web.closing(1002, str(error))
                        raise
            else:
                yield stream, names
        finally:
            await anyio.aclose_forcefully(socket)

    async def _reach(self, address: Address, names: OneEach) -> SocketStream:
        limits = self._limits
        try:
            return await reach(address.host, address.port, names, resolving=limits.handshake, connecting=limits.connect)
        except (OSError, UnicodeError) as error:
            raise CannotReach(f"cannot connect to {address.socket}: {_words(error)}") from error


async def _secured(socket: SocketStream, credentials: Credentials) -> tuple[ByteStream, Names]:
    """As `secure_accepted`, with words for counting what went wrong."""
    try:
        return await secure_accepted(socket, credentials)
    except Refused as refusal:
        if refusal.reason != "tls":
            refusal.reason = "certificate"
        raise
    except HandshakeFailed as failure:
        failure.reason = "tls"
        raise


def check_websocket(address: Address) -> None:
    """Raise `CannotReach` if nobody can be asked for WebSocket there: a peer may say what it likes of itself (R200)."""
    try:
        check_host(address.socket, address.path)
        check_library()
    except (ValueError, ImportError) as error:
        raise CannotReach(str(error)) from error


def _words(error: Exception) -> str:
    """What went wrong, in the words of the operating system where it has some."""
    cause = error.__cause__ or error
    number = getattr(cause, "errno", None)
    return os.strerror(number).lower() if number else str(cause) or "no answer"
