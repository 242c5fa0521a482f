"""Fault F149: a full outbox drops its oldest append, and the follower refuses every later one, since one is missing.

Of pipelined appends the first are worth most: what is dropped is the newest.
"""

import pytest

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries
from rafty_transports.codec import decode
from rafty_transports.memory import MemoryNetwork
from rafty_transports.queues import Outbox
from tests.transports.connections import heartbeat, messages_of, rounds


@pytest.mark.anyio
async def test_a_full_outbox_keeps_an_unbroken_run_of_appends() -> None:
    outbox = Outbox(limit_messages=10, limit_bytes=1_000_000)
    outbox.connected = True
    for at in range(30):
        outbox.put(AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01"])))
    stream = b"".join(await outbox.take(1_000_000))
    kept = []
    while stream:
        length = int.from_bytes(stream[:4], "big")
        message = decode(stream[4 : 4 + length])
        assert isinstance(message, AppendEntries)
        kept.append(message.prev_log_index)
        stream = stream[4 + length :]
    assert kept == list(range(10))


@pytest.mark.anyio
async def test_a_full_inbox_in_memory_keeps_the_oldest() -> None:
    network = MemoryNetwork(inbox_bytes=200)
    async with network.transport("n1") as one, network.transport("n2") as two:
        for number in range(100):
            one.send(heartbeat("n1", "n2", number))
        got = rounds(await messages_of(two, 1))
        assert got == list(range(len(got)))
        assert 0 < len(got) < 20
