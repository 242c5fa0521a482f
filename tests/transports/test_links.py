"""A connection in use, from the side that receives: what is too slow, who has fallen silent, who is not to blame."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries
from rafty_transports.codec import KEEP_ALIVE, encode
from rafty_transports.links import GUEST_BYTES, FrameTooSlow, Limits, receive_side
from rafty_transports.packing import DecodeError
from rafty_transports.queues import Inbox
from tests.transports.connections import heartbeat, rounds, until

pytestmark = pytest.mark.anyio

FRAME = encode(heartbeat("n1", "n2", 7))[0]
PATIENT = Limits(keep_alive=0.02, idle=30.0, frame=30.0)
STRICT = Limits(keep_alive=0.02, idle=30.0, frame=0.5)
TIRED = Limits(keep_alive=0.02, idle=0.6, frame=0.5)


@dataclass
class Receiving:
    """n2 as it receives of n1; `says` is what a test says in the name of n1, `outcome` what came of it."""

    says: Callable[[bytes], Coroutine[Any, Any, None]]
    inbox: Inbox
    guest: bool = False
    room: bool = True
    id: str = "n1"
    notes: int = 0
    outcome: list[object] = field(default_factory=list)

    def note(self, _: float) -> None:
        """See `links.Source`."""
        self.notes += 1

    def hold(self, size: int) -> bool:
        """See `links.Source`."""
        return self.room or size == 0

    async def run(self, stream: SocketStream, limits: Limits) -> None:
        """Receive until the connection ends."""
        try:
            self.outcome.append(await receive_side(stream, b"", self, "n2", self.inbox, limits))
        except DecodeError as error:
            self.outcome.append(error)


@asynccontextmanager
async def receiving(limits: Limits, inbox_bytes: int = 1_000_000) -> AsyncIterator[Receiving]:
    """A connection on which n2 receives."""
    ends: list[SocketStream] = []

    async def keep(stream: SocketStream) -> None:
        ends.append(stream)
        await anyio.sleep_forever()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, keep)
        near = await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port))
        await until(lambda: ends)
        async with near, ends[0]:
            side = Receiving(near.send, Inbox(inbox_bytes))
            tasks.start_soon(side.run, ends[0], limits)
            with anyio.fail_after(10):
                yield side
            tasks.cancel_scope.cancel()


async def test_a_frame_that_never_ends_is_too_slow_however_rare_keep_alives_are() -> None:
    async with receiving(Limits(keep_alive=30.0, idle=60.0, frame=0.1)) as side:
        await side.says(FRAME[:-1])
        await until(lambda: side.outcome, 3.0)
        assert isinstance(side.outcome[0], FrameTooSlow)


async def test_a_frame_that_grows_byte_by_byte_is_too_slow() -> None:
    async with receiving(STRICT) as side:
        big = b"".join(encode(AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, [bytes(1000)]))))
        with anyio.fail_after(3.0):
            for at in range(len(big)):
                await side.says(big[at : at + 1])
                await anyio.sleep(0.01)
                if side.outcome:
                    break
        assert isinstance(side.outcome[0], FrameTooSlow)


async def test_frames_that_are_always_in_two_chunks_are_not_too_slow() -> None:
    async with receiving(STRICT) as side:
        await side.says(FRAME[:20])
        for _ in range(30):
            await anyio.sleep(0.03)
            await side.says(FRAME[20:] + FRAME[:20])
        await until(lambda: len(side.inbox._items) == 30)
        assert side.outcome == []


async def test_who_owes_nothing_is_not_too_slow() -> None:
    async with receiving(STRICT) as side:
        await side.says(FRAME[:20])
        await anyio.sleep(0.05)
        await side.says(FRAME[20:])
        await anyio.sleep(0.8)
        assert side.outcome == []


async def test_nobody_is_too_slow_or_silent_while_this_node_does_not_listen() -> None:
    async with receiving(TIRED, inbox_bytes=1) as side:
        side.inbox.add([heartbeat("n1", "n2", 1)], 10)
        assert side.inbox.full
        await side.says(FRAME[:20])
        await anyio.sleep(0.05)
        await side.says(FRAME[20:])
        await anyio.sleep(1.2)
        assert side.outcome == []
        assert rounds(await side.inbox.take()) == [1]
        await anyio.sleep(0.1)  # it has had no time to say anything since
        assert side.outcome == []
        assert rounds(await side.inbox.take()) == [7]


async def test_who_is_silent_is_given_up_and_the_reason_is_said() -> None:
    async with receiving(TIRED) as side:
        await side.says(FRAME)
        await until(lambda: side.outcome, 3.0)
        assert side.outcome == ["the peer was silent for more than 0.6 s"]


async def test_of_a_guest_a_few_messages_are_taken_at_a_time() -> None:
    async with receiving(PATIENT) as side:
        side.guest, got = True, 0
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(side.says, FRAME * 3000)
            while got < 3000:
                with anyio.fail_after(5):
                    taken = await side.inbox.take()
                assert len(taken) <= GUEST_BYTES // len(FRAME) + 1
                got += len(taken)
                await anyio.sleep(0.02)  # whatever else is there could come by now


async def test_keep_alives_say_nothing() -> None:
    async with receiving(PATIENT) as side:
        for _ in range(5):
            await side.says(KEEP_ALIVE)
            await anyio.sleep(0.01)
        await side.says(KEEP_ALIVE + FRAME)
        await until(lambda: side.inbox._items)
        assert side.notes == 1


async def test_what_is_received_is_counted_once() -> None:
    async with receiving(PATIENT) as side:
        for count in range(1, 6):
            await side.says(FRAME)
            await until(lambda count=count: len(side.inbox._items) == count)  # type: ignore[misc]
        assert side.inbox._bytes == 5 * len(FRAME)


async def test_messages_before_a_wrong_frame_count() -> None:
    async with receiving(PATIENT) as side:
        await side.says(FRAME + b"\x00\x00\x00\x20" + bytes(32))
        await until(lambda: side.outcome)
        assert isinstance(side.outcome[0], DecodeError)
        assert rounds(side.inbox._items) == [7]


async def test_a_frame_for_which_there_is_no_room_ends_the_connection() -> None:
    async with receiving(PATIENT) as side:
        side.room = False
        await side.says(FRAME)
        await until(lambda: side.inbox._items)
        await side.says(FRAME[:20])
        await until(lambda: side.outcome)
        assert "while many others have done so" in str(side.outcome[0])


class TakesNothing(ByteStream):
    """A stream whose other side says that it lives, for ever, and never reads."""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.sleep(0.01)
        return KEEP_ALIVE

    async def send(self, item: bytes) -> None:
        await anyio.sleep_forever()

    async def send_eof(self) -> None: ...

    async def aclose(self) -> None: ...


async def test_a_peer_that_speaks_and_never_reads_is_let_go() -> None:
    source = Receiving(TakesNothing().send, Inbox(1000))
    with anyio.fail_after(5):
        end = await receive_side(TakesNothing(), b"", source, "n2", source.inbox, TIRED)
    assert end == "the peer took nothing for more than 0.6 s"
