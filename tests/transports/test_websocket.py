"""A stream of bytes over WebSocket: what is sent arrives, on all backends and between them, and closing is quick."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream
from websockets.sync.client import connect as foreign_client
from websockets.typing import Subprotocol

from rafty_transports.websocket import MESSAGE_LIMIT, WebSocketStream, accept_websocket
from tests.transports.connections import until
from tests.transports.websocket_kit import (
    BINARY,
    PING,
    PONG,
    bare,
    close_frame,
    dialed,
    echo,
    elsewhere,
    exactly,
    frame,
    pair,
    run,
    serving,
)

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024
TRANSFER = 64 * MIB


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What runs in it takes no longer than this."""
    start = anyio.current_time()
    yield
    taken = anyio.current_time() - start
    assert taken < seconds, f"it took {taken:.2f} s"


async def test_what_is_sent_arrives_in_both_directions() -> None:
    async with pair() as (one, other):
        for sender, receiver in ((one, other), (other, one)):
            await sender.send(b"")
            await sender.send(b"first")
            assert await receiver.receive() == b"first"
            await sender.send(b"0123456789")
            assert [await receiver.receive(4) for _ in range(3)] == [b"0123", b"4567", b"89"]


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, MESSAGE_LIMIT, MESSAGE_LIMIT + 1, 3 * MESSAGE_LIMIT])
async def test_every_length_of_a_frame_header(size: int) -> None:
    data = os.urandom(size)
    async with pair() as (one, other), anyio.create_task_group() as tasks:
        for sender, receiver in ((one, other), (other, one)):
            tasks.start_soon(sender.send, data)
            assert await exactly(receiver, size) == data


async def transfer(port: int) -> None:
    """64 MiB there and back arrive unchanged."""
    block = os.urandom(MIB + 7)
    count = TRANSFER // len(block) + 3
    sent, got = hashlib.blake2b(), hashlib.blake2b()

    async def send(web: WebSocketStream) -> None:
        for number in range(count):
            part = block[number * 1000 :]
            sent.update(part)
            await web.send(part)

    total = sum(len(block) - number * 1000 for number in range(count))
    async with dialed(port) as web, anyio.create_task_group() as tasks:
        tasks.start_soon(send, web)
        while total:
            part = await web.receive(256 * 1024)
            got.update(part)
            total -= len(part)
    assert got.digest() == sent.digest()


@pytest.mark.parametrize("server", ["asyncio", "trio", "uvloop"])
async def test_64_mib_there_and_back_between_backends(server: str) -> None:
    with elsewhere(server, echo) as port:
        with anyio.fail_after(60):
            await transfer(port)


def test_64_mib_there_and_back_from_uvloop_to_trio() -> None:
    with elsewhere("trio", echo) as port:
        run(transfer, "uvloop", port)


async def test_one_send_is_one_message_up_to_the_limit(anyio_backend: str) -> None:
    sizes: list[int] = []

    def foreign(port: int) -> None:
        protocols = [Subprotocol("rafty.v1")]
        with foreign_client(f"ws://127.0.0.1:{port}/rafty", subprotocols=protocols, max_size=None) as client:
            sizes.extend(len(client.recv()) for _ in range(4))
            client.send(b"thanks")

    async def say(web: WebSocketStream) -> None:
        for size in (10, 300_000, MESSAGE_LIMIT + 5):
            await web.send(bytes(size))
        assert await web.receive() == b"thanks"

    with elsewhere(anyio_backend, say) as port:
        await anyio.to_thread.run_sync(foreign, port)
    assert sizes == [10, 300_000, MESSAGE_LIMIT, 5]


async def test_nothing_is_read_while_nobody_receives() -> None:
    block = bytes(MIB)
    async with pair() as (one, other), anyio.create_task_group() as tasks:
        sent = 0
        while True:
            with anyio.move_on_after(0.5) as waiting:
                await one.send(block)
            sent += MIB
            if waiting.cancelled_caught:
                break
            assert sent < 64 * MIB, "whoever sends is never held up"
        tasks.start_soon(exactly, other, sent - MIB)  # and what was sent is still there


async def test_pings_of_others_are_answered() -> None:
    async with serving(echo) as port, bare(port) as stream:
        await stream.send(frame(PING, b"are you there") + frame(BINARY, b"hello"))
        pong = frame(PONG, b"are you there", masked=False)
        assert await exactly(stream, len(pong) + 7) == pong + frame(BINARY, b"hello", masked=False)


async def test_attributes_of_the_stream_beneath_are_seen() -> None:
    async with pair() as (one, other):
        assert one.extra(SocketAttribute.remote_address) == other.extra(SocketAttribute.local_address)


async def test_the_other_side_hears_why_a_stream_is_closed() -> None:
    for closer_dialed in (True, False):
        async with pair() as ends:
            closer, other = ends if closer_dialed else reversed(ends)
            async with anyio.create_task_group() as tasks:
                with within(0.4):
                    tasks.start_soon(closer.close, 1008, "no such cluster")
                    with pytest.raises(anyio.EndOfStream):
                        await other.receive()
                    await other.aclose()
            assert (other.close_code, other.close_reason) == (1008, "no such cluster")


async def test_a_reason_is_cut_to_what_fits_without_cutting_a_letter() -> None:
    async with pair() as (one, other), anyio.create_task_group() as tasks:
        tasks.start_soon(one.close, 1001, "ab" + "ü" * 100)
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
        assert other.close_reason == "ab" + "ü" * 60
        await other.aclose()


async def test_a_close_code_that_may_not_be_sent_is_refused() -> None:
    async with pair() as (one, _):
        for code in (0, 999, 1005, 1006, 2999, 5000):
            with pytest.raises(ValueError, match="close code"):
                await one.close(code, "")
            with pytest.raises(ValueError, match="close code"):
                one.closing(code, "")


@pytest.mark.parametrize(
    ("error", "told", "expected"),
    [
        (None, None, (1000, "")),
        (KeyError("x"), None, (1001, "")),
        (KeyError("x"), (1002, "bad frame"), (1002, "bad frame")),
    ],
)
async def test_the_end_of_the_block_closes_and_its_error_leaves_as_it_is(
    error: Exception | None, told: tuple[int, str] | None, expected: tuple[int, str]
) -> None:
    async def end(web: WebSocketStream) -> None:
        if told:
            web.closing(*told)
        if error:
            raise error

    failures: list[Exception] = []
    async with serving(end, failures) as port, dialed(port) as web:
        with pytest.raises(anyio.EndOfStream):
            await web.receive()
        assert (web.close_code, web.close_reason) == expected
    assert failures == ([error] if error else [])


@pytest.mark.parametrize("dialing", [True, False])
async def test_a_closed_stream_says_so_and_wakes_whoever_receives(dialing: bool) -> None:
    woken = anyio.Event()

    async def receive(web: WebSocketStream) -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await web.receive()
        woken.set()

    async with pair() as ends:
        end = ends[0] if dialing else ends[1]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive, end)
            await anyio.wait_all_tasks_blocked()
            with within(0.8):
                await end.aclose()
            await end.aclose()
            with anyio.fail_after(1):
                await woken.wait()
        with pytest.raises(anyio.ClosedResourceError):
            await end.send(b"x")
        with pytest.raises(anyio.ClosedResourceError):
            await end.receive()


async def test_one_direction_cannot_be_ended_and_less_than_a_byte_not_received() -> None:
    async with pair() as (one, _):
        with pytest.raises(NotImplementedError):
            await one.send_eof()
        with pytest.raises(ValueError, match="max_bytes"):
            await one.receive(0)


async def test_a_lost_connection_is_no_ordinary_end() -> None:
    failures: list[Exception] = []
    async with serving(echo, failures) as port:
        async with bare(port) as stream:
            await stream.send(frame(BINARY, b"hello"))
            await exactly(stream, 7)
        await until(lambda: failures)
    assert isinstance(failures[0], anyio.BrokenResourceError)
    assert "without a closing handshake" in str(failures[0])


@pytest.mark.parametrize("reads", [True, False])
async def test_closing_takes_half_a_second_at_most_if_the_peer_never_answers(reads: bool) -> None:
    taken: list[float] = []

    async def close(web: WebSocketStream) -> None:
        if not reads:
            while True:
                with anyio.move_on_after(0.2) as waiting:
                    await web.send(bytes(MIB))
                if waiting.cancelled_caught:
                    break
        start = anyio.current_time()
        await web.close(1001, "the node stops")
        taken.append(anyio.current_time() - start)

    async with serving(close) as port, bare(port) as stream:
        if reads:
            said = b""
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                while True:
                    said += await stream.receive()
            assert close_frame(said) == (1001, "the node stops")
        await until(lambda: taken)
    assert taken[0] < 0.8


@pytest.mark.parametrize("busy", [True, False])
async def test_cancellation_ends_a_stream_at_once_and_without_a_word(busy: bool) -> None:
    there, ended, scope = anyio.Event(), anyio.Event(), anyio.CancelScope()

    async def serve(stream: SocketStream) -> None:
        with scope:
            async with accept_websocket(stream) as web:
                there.set()
                while busy:
                    await web.send(bytes(MIB))
                await web.receive()
        ended.set()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        async with bare(listener.extra(SocketAttribute.local_port)) as stream:
            await there.wait()
            await anyio.wait_all_tasks_blocked()
            with within(0.3):
                scope.cancel()
                await ended.wait()
            if not busy:
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    await stream.receive()
        tasks.cancel_scope.cancel()


async def test_a_send_that_was_cancelled_leaves_no_half_frame_behind_which_others_follow() -> None:
    async with pair() as (one, _):
        with anyio.move_on_after(0.3) as waiting:
            while True:
                await one.send(bytes(MIB))
        assert waiting.cancelled_caught
        with pytest.raises(anyio.BrokenResourceError):
            await one.send(b"x")
        with within(0.8):
            await one.aclose()


@pytest.mark.parametrize(("backend", "library"), [("asyncio", "websockets"), ("trio", "trio_websocket")])
def test_a_missing_library_is_named_with_what_to_do(backend: str, library: str) -> None:
    script = f"""
import sys, anyio
sys.modules[{library!r}] = None
from rafty_transports.websocket import check_library
async def main():
    try: check_library()
    except ImportError as error: print(error)
anyio.run(main, backend={backend!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "pip install 'rafty[websocket]'" in done.stdout
    assert library.replace("_", "-") in done.stdout


def test_neither_library_is_imported_before_it_is_needed() -> None:
    script = (
        "import sys, rafty_transports.websocket; print({'websockets', 'trio_websocket', 'wsproto'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "set()\n"
