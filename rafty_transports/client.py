"""A small client of the key-value service, for the command line and the demonstration.

Law: *an error tells whether the request was sent: what was not sent was not applied, what was sent may have been.*

It speaks RESP2, pipelines, and does nothing by itself: no second try, no second connection.
"""

import os
import ssl
from collections.abc import Sequence
from typing import Self, TypeAlias

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from rafty_transports.access import OPEN, Access
from rafty_transports.addresses import split_address


class Unreachable(Exception):
    """No connection: nothing was sent. The text says why, without an end."""


class HungUp(Exception):
    """The connection ended after something was sent: what became of that is unknown."""


class ReplyError(Exception):
    """The service answered with an error; its first word is `code`."""

    @property
    def code(self) -> str:
        """The error's code, as "ERR" or "NOTLEADER"."""
        return str(self).partition(" ")[0]


Reply: TypeAlias = "bytes | int | ReplyError | list[Reply] | None"


_BULK = 0x24


class ReplyParser:
    """Makes replies out of received bytes, however they are cut. Raises `ValueError` for what is no RESP2."""

    def __init__(self) -> None:
        self._data = b""
        self._pieces: list[bytes] = []
        self._have = 0
        self._needed = 0

    def feed(self, data: bytes) -> list[Reply]:
        """Take this chunk; return the replies that are complete."""
        self._pieces.append(data)
        self._have += len(data)
        if self._have < self._needed:
            return []
        self._data = b"".join(self._pieces)
        replies: list[Reply] = []
        position = 0
        while (found := self._reply(position)) is not None:
            reply, position = found
            replies.append(reply)
        rest = self._data[position:]
        self._pieces, self._have, self._data = [rest], len(rest), b""
        self._needed = max(self._needed - position, 0)
        return replies

    def _reply(self, position: int) -> tuple[Reply, int] | None:
        self._needed = 0
        end = self._data.find(b"\r\n", position)
        if end < 0:
            return None
        kind, line, behind = self._data[position : position + 1], self._data[position + 1 : end], end + 2
        if kind == b"+":
            return line, behind
        if kind == b"-":
            return ReplyError(line.decode("utf-8", "replace")), behind
        if kind == b":":
            return int(line), behind
        if kind == b"$":
            return self._bulk(int(line), behind)
        if kind == b"*":
            return self._array(int(line), behind)
        raise ValueError(f"the other side does not speak RESP: {kind + line[:40]!r}")

    def _bulk(self, length: int, start: int) -> tuple[Reply, int] | None:
        if length < 0:
            return None, start
        end = start + length
        if len(self._data) < end + 2:
            self._needed = end + 2
            return None
        return self._data[start:end], end + 2

    def _array(self, count: int, position: int) -> tuple[Reply, int] | None:
        items: list[Reply] = []
        data = self._data
        while len(items) < count:
            end = data.find(b"\r\n", position)
            if end < 0:
                return None
            if data[position] == _BULK:  # what an answer of MGET consists of, without a call for each
                length = int(data[position + 1 : end])
                position = end + 2
                if length < 0:
                    items.append(None)
                    continue
                end = position + length
                if len(data) < end + 2:
                    self._needed = end + 2
                    return None
                items.append(data[position:end])
                position = end + 2
            else:
                found = self._reply(position)
                if found is None:
                    return None
                item, position = found
                items.append(item)
        return items, position


def encode_request(arguments: Sequence[bytes]) -> bytes:
    """A request as RESP has it: an array of bulk strings."""
    bulks = [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in arguments]
    return b"*%d\r\n%b" % (len(bulks), b"".join(bulks))


class Client:
    """A connection to one node's service. Make one with `connect`; use it as an async context manager, or close it."""

    def __init__(self, stream: ByteStream, address: str) -> None:
        self.address = address
        self._stream = stream
        self._parser = ReplyParser()

    @classmethod
    async def connect(cls, address: str, *, access: Access = OPEN, timeout: float = 2.0) -> Self:
        """Connect to "host:port" within `timeout` seconds, and as long again for the answer to the password.

        Raises `Unreachable`, or `ReplyError` for what the node answers to `access`.
        """
        try:
            with anyio.fail_after(timeout):
                stream = await _reach(address, access.tls)
        except TimeoutError:
            raise Unreachable(f"{address} did not answer within {timeout:.1f} s") from None
        except OSError as error:
            raise Unreachable(f"{address} cannot be reached: {_reason(error)}") from None
        client = cls(stream, address)
        if access.request:
            try:
                with anyio.fail_after(timeout):
                    reply = (await client.ask(access.request))[0]
                if isinstance(reply, ReplyError) and (access.password is not None or reply.code != "NOAUTH"):
                    raise reply
            except (HungUp, TimeoutError) as error:
                await client.aclose()
                raise Unreachable(f"{address} {_why_silent(access, error)}") from error
            except BaseException:
                await client.aclose()
                raise
        return client

    async def ask(self, *requests: Sequence[bytes]) -> list[Reply]:
        """Send these requests at once; return one reply for each.

        An error reply is returned as a `ReplyError`. Raises `HungUp` if the connection ended before all replies came.
        After that, and when the call was cancelled, the client can only be closed.
        """
        return await self.ask_encoded(b"".join(map(encode_request, requests)), len(requests))

    async def ask_encoded(self, data: bytes, count: int) -> list[Reply]:
        """As `ask`, for `count` requests that are encoded already."""
        replies: list[Reply] = []
        try:
            await self._stream.send(data)
            while len(replies) < count:
                replies += self._parser.feed(await self._stream.receive(256 * 1024))
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, ssl.SSLError):
            raise HungUp(f"{self.address} hung up") from None
        except ValueError as error:
            raise HungUp(f"{self.address}: {error}") from None
        return replies

    async def aclose(self) -> None:
        """Close the connection, without waiting for anything."""
        await anyio.aclose_forcefully(self._stream)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def ask_info(address: str, *, access: Access = OPEN, timeout: float = 2.0) -> dict[str, str]:
    """What a node tells of itself in INFO, as names and texts; cheap, however large its store is.

    Raises `Unreachable`, `ReplyError`, or `HungUp`; `TimeoutError` if it connects and does not answer.
    """
    return await ask_pairs(address, [b"INFO"], access, timeout)


async def ask_status(address: str, *, access: Access = OPEN, timeout: float = 10.0) -> dict[str, str]:
    """RAFTY STATUS as names and texts, with the digest of the store. Raises as `ask_info` does."""
    return await ask_pairs(address, [b"RAFTY", b"STATUS"], access, timeout)


async def ask_pairs(address: str, request: list[bytes], access: Access, timeout: float) -> dict[str, str]:
    """The lines "name:value" that this request is answered with. Raises as `ask_info` does."""
    with anyio.fail_after(timeout):
        async with await Client.connect(address, access=access, timeout=timeout) as client:
            reply = (await client.ask(request))[0]
    if isinstance(reply, ReplyError):
        raise reply
    if not isinstance(reply, bytes):
        raise HungUp(f"{address} answered what is no text")
    pairs = [line.partition(":") for line in reply.decode("utf-8", "replace").splitlines()]
    return {name: text for name, colon, text in pairs if colon}


async def _reach(address: str, tls: ssl.SSLContext | None) -> ByteStream:
    """A connection, with TLS if there is a context. Raises `OSError` and `Unreachable`."""
    host, port = split_address(address)
    stream = await anyio.connect_tcp(host, port)
    if tls is None:
        return stream
    try:
        return await TLSStream.wrap(
            stream, server_side=False, hostname=host, ssl_context=tls, standard_compatible=False
        )
    except BaseException as error:
        await anyio.aclose_forcefully(stream)
        if isinstance(error, ssl.SSLCertVerificationError):
            raise Unreachable(f"{address} is not trusted: {error.verify_message}") from None
        if isinstance(error, ssl.SSLError) and error.reason in _NO_TLS:
            raise Unreachable(f"{address} does not speak TLS") from None
        if isinstance(error, ssl.SSLError | anyio.EndOfStream | anyio.BrokenResourceError):
            raise Unreachable(f"{address} ended the handshake of TLS") from None
        raise


def _why_silent(access: Access, error: HungUp | TimeoutError) -> str:
    """What a person is told of a node that does not answer to what was shown; no alert of TLS comes to here."""
    if access.password is not None:
        return "did not answer to the password"
    if isinstance(error, TimeoutError):
        return "did not answer to the certificate"
    return "hung up behind the handshake of TLS: it may want a certificate of its authority (--tls-cert, --tls-key)"


_NO_TLS = frozenset(("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"))


def _reason(error: OSError) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    text = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror or str(cause)
    return (text or "no answer").lower()
