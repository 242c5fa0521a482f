"""TLS over any byte stream, without a socket of its own.

Law: *what failed is told to the other side before the stream is given up, and what was half sent is never continued.*

`ssl` turns plain text into records and back in memory; here those are carried. Records are numbered by their keys, so
one that was lost on its way (a send that was cancelled) ends all sending. `TLSStream` of anyio does not serve: when a
handshake fails, it keeps the alert to itself, and the other side never learns why; it hands out one record of 16 KiB at
a time. Here receiving never sends: what TLS itself has to answer (a new key) goes out with the next send.
"""

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import anyio
from anyio.abc import ByteStream
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled
from anyio.streams.tls import TLSAttribute

from rafty_transports.handshake import ENDED
from rafty_transports.tls_words import is_tls, readable

FIRST_BYTES: Final = 8
"""How much is kept of what the other side said first, for those who judge why a handshake failed."""

FAREWELL_SECONDS: Final = 0.5
"""The limit on saying why a stream ends, and on waiting for the other side to have read it."""

_WIRE_BYTES = 256 * 1024
_SLICE_BYTES = 128 * 1024
_RECORD_BYTES = 16 * 1024


class TlsStream(ByteStream):
    """Speaks TLS over `stream`, with the certificates of `context`, from the side that dialed or the other.

    One task may receive while another one sends. `handshake` is first. A stream whose other side ended without saying
    so in TLS ends as if it had: whoever needs to tell apart puts lengths into what is sent, as frames of rafty have.
    """

    def __init__(self, stream: ByteStream, context: ssl.SSLContext, *, server_side: bool) -> None:
        self.first = b""
        """The first bytes that came in."""
        self.below = stream
        """What carries the records."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self._sending = anyio.Lock(fast_acquire=True)
        self._unsendable = False
        self._ended = False
        self._left = False
        self._failure: ssl.SSLError | None = None

    @property
    def certificate(self) -> dict[str, Any]:
        """The verified certificate of the other side, as `SSLObject.getpeercert` tells it; empty if there is none."""
        return readable(self._tls)

    async def handshake(self) -> None:
        """Agree on keys. Raises `ssl.SSLError`, once the other side can know why, or what the stream below raises.

        The side that dialed does not know here yet whether its own certificate was accepted.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self.below.receive(_WIRE_BYTES)
                self.first = self.first or data[:FIRST_BYTES]
                self._incoming.write(data)
            except ssl.SSLError as error:
                self._failure = error
                if is_tls(
                    self.first
                ):  # who speaks plain text would take an alert for garbage, and answers are in plain text
                    await self._tell_why()
                raise
            else:
                await self._flush()
                return

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """What has come in, at least one byte and at most `max_bytes`. Raises as other streams do.

        A `BrokenResourceError` has the `ssl.SSLError` as its cause, if there is one.
        """
        if max_bytes < 1:
            raise ValueError("max_bytes must be at least 1")
        await checkpoint_if_cancelled()
        waited = False
        while not (data := self._decrypt(max_bytes)):
            if self._failure is not None:
                await self._tell_why()
                raise anyio.BrokenResourceError from self._failure
            if self._ended:
                raise anyio.EndOfStream
            records = await self.below.receive(_WIRE_BYTES)
            waited = True
            if not self._left:
                self._incoming.write(records)
        if not waited:
            await cancel_shielded_checkpoint()
        return data

    def _decrypt(self, limit: int) -> bytes:
        """What has come in whole; why there is no more stands in `_ended` and `_failure`, if it is for ever."""
        pieces: list[bytes] = []
        if self._failure is not None or self._ended or self._left:
            return b""
        try:
            while limit > 0:
                piece = self._tls.read(min(limit, _RECORD_BYTES))
                if not piece:
                    self._ended = True
                    break
                pieces.append(piece)
                limit -= len(piece)
                if not self._incoming.pending and not self._tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            self._failure = error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def send(self, item: bytes) -> None:
        """Send all of this. A send that is cancelled leaves a stream on which nothing can be sent any more."""
        if not item:
            await checkpoint()
        async with self._sending:
            view = memoryview(item)
            while view:
                if self._unsendable:
                    raise anyio.BrokenResourceError
                try:
                    written = self._tls.write(view[:_SLICE_BYTES])
                except ssl.SSLError as error:
                    self._unsendable = True
                    raise anyio.BrokenResourceError from error
                view = view[written:]
                await self._flush()

    async def _flush(self) -> None:
        records = self._outgoing.read()
        if records:
            try:
                await self.below.send(records)
            except BaseException:
                self._unsendable = True
                raise

    async def send_eof(self) -> None:
        """Say that nothing more will be sent. What still comes in is dropped: a receive only waits for its end."""
        await self._leave()
        await self.below.send_eof()

    async def aclose(self) -> None:
        """Say in TLS that this is the end, within half a second, and close the stream below."""
        try:
            await self._leave()
        except BaseException:
            await anyio.aclose_forcefully(self.below)
            raise
        await self.below.aclose()

    async def _leave(self) -> None:
        if self._left or self._unsendable or self._failure is not None:
            return
        self._left = True
        with suppress(ssl.SSLError):  # as a rule one that says that the other side has not ended yet
            self._tls.unwrap()
        await self._tell_why()
        self._unsendable = True

    async def linger(self) -> None:
        """Wait a moment for the other side to hang up: a reset would destroy on its way what was said last."""
        with anyio.move_on_after(FAREWELL_SECONDS), suppress(*ENDED):
            for _ in range(64):
                await self.below.receive(_RECORD_BYTES)

    async def _tell_why(self) -> None:
        """Send the alert or the farewell that TLS has written, unless the other side does not take it now."""
        with anyio.move_on_after(FAREWELL_SECONDS), suppress(*ENDED):
            async with self._sending:
                if not self._unsendable:
                    await self._flush()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the stream below, and of TLS: certificate of the other side, version, cipher."""
        return {
            **self.below.extra_attributes,
            TLSAttribute.peer_certificate: lambda: self._tls.getpeercert(),
            TLSAttribute.tls_version: self._tls.version,
            TLSAttribute.cipher: self._tls.cipher,
        }
