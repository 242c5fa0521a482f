"""RESP, the protocol of Redis: requests out of bytes, replies into bytes; no IO.

Law: *any bytes whatever give requests or one `RequestError`, within fixed memory, however they are cut into chunks.*

A request is an array of bulk strings, or a line as a person types it ("inline"). Every length is compared with its
limit before anything is kept for it. What arrives is looked at once: inside a bulk string nothing is looked at before
all of it is there, inside a line only what is new is searched for its end, so that the cost of a request that comes
byte by byte grows with its length, and not with the square of it.

Replies are RESP2; in RESP3, which a client asks for with HELLO 3, null and maps have a form of their own.
"""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass


class RequestError(Exception):
    """The bytes of a client are no RESP, or exceed a limit; the text is one sentence, as Redis words it."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may have at most. All but `arguments` are bytes.

    arguments  number of arguments, the command's name included
    bulk       one argument
    request    all arguments together
    inline     a line typed by a person
    header     a line that holds a number
    """

    arguments: int = 65_536
    bulk: int = 4 * 1024 * 1024
    request: int = 8 * 1024 * 1024
    inline: int = 64 * 1024
    header: int = 32


UNAUTHENTICATED = RequestLimits(arguments=10, bulk=16 * 1024, request=32 * 1024, inline=16 * 1024)
"""What is enough for AUTH and HELLO: a stranger does not make the server keep megabytes."""


ARGUMENT_OVERHEAD = 64
"""Bytes that an argument takes in memory besides its own: of two bytes it takes as much as one of fifty."""

_COMMON_CHUNK = 128 * 1024
_COMMON_COUNT = 32
_COMMON_SIZE = 4096
_COUNTS = {b"*%d" % count: count for count in range(1, _COMMON_COUNT + 1)}
_SIZES = {b"$%d" % size: size for size in range(_COMMON_SIZE + 1)}


class RequestParser:
    """Makes requests out of received chunks. `limits` may be set at any time, and hold for what is parsed next."""

    def __init__(self, limits: RequestLimits | None = None) -> None:
        self.limits = limits if limits is not None else RequestLimits()
        self._tail = bytearray()
        self._needed = 0
        self._line_limit = 0
        self._arguments: list[bytes] = []
        self._missing = 0
        self._size = 0
        self._error: RequestError | None = None

    @property
    def unfinished(self) -> bool:
        """Whether a request has begun that is not complete."""
        return bool(self._missing or self._tail)

    @property
    def kept(self) -> int:
        """Bytes of memory, about, that are kept for the request that is not complete."""
        return len(self._tail) + self._size + ARGUMENT_OVERHEAD * len(self._arguments)

    def feed(self, data: bytes) -> Iterator[list[bytes]]:
        """Take this chunk; yield each request that is complete: a list of at least one argument.

        Iterate to the end before the next `feed`. Raises `RequestError` behind the last good request, and from then on
        at every call: the connection must be answered and closed.
        """
        if self._error is not None:
            raise self._error
        if not self._tail:
            return self._parse(data)
        self._tail += data
        if len(self._tail) < self._needed:
            return iter(())
        if self._line_limit and b"\n" not in data and len(self._tail) <= self._line_limit:
            return iter(())
        whole = bytes(self._tail)
        self._tail = bytearray()
        return self._parse(whole)

    def _parse(self, data: bytes) -> Iterator[list[bytes]]:
        position = 0
        size = len(data)
        self._needed = self._line_limit = 0
        if not self._missing and size <= _COMMON_CHUNK and data.startswith(b"*"):
            position = yield from self._common(data)
        try:
            while position < size:
                if self._missing:
                    position = self._bulks(data, position)
                    if self._missing:
                        break
                    request, self._arguments, self._size = self._arguments, [], 0
                    yield request
                elif data[position] == 0x2A:
                    end = self._header_end(data, position, "mbulk")
                    if end < 0:
                        break
                    self._missing = self._count(data[position + 1 : end])
                    position = end + 2
                elif data[position] in _SPACES:
                    begin = _NO_SPACE.search(data, position)
                    position = begin.start() if begin is not None else size
                else:
                    end = self._inline_end(data, position)
                    if end < 0:
                        break
                    request = split_inline(data[position:end])
                    if len(request) > self.limits.arguments:
                        raise RequestError("Protocol error: invalid multibulk length")
                    position = end + 1
                    if request:
                        yield request
        except RequestError as error:
            self._error = error
            self._arguments = []
            raise
        if position < size:
            self._tail += data[position:] if position else data

    def _common(self, data: bytes) -> Generator[list[bytes], None, int]:
        """Take requests as they mostly are: whole, few and short arguments. Returns the position behind them.

        Between line ends stand lengths and arguments in turn. That is so as long as each argument has the length that
        stands before it; at the first that has not (a line end is part of it, it is cut, it is nonsense) this stops.
        """
        limits = self.limits
        if limits.arguments < _COMMON_COUNT or limits.bulk < _COMMON_SIZE or limits.request < _COMMON_CHUNK:
            return 0
        tokens = data.split(b"\r\n")
        last = len(tokens) - 1
        position = 0
        while self.limits is limits:
            count = _COUNTS.get(tokens[position])
            if count is None:
                break
            end = position + 1 + 2 * count
            if end > last:
                break
            request = tokens[position + 2 : end : 2]
            if list(map(len, request)) != list(map(_SIZES.get, tokens[position + 1 : end : 2])):
                break
            position = end
            yield request
        return sum(map(len, tokens[:position])) + 2 * position

    def _bulks(self, data: bytes, position: int) -> int:
        """Take the bulk strings that are there; the position behind them."""
        arguments, missing, taken, total = self._arguments, self._missing, self._size, len(data)
        limits = self.limits
        while missing and position < total:
            if data[position] != 0x24:
                raise RequestError(f"Protocol error: expected '$', got '{_printable(data[position])}'")
            end = data.find(b"\r\n", position, position + limits.header)
            if end < 0:
                self._header_end(data, position, "bulk")
                break
            digits = data[position + 1 : end]
            if not digits.isdigit():
                raise RequestError("Protocol error: invalid bulk length")
            length = int(digits)
            if length > limits.bulk:
                raise RequestError("Protocol error: invalid bulk length")
            if taken + length > limits.request:
                raise RequestError(f"Protocol error: request is larger than {limits.request} bytes")
            body = end + 2
            behind = body + length
            if behind + 2 > total:
                self._needed = behind + 2 - position
                break
            if not data.startswith(b"\r\n", behind):
                raise RequestError("Protocol error: expected CRLF behind a bulk string")
            arguments.append(data[body:behind])
            taken += length
            missing -= 1
            position = behind + 2
        self._missing, self._size = missing, taken
        return position

    def _header_end(self, data: bytes, position: int, kind: str) -> int:
        """Where the line that holds a number ends, or -1 if its end is not there yet."""
        limit = self.limits.header
        end = data.find(b"\r\n", position, position + limit)
        if end < 0:
            if len(data) - position >= limit:
                raise RequestError(f"Protocol error: too big {kind} count string")
            self._line_limit = limit - 1
        return end

    def _inline_end(self, data: bytes, position: int) -> int:
        if data[position] == _TLS:
            raise RequestError("Protocol error: TLS is spoken, and this port speaks plain text")
        limit = self.limits.inline
        end = data.find(b"\n", position, position + limit)
        if end < 0:
            if len(data) - position >= limit:
                raise RequestError("Protocol error: too big inline request")
            self._line_limit = limit - 1
        return end

    def _count(self, digits: bytes) -> int:
        """How many arguments a header announces; none or fewer is a request that Redis passes over."""
        if digits.isdigit():
            count = int(digits)
            if count <= self.limits.arguments:
                return count
        elif digits.startswith(b"-") and digits[1:].isdigit():
            return 0
        raise RequestError("Protocol error: invalid multibulk length")


_TLS = 0x16
"""The first byte of a handshake of TLS."""

_SPACES = b" \t\n\v\f\r"
_NO_SPACE = re.compile(rb"\S")
_WORD = re.compile(
    rb"""\s*+([^\s"']*+)(?:"((?:\\x[0-9a-fA-F]{2}|\\.|[^"\\])*+)"|'((?:\\'|[^'])*+)')?+(?:\s++|\Z)""", re.DOTALL
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"a": b"\a"}


def split_inline(line: bytes) -> list[bytes]:
    """The words of a line as Redis splits them: by spaces; "..." with \\n, \\r, \\t, \\b, \\a, \\xHH; '...' with \\'.

    Raises `RequestError` for a quote that is not closed, or closed in the middle of a word.
    """
    line = line.strip()
    if b'"' not in line and b"'" not in line:
        return line.split()
    words = []
    position = 0
    while position < len(line):
        match = _WORD.match(line, position)
        if match is None:
            raise RequestError("Protocol error: unbalanced quotes in request")
        word, double, single = match.groups()
        if double is not None:
            word += _ESCAPE.sub(_unescape, double)
        elif single is not None:
            word += single.replace(b"\\'", b"'")
        words.append(word)
        position = match.end()
    return words


def _unescape(match: re.Match[bytes]) -> bytes:
    digits, character = match.groups()
    if digits is not None:
        return bytes.fromhex(digits.decode("ascii"))
    return _ESCAPED.get(character, character)


def _printable(byte: int) -> str:
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


# Replies.

NULL = b"$-1\r\n"
NULL_IN_RESP3 = b"_\r\n"
OK = b"+OK\r\n"


def error(text: str) -> bytes:
    """An error. The first word is its code, as "ERR" or "NOAUTH"; line ends become spaces."""
    return b"-%b\r\n" % text.replace("\r", " ").replace("\n", " ").encode("utf-8", "replace")


def integer(number: int) -> bytes:
    """A signed integer of 64 bits."""
    return b":%d\r\n" % number


def bulk(data: bytes) -> bytes:
    """A bulk string: any bytes."""
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(replies: Sequence[bytes]) -> bytes:
    """An array of replies that are encoded already."""
    return b"*%d\r\n%b" % (len(replies), b"".join(replies))


def mapping(pairs: Sequence[tuple[bytes, bytes]], protocol: int) -> bytes:
    """A map of replies that are encoded already; in RESP2 an array of keys and values in turn."""
    sign, count = (b"%", len(pairs)) if protocol == 3 else (b"*", 2 * len(pairs))
    return b"%b%d\r\n%b" % (sign, count, b"".join([key + value for key, value in pairs]))


def null(protocol: int) -> bytes:
    """Nothing."""
    return NULL_IN_RESP3 if protocol == 3 else NULL


def in_resp3(reply: bytes) -> bytes:
    """A reply of RESP2 (nothing nested but an array of bulk strings) as RESP3 has it: its nulls are another one."""
    if reply == NULL:
        return NULL_IN_RESP3
    if not reply.startswith(b"*") or NULL not in reply:
        return reply
    position = reply.index(b"\n") + 1
    parts = [reply[:position]]
    while position < len(reply):
        end = reply.index(b"\n", position) + 1
        length = int(reply[position + 1 : end])
        behind = end if length < 0 else end + length + 2
        parts.append(NULL_IN_RESP3 if length < 0 else reply[position:behind])
        position = behind
    return b"".join(parts)
