"""The HTTP with which a WebSocket begins: one request, one answer, both small.

Law: *nothing of it is stored beyond 8 KiB, and no library sees a request that was not checked here.*

The one who accepts reads the request itself, decides, and hands the library of its backend a request written anew from
what was checked: so both backends decide alike, and neither parses what a stranger wrote. The one who dials reads the
head of the answer itself, and hands it on only if it agrees to upgrade. No compression is offered or accepted.
"""

import base64
import binascii
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import anyio
from anyio.abc import ByteStream

from rafty_transports.handshake import ENDED, MAGIC, HandshakeFailed, printable

PATH: Final = "/rafty"
"""Where rafty is found on a web server, unless its address says another path."""

SUBPROTOCOL: Final = "rafty.v1"
"""The WebSocket subprotocol; both sides insist on it."""

HEAD_LIMIT: Final = 8192
"""Limit in bytes on the request and on the head of its answer."""

CLOSING_SECONDS: Final = 0.5
"""What comes after the last word, on either side, takes this long at most."""

_BAD = HTTPStatus.BAD_REQUEST
_BODY_LIMIT = 512
_END = b"\r\n\r\n"
_NAME = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]*")

Headers = dict[str, list[str]]
Extra = tuple[tuple[str, str], ...]


class WebSocketRefused(HandshakeFailed):
    """What came in was no WebSocket request that is accepted here; `status` is what it was answered, as in HTTP."""

    def __init__(self, text: str, status: HTTPStatus, headers: Extra = ()) -> None:
        super().__init__(text, "websocket")
        self.status = status
        self.headers = headers


async def linger(stream: ByteStream) -> None:
    """Wait for the other side to hang up, after the last word: a reset would destroy the word on its way.

    Forgets what still comes in. The caller limits the time.
    """
    try:
        with suppress(NotImplementedError, TypeError):  # TLS has no end of one direction; TypeError once it is over
            await stream.send_eof()
        while True:
            await stream.receive(65536)
    except (*ENDED, OSError):
        return


async def read_request(stream: ByteStream, path: str, origins: Collection[str]) -> tuple[bytes, bytes]:
    """Read the request with which a client begins; return it written anew, and what came in behind it.

    Raises `WebSocketRefused` if it asks for another path, comes from a web page that is not among `origins`, or is no
    WebSocket request for the subprotocol of rafty, once the client was told so; `HandshakeFailed` if the connection
    ends. The caller limits the time.
    """
    try:
        head, rest = await _read_head(stream, _check_beginning)
        return _check_request(head, path, origins), rest
    except WebSocketRefused as refusal:
        with anyio.move_on_after(CLOSING_SECONDS):
            await _refuse(stream, refusal)
        raise


async def read_answer(stream: ByteStream) -> tuple[bytes, bytes]:
    """Read the head of the answer to a request; return it, and what came in behind it.

    Raises `HandshakeFailed`, with status and reason, if it is anything but the consent to WebSocket and to the
    subprotocol of rafty. The library checks the rest of it. The caller limits the time.
    """
    head, rest = await _read_head(stream, _check_answer_beginning)
    status, headers = _parse_answer(head)
    if not status.startswith("101"):
        raise HandshakeFailed(f"the web server refused: {status}{await _reason(stream, headers, rest)}")
    if headers.get("sec-websocket-protocol") != [SUBPROTOCOL]:
        raise HandshakeFailed(f"the web server agreed to WebSocket, but not to {SUBPROTOCOL}: the address is wrong")
    if "sec-websocket-extensions" in headers:
        raise HandshakeFailed("the web server uses a WebSocket extension that nobody offered")
    return head, rest


async def _read_head(stream: ByteStream, check: Callable[[bytes], None]) -> tuple[bytes, bytes]:
    """`check` raises for a beginning that can be no head, as soon as it has come in."""
    data = b""
    while (end := data.find(_END)) < 0:
        try:
            data += await stream.receive(HEAD_LIMIT - len(data))
        except ENDED as error:
            raise HandshakeFailed("the other side ended the connection before WebSocket was agreed") from error
        check(data)
    return data[: end + len(_END)], data[end + len(_END) :]


def _check_beginning(data: bytes) -> None:
    """What is no HTTP is answered at once: whoever said it waits for an answer and would not go on."""
    if data.startswith(MAGIC[: len(data)]):
        raise WebSocketRefused("this is the protocol of rafty without WebSocket: dial this node as ws://", _BAD)
    if data.startswith(b"\x16"):
        raise WebSocketRefused("this is TLS, and plain text is spoken here: dial this node as ws://", _BAD)
    if not data[:1].isalpha():
        raise WebSocketRefused("this is no HTTP", _BAD)
    if len(data) >= HEAD_LIMIT and _END not in data:
        raise WebSocketRefused(
            f"the HTTP request is longer than {HEAD_LIMIT} bytes", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
        )


def _check_answer_beginning(data: bytes) -> None:
    if not data.startswith(b"HTTP/1."[: len(data)]):
        raise HandshakeFailed("what answers is no web server: its address is not one for ws:// or wss://")
    if len(data) >= HEAD_LIMIT and _END not in data:
        raise HandshakeFailed(f"the head of the web server's answer is longer than {HEAD_LIMIT} bytes")


def _parse(head: str) -> tuple[str, Headers]:
    """The first line, and the values of each field by its name in small letters. Raises `ValueError`."""
    first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers: Headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or "\n" in value or "\r" in value:
            raise ValueError(f"this is no header field: {line!r:.80}")
        headers.setdefault(name.lower(), []).append(value.strip(" \t"))
    return first, headers


def _check_request(head: bytes, path: str, origins: Collection[str]) -> bytes:
    try:
        if not _TEXT.fullmatch(head):
            raise ValueError("it is not plain ASCII")
        first, headers = _parse(head.decode("ascii"))
        method, target, version = first.split(" ")
    except ValueError as error:
        raise WebSocketRefused(f"this is no HTTP request: {error}", _BAD) from error
    if method != "GET" or version != "HTTP/1.1":
        raise WebSocketRefused("only GET of HTTP/1.1 is answered here", _BAD)
    if target.partition("?")[0] != path:
        raise WebSocketRefused(f"there is nothing at this path, only a node of rafty at {path}", HTTPStatus.NOT_FOUND)
    for origin in headers.get("origin", ()):
        if origin not in origins:
            raise WebSocketRefused(
                f"web pages of {origin:.200} may not connect here; only nodes do", HTTPStatus.FORBIDDEN
            )
    _check_upgrade(headers)
    return (
        f"GET {path} HTTP/1.1\r\nHost: rafty\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_key(headers)}\r\n"
        f"Sec-WebSocket-Protocol: {SUBPROTOCOL}\r\n\r\n"
    ).encode("ascii")


def _check_upgrade(headers: Headers) -> None:
    if "websocket" not in _words(headers, "upgrade") or "upgrade" not in _words(headers, "connection"):
        raise WebSocketRefused(
            "only WebSocket is spoken here", HTTPStatus.UPGRADE_REQUIRED, (("Upgrade", "websocket"),)
        )
    if headers.get("sec-websocket-version") != ["13"]:
        known = (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
        raise WebSocketRefused("only version 13 of WebSocket is spoken here", HTTPStatus.UPGRADE_REQUIRED, known)
    if "host" not in headers or "transfer-encoding" in headers or headers.get("content-length", ["0"]) != ["0"]:
        raise WebSocketRefused("a WebSocket request names a host and has no body", _BAD)
    if SUBPROTOCOL not in _words(headers, "sec-websocket-protocol"):
        raise WebSocketRefused(f"the only subprotocol spoken here is {SUBPROTOCOL}; ask for it", _BAD)


def _key(headers: Headers) -> str:
    keys = headers.get("sec-websocket-key", [])
    try:
        if len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16:
            return keys[0]
    except binascii.Error:
        pass
    raise WebSocketRefused("a WebSocket request has one Sec-WebSocket-Key, of 16 bytes in base64", _BAD)


def _words(headers: Headers, name: str) -> list[str]:
    """The values of a field that is a list of words, in small letters."""
    return [word.strip().lower() for value in headers.get(name, ()) for word in value.split(",")]


async def _refuse(stream: ByteStream, refusal: WebSocketRefused) -> None:
    body = f"{refusal}\n".encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in refusal.headers)
    head = (
        f"HTTP/1.1 {refusal.status.value} {refusal.status.phrase}\r\nConnection: close\r\n{fields}"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    try:
        await stream.send(head.encode("ascii") + body)
    except ENDED:
        return
    await linger(stream)


def _parse_answer(head: bytes) -> tuple[str, Headers]:
    """Status and reason in one text, and the fields."""
    try:
        first, headers = _parse(head.decode("latin-1"))
    except ValueError as error:
        raise HandshakeFailed(f"the web server's answer is no HTTP: {error}") from error
    return printable(first.partition(" ")[2]), headers


async def _reason(stream: ByteStream, headers: Headers, body: bytes) -> str:
    """What a web server says for people, as far as it is short and comes soon."""
    length = headers.get("content-length", ["0"])[0]
    expected = min(int(length), _BODY_LIMIT) if length.isdecimal() and len(length) < 10 else 0
    with anyio.move_on_after(CLOSING_SECONDS):
        try:
            while len(body) < expected:
                body += await stream.receive(expected - len(body))
        except ENDED:
            pass
    text = "".join(letter if letter.isprintable() else " " for letter in body[:expected].decode("utf-8", "replace"))
    return f" ({text.strip()})" if text.strip() else ""
