"""WebSocket under any stream of bytes: what speaks over a connected stream then travels as WebSocket messages.

Law: *the library is that of the backend, and nobody who speaks over the stream can tell which one it was.*

On trio it is `trio-websocket`, on asyncio and uvloop `websockets`; both come with `pip install 'rafty[websocket]'` and
are imported when the first connection is made. The stream may be a socket, or TLS over one. Inside runs what runs
over TCP too, handshake and frames, unchanged: WebSocket is for the way there, through web servers and load balancers.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import anyio
from anyio.abc import ByteStream

from rafty_transports.websocket_http import PATH as PATH
from rafty_transports.websocket_http import SUBPROTOCOL as SUBPROTOCOL
from rafty_transports.websocket_http import WebSocketRefused as WebSocketRefused
from rafty_transports.websocket_http import read_request
from rafty_transports.websocket_stream import MESSAGE_LIMIT as MESSAGE_LIMIT
from rafty_transports.websocket_stream import WebSocketStream as WebSocketStream
from rafty_transports.websocket_stream import on_trio


class _Backend(Protocol):
    def dial(self, stream: ByteStream, host: str, path: str) -> AbstractAsyncContextManager[WebSocketStream]: ...

    def accept(
        self, stream: ByteStream, request: bytes, rest: bytes
    ) -> AbstractAsyncContextManager[WebSocketStream]: ...


def check_library() -> None:
    """Raise `ImportError`, with one sentence, if the library that WebSocket needs on this backend is not installed."""
    _backend()


def _backend() -> _Backend:
    library = "trio-websocket" if on_trio() else "websockets"
    try:
        if on_trio():
            from rafty_transports import websocket_trio

            return websocket_trio
        from rafty_transports import websocket_asyncio

        return websocket_asyncio
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rafty"):
            raise
        text = f"WebSocket needs {library} here, which is not installed; run `pip install 'rafty[websocket]'`"
        raise ImportError(text, name=error.name) from error


def check_host(host: str, path: str) -> None:
    """Raise `ValueError` for a host or a path that cannot stand in a request."""
    labels = host.split(".")
    if not _plain(host + path) or not path.startswith("/") or not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"{host!r:.80} with the path {path!r:.80} cannot be asked for over HTTP")


@asynccontextmanager
async def dial_websocket(stream: ByteStream, host: str, path: str = PATH) -> AsyncIterator[WebSocketStream]:
    """Speak WebSocket, as a client, over a stream that this side has connected.

    `host` is "host" or "host:port" as the other side is named, `path` what is asked for there. Yields a stream that
    closes at the end of the block: with 1000, with 1001 if the block raised, or with what `closing` was told; the
    stream beneath is closed in every case. Cancellation ends both at once.

    Raises `HandshakeFailed` if the other side refuses (the sentence names status and reason), does not speak WebSocket
    and the subprotocol of rafty, or ends the connection; `ImportError` if a library is missing; `ValueError` for a
    host or a path that cannot stand in a request. There is no time limit: the caller sets one.
    """
    async with _closed_on_error(stream):
        check_host(host, path)
        backend = _backend()
    async with backend.dial(stream, host, path) as web:
        yield web


@asynccontextmanager
async def accept_websocket(
    stream: ByteStream, *, path: str = PATH, origins: Collection[str] = ()
) -> AsyncIterator[WebSocketStream]:
    """Speak WebSocket, as a server, over a stream that somebody else has connected.

    `path` is the only one that is answered. Browsers say from which page they come, nodes do not: a page is let in
    only if its origin ("https://host:port") is among `origins`. Yields, and closes, as `dial_websocket` does.

    Raises `WebSocketRefused`, once the other side was told, for a request that is refused: with 404 for another path,
    403 for a foreign page, 426 if it is no WebSocket request, 431 if it is longer than 8 KiB, 400 for the rest;
    `HandshakeFailed` if the connection ends; `ImportError` if a library is missing. There is no time limit: the caller
    sets one.
    """
    async with _closed_on_error(stream):
        backend = _backend()
        request, rest = await read_request(stream, path, origins)
    async with backend.accept(stream, request, rest) as web:
        yield web


@asynccontextmanager
async def _closed_on_error(stream: ByteStream) -> AsyncIterator[None]:
    try:
        yield
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


def _plain(text: str) -> bool:
    """Whether this can stand in the first lines of a request."""
    return text.isascii() and text.isprintable() and not set(text) & set(" ?#")
