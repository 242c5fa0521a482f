"""What is said before and beside messages: the sentences of a handshake, and the requests of Redis clients.

Law: *whoever speaks nonsense is refused in one sentence, and keeps no more memory than the limits say.*
"""

import random
import struct
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any, cast
from zlib import crc32

import anyio
import msgpack
from anyio.abc import ByteStream

from rafty_transports import handshake, resp
from rafty_transports.handshake import HELLO_LIMIT, MAGIC, HandshakeFailed
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.resp import RequestError, RequestLimits, RequestParser
from tests.transports.fuzz.frames import damaged, msgpack_noise
from tests.transports.fuzz.structure import WILD
from tests.transports.fuzz.wire import Broken

MINE = Identity("cluster.1", "n1", "a1", 3, "n1,n2,n3", "[::1]:7001")
THEIRS = Identity("cluster.1", "n2", "a2", 4, "n1,n2,n3", "[::1]:7002")

TIGHT = RequestLimits(arguments=8, bulk=64, request=128, inline=64, header=32)


class _Heard:
    """A stream from which these chunks come, and then its end; it never has to be waited for."""

    def __init__(self, chunks: list[bytes]) -> None:
        self.chunks = chunks
        self.sent: list[bytes] = []

    async def receive(self, most: int) -> bytes:
        if not self.chunks:
            raise anyio.EndOfStream
        chunk = self.chunks.pop(0)
        if len(chunk) > most:
            self.chunks.insert(0, chunk[most:])
        return chunk[:most]

    async def send(self, data: bytes) -> None:
        self.sent.append(data)


def _at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of what never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    work.close()
    raise Broken("it waits, though everything is there")


@cache
def _said() -> list[bytes]:
    """Right sentences."""
    names = handshake._names(THEIRS)
    sentences = [
        handshake._hello(THEIRS, "n1"),
        [2, 1, *names, THEIRS.address],
        [3],
        [4, "no"],
        [4, "", "removed"],
        [5],
    ]
    return [sentence(msgpack.packb(fields)) for fields in sentences]


def sentence(body: bytes) -> bytes:
    """A sentence with this body, whose length and CRC are right."""
    return struct.pack(">4sHI", MAGIC, min(len(body), 0xFFFF), crc32(body)) + body


def handshake_input(chance: random.Random) -> bytes:
    """Something that a peer may say in a handshake."""
    way = chance.randrange(6)
    right = chance.choice(_said())
    if way == 0:
        return chance.randbytes(chance.randrange(60))
    if way == 1:
        return sentence(msgpack_noise(chance))
    if way == 2:
        return damaged(chance, right, _said())
    if way == 3:
        return sentence(damaged(chance, right[10:], _said()))
    fields: list[Any] = msgpack.unpackb(right[10:])
    for _ in range(chance.choice((1, 1, 2))):
        wild = chance.choice((*WILD, 0, 1, 2, 3, 4, 5, "n1", "n2", "cluster.2", "other.1", "x" * 1001, "\n" * 900))
        fields[chance.randrange(len(fields))] = wild
    return sentence(msgpack.packb(fields)) + (right if chance.random() < 0.3 else b"")


def hear_handshake(chance: random.Random, data: bytes) -> str:
    """Let this be said by a dialing node, and as an answer; return what became of it. Raises `Broken`."""
    step = chance.choice((1, 7, 5000))
    stream = _Heard([data[at : at + step] for at in range(0, len(data), step)])
    reader = handshake._Reader(cast("ByteStream", stream))
    try:
        fields = _at_once(reader.read("a peer"))
    except Refused as refusal:
        return _refuse(refusal)
    except HandshakeFailed:
        return "ended"
    if len(reader.rest) > 2 * HELLO_LIMIT:
        raise Broken(f"{len(reader.rest)} bytes are kept behind a sentence")
    outcomes = [_judged(judge, fields) for judge in (_judge_hello, _judge_welcome, _judge_begin)]
    return min(outcomes, key=("understood", "refused", "ended").index)


def _judged(judge: Callable[[list[Any]], None], fields: list[Any]) -> str:
    try:
        judge(fields)
    except Refused as refusal:
        return _refuse(refusal)
    except HandshakeFailed:
        return "ended"
    return "understood"


def _judge_hello(fields: list[Any]) -> None:
    handshake._check_versions(fields)
    theirs = handshake._identity(fields, 4, address=10)
    handshake._check_hello(fields, theirs, MINE)


def _judge_welcome(fields: list[Any]) -> None:
    if fields[0] == handshake._REFUSAL:
        raise handshake._refusal(fields)
    handshake._check_welcome(fields, MINE, "n2")


def _judge_begin(fields: list[Any]) -> None:
    handshake._check_begin(fields, "n2")


def _refuse(refusal: Refused) -> str:
    """The refusal can be said, and is understood by the other side."""
    stream = _Heard([])
    _at_once(handshake._send(cast("ByteStream", stream), [handshake._REFUSAL, str(refusal)[:1000]]))
    said = stream.sent[0]
    if len(said) > HELLO_LIMIT + 10:
        raise Broken(f"a refusal of {len(said)} bytes is more than the other side reads")
    handshake._fields(said[10:], crc32(said[10:]))
    return "refused"


_WORDS = (
    b"*3\r\n",
    b"*1\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"$3\r\n",
    b"$0\r\n",
    b"$-1\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b'"',
    b"'",
)
_MORE = (
    b"*99999999999\r\n",
    b"$99999999999\r\n",
    b"$64\r\n",
    b"$65\r\n",
    b"*8\r\n",
    b"*9\r\n",
    b"\\x4",
    b"SET a 1\r\n",
    b" ",
)


def request_input(chance: random.Random) -> bytes:
    """Something that a client of Redis may send: right, damaged, or words of the protocol in any order."""
    right = [_request(chance) for _ in range(chance.choice((1, 1, 2, 4)))]
    way = chance.randrange(4)
    if way == 0:
        return b"".join(right)
    if way == 1:
        return damaged(chance, b"".join(right), right)
    if way == 2:
        return b"".join(chance.choice((*_WORDS, *_MORE, b"abc", b"GET")) for _ in range(chance.randrange(1, 12)))
    return chance.randbytes(chance.randrange(80)) + b"\r\n"


def _request(chance: random.Random) -> bytes:
    arguments = [chance.randbytes(chance.choice((0, 1, 3, 20))) for _ in range(chance.randrange(1, 6))]
    if chance.random() < 0.2:
        return b" ".join(argument.hex().encode() for argument in arguments) + b"\r\n"
    return resp.array([resp.bulk(argument) for argument in arguments])


def hear_requests(chance: random.Random, data: bytes) -> str:
    """Parse these bytes whole and in chunks; return what became of them. Raises `Broken`."""
    limits = chance.choice((None, TIGHT))
    whole = _parse([data], limits)
    step = chance.choice((1, 2, 7, 30))
    cut = _parse([data[at : at + step] for at in range(0, len(data), step)], limits)
    if whole != cut:
        raise Broken(f"whole they give {whole!r:.400}, in chunks of {step} {cut!r:.400}")
    if not all(request and set(map(type, request)) == {bytes} for request in whole[0]):
        raise Broken(f"these are no requests: {whole[0]!r:.400}")
    return "refused" if whole[1] else "parsed" if whole[0] else "unfinished"


def _parse(chunks: list[bytes], limits: RequestLimits | None) -> tuple[list[list[bytes]], str]:
    parser = RequestParser(limits)
    requests: list[list[bytes]] = []
    for chunk in chunks:
        try:
            requests += parser.feed(chunk)
        except RequestError as error:
            _stays_refused(parser)
            return requests, str(error)
        most = parser.limits.request + parser.limits.bulk + parser.limits.inline
        if len(parser._tail) > most:
            raise Broken(f"{len(parser._tail)} bytes are kept, though {most} are the limit")
    return requests, ""


def _stays_refused(parser: RequestParser) -> None:
    try:
        list(parser.feed(b"*1\r\n$4\r\nPING\r\n"))
    except RequestError:
        return
    raise Broken("a request is taken behind an error")
