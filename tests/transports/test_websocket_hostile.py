"""Peers that break the rules of WebSocket: they are told so, and cost little."""

import base64
import hashlib
import os
import tracemalloc

import anyio
import pytest
from anyio.abc import SocketStream

from rafty_transports.websocket import MESSAGE_LIMIT, WebSocketStream
from rafty_transports.websocket_stream import NO_TEXT
from tests.transports.connections import closed_by_peer, until
from tests.transports.websocket_kit import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    bare,
    close_frame,
    dialed,
    echo,
    frame,
    request,
    serving,
)

pytestmark = pytest.mark.anyio

BROKEN: list[tuple[bytes, int]] = [
    (frame(BINARY, announced=MESSAGE_LIMIT + 1), 1009),
    (frame(BINARY, announced=2**40), 1009),
    (frame(BINARY, announced=2**63 - 1) + bytes(100), 1009),
    (frame(BINARY, b"x", fin=False) + frame(CONT, announced=MESSAGE_LIMIT), 1009),
    (frame(BINARY, fin=False) + frame(CONT, fin=False) * 1100, 1008),
    (frame(PING) * 1100, 1008),
    (frame(BINARY, b"x", fin=False) + frame(CONT, b"x", fin=False) * 5000, 1009),
    (frame(TEXT, b"hello"), 1003),
    (frame(TEXT, b"hel", fin=False) + frame(CONT, b"lo"), 1003),
    (frame(BINARY, b"hello", masked=False), 1002),
    (frame(CONT, b"hello"), 1002),
    (frame(BINARY, b"hel", fin=False) + frame(BINARY, b"lo"), 1002),
    (frame(3, b"hello"), 1002),
    (frame(11, b""), 1002),
    (frame(BINARY | 0x40, b"compressed"), 1002),
    (frame(PING, bytes(126)), 1002),
    (frame(PING, b"x", fin=False), 1002),
    (frame(CLOSE, b"x"), 1002),
    (frame(CLOSE, b"\x03\xed"), 1002),
    (frame(CLOSE, b"\x00\x00 and more"), 1002),
    (frame(CLOSE, b"\xff\xff"), 1002),
    (frame(CLOSE, b"\x03\xe8\xff\xfe"), 1007),
    (frame(CLOSE, bytes(126)), 1002),
    (b"\xff" * 64, 1002),
]


@pytest.mark.parametrize(("said", "code"), BROKEN)
async def test_whoever_breaks_a_rule_is_told_by_a_close_code(said: bytes, code: int) -> None:
    failures: list[Exception] = []
    async with serving(echo, failures) as port:
        async with bare(port) as stream:
            await stream.send(said)
            told = close_frame(await closed_by_peer(stream))
            assert told is not None
            assert told[0] == code
        await until(lambda: failures)
    assert isinstance(failures[0], anyio.BrokenResourceError)
    assert str(failures[0]).startswith("the peer broke the rules of WebSocket: ")


async def test_whoever_breaks_a_rule_and_does_not_hang_up_is_hung_up_on() -> None:
    failures: list[Exception] = []
    async with serving(echo, failures) as port, bare(port) as stream:
        await stream.send(frame(TEXT, b"hello"))
        assert close_frame(await closed_by_peer(stream)) is not None
        await until(lambda: failures)


@pytest.mark.parametrize("opening", [b"", request("GET / HTTP/1.1")])
async def test_the_last_word_is_followed_by_an_orderly_end_though_the_peer_still_talks(opening: bytes) -> None:
    """A stream that is closed over unread bytes is reset, which may destroy the word on its way."""
    failures: list[Exception] = []
    async with serving(echo, failures) as port, bare(port, opening) as stream:
        await stream.send(frame(TEXT, b"hello"))
        said = b""
        with anyio.fail_after(5), pytest.raises(anyio.EndOfStream):
            for _ in range(16):
                await stream.send(frame(BINARY, bytes(65536)))
            await stream.send_eof()
            while True:
                said += await stream.receive()
    assert said.startswith(b"HTTP/1.1 404") if opening else close_frame(said) == (1003, NO_TEXT)


async def test_what_came_before_a_broken_rule_is_still_received() -> None:
    got = b""

    async def receive(web: WebSocketStream) -> None:
        nonlocal got
        while True:
            got += await web.receive()

    failures: list[Exception] = []
    async with serving(receive, failures) as port, bare(port) as stream:
        await stream.send(frame(BINARY, b"one") + frame(BINARY) + frame(BINARY, b"two") + frame(TEXT, b"three"))
        await closed_by_peer(stream)
        await until(lambda: failures)
    assert got == b"onetwo"


@pytest.mark.parametrize("size", [1, 3, 7, 64, 4096])
async def test_frames_may_come_in_any_pieces(size: int) -> None:
    """Masks are applied to each piece where the piece before ended."""
    data = os.urandom(3000)
    key = b"\x01\x20\x03\xf0"
    masked = bytes(byte ^ key[place % 4] for place, byte in enumerate(data))
    header = frame(BINARY, announced=len(data))[:-4] + key
    said = header + masked
    async with serving(echo) as port, bare(port) as stream:
        for start in range(0, len(said), size):
            await stream.send(said[start : start + size])
        got = b""
        while len(got) < len(data):
            opcode_and_size = await exactly(stream, 2)
            length = opcode_and_size[1]
            if length == 126:
                length = int.from_bytes(await exactly(stream, 2), "big")
            got += await exactly(stream, length)
        assert got == data
        await stream.send(frame(CLOSE))


async def exactly(stream: SocketStream, count: int) -> bytes:
    """The next `count` bytes, and not one more."""
    data = b""
    while len(data) < count:
        data += await stream.receive(count - len(data))
    return data


FLOODS = {
    "pings": frame(PING, b"ping") * 4096,
    "empty pings": frame(PING) * 4096,
    "pongs": frame(PONG, b"pong") * 4096,
    "empty messages": frame(BINARY) * 4096,
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_flood_of_what_carries_nothing_is_stored_nowhere_and_ended(flood: str) -> None:
    failures: list[Exception] = []
    tracemalloc.start()
    try:
        async with serving(echo, failures) as port, bare(port) as stream:
            with anyio.fail_after(5):
                try:
                    for _ in range(64):
                        await stream.send(FLOODS[flood])
                except anyio.BrokenResourceError:
                    pass  # it was hung up
                said = await closed_by_peer(stream)
            await until(lambda: failures)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "in a row carry nothing" in str(failures[0])
    assert peak < 16 * 1024 * 1024
    told = close_frame(said)
    assert told is None or told[0] == 1008  # what is still under way may destroy the word on its way


async def test_some_pings_in_a_row_are_no_flood() -> None:
    async with serving(echo) as port, bare(port) as stream:
        for _ in range(4):
            await stream.send(frame(PING) * 1000 + frame(BINARY, b"x"))
            await exactly(stream, 2 * 1000 + 3)
        await stream.send(frame(CLOSE))


async def test_a_server_that_breaks_a_rule_is_told_so_too() -> None:
    """A server does not mask."""
    told: list[bytes] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            asked = (await stream.receive()).decode()
            key = asked.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
            accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
            await stream.send(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Protocol: rafty.v1\r\nSec-WebSocket-Accept: "
                + accept
                + b"\r\n\r\n"
                # behind the answer, in the same packet: a message, and then a wrong one
                + frame(BINARY, b"early", masked=False)
                + frame(BINARY, b"masked")
            )
            told.append(await closed_by_peer(stream))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        async with dialed(listener.extra(anyio.abc.SocketAttribute.local_port)) as web:
            assert await web.receive() == b"early"
            with pytest.raises(anyio.BrokenResourceError, match="broke the rules"):
                await web.receive()
        await until(lambda: told)
        tasks.cancel_scope.cancel()
    opcode, size, mask = told[0][0] & 15, told[0][1] & 127, told[0][2:6]
    said = bytes(byte ^ mask[place % 4] for place, byte in enumerate(told[0][6 : 6 + size]))
    assert (opcode, int.from_bytes(said[:2], "big")) == (CLOSE, 1002)
