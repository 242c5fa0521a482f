"""How a connection ends so that its last words arrive.

Law: *what was sent is delivered, and whoever is hung up on cannot keep us for longer than we want.*
"""

from contextlib import suppress
from typing import cast

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

LINGER_SECONDS = 0.25
_MOST = 1024 * 1024
_CHUNK = 64 * 1024


async def linger(stream: ByteStream) -> None:
    """End the replies and read on until the client ends too, or has sent a mebibyte more, or time is over.

    A socket closed with unread bytes makes the system discard what it has not delivered: the last reply.
    """
    with anyio.move_on_after(LINGER_SECONDS), suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        await _end(stream)
        total = 0
        while total < _MOST:
            total += len(await _below(stream).receive(_CHUNK))


async def say(stream: ByteStream, words: bytes) -> None:
    """Send these last words, if any, and `linger`."""
    with anyio.move_on_after(LINGER_SECONDS), suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
        if words:
            await stream.send(words)
        await linger(stream)


async def _end(stream: ByteStream) -> None:
    if isinstance(stream, TLSStream):
        # The end of TLS is said with words of its own, and the client may be in the middle of a sentence.
        with anyio.move_on_after(LINGER_SECONDS / 2), suppress(anyio.EndOfStream, anyio.BrokenResourceError, OSError):
            await stream.unwrap()
    await _below(stream).send_eof()


def _below(stream: ByteStream) -> SocketStream:
    return cast(SocketStream, stream.transport_stream if isinstance(stream, TLSStream) else stream)
