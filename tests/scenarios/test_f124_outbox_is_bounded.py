"""Fault F124: a peer is slow or dead, and what waits for it grows until the node has no memory left.

What does not fit is dropped and counted, and the core is told once; what one peer costs does not touch another.
"""

import anyio
import anyio.lowlevel
import pytest

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries
from rafty_transports.chunks import SnapshotChunk
from rafty_transports.links import Limits
from rafty_transports.queues import HELD_CHUNKS, Outbox
from tests.transports.connections import NOWHERE, heartbeat, node, unreachable_of, until

ENTRY = b"\x01" * 10_000


def append(at: int) -> AppendEntries:
    return AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [ENTRY]))


def test_appends_are_bounded_in_bytes_and_in_number() -> None:
    for messages, size, kept in ((1000, 100_000, 10), (5, 100_000_000, 5)):
        outbox = Outbox(messages, size)
        outbox.connected = True
        taken = sum(outbox.put(append(at)) for at in range(500))
        assert taken == kept
        assert outbox.dropped == 500 - kept


def test_small_messages_are_bounded_too() -> None:
    outbox = Outbox(20, 100_000)
    outbox.connected = True
    assert sum(outbox.put(heartbeat("n1", "n2", number)) for number in range(500)) == 20


def test_pieces_of_snapshots_are_bounded_too() -> None:
    outbox = Outbox(1000, 100_000_000)
    piece = SnapshotChunk("n1", "n2", 9, 1, "a" * 64, 10_000, 0, ENTRY)
    assert not outbox.put(piece)
    outbox.connected = True
    assert sum(outbox.put(piece) for _ in range(500)) == HELD_CHUNKS
    assert outbox.dropped == 501 - HELD_CHUNKS


@pytest.mark.anyio
async def test_a_peer_that_stopped_reading_costs_a_bounded_amount() -> None:
    limits = Limits(outbox_bytes=200_000, backoff_first=0.01)
    async with node("n2", {"n1": NOWHERE}, Limits(inbox_bytes=1)) as two:
        async with node("n1", {"n2": two.address}, limits) as one:
            await until(lambda: one.peers()["n2"].connected)
            dropped = one.peers()["n2"].dropped
            with anyio.fail_after(20):
                for at in range(20_000):
                    one.send(append(at))
                    if one.peers()["n2"].dropped > dropped + 100:
                        break
                    await anyio.lowlevel.checkpoint()
            assert one.peers()["n2"].dropped > dropped + 100
            assert await unreachable_of(one) == "n2"
