"""Fault F135: an in-memory network hands the sender's own object to the receiver, and two nodes share a list.

What one node cuts off or appends then changes the other's log, and tests never see what the codec would do.
"""

import pytest

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.memory import MemoryNetwork
from tests.transports.connections import heartbeat, messages_of, rounds


@pytest.mark.anyio
async def test_the_receiver_gets_a_copy_of_its_own() -> None:
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two, network.transport("n3") as three:
        entries = [b"\x01first", b"\x01second"]
        batch = Batch(1, 1, entries)
        for to in ("n2", "n3"):
            one.send(AppendEntries("n1", to, 1, 0, 0, 0, batch))
        entries.clear()
        copies = [*await messages_of(two, 1), *await messages_of(three, 1)]
        batches = [copy.batch for copy in copies if isinstance(copy, AppendEntries) and copy.batch is not None]
        assert [list(each.entries) for each in batches] == [[b"\x01first", b"\x01second"]] * 2
        assert batches[0] is not batches[1]
        assert batches[0].entries is not batches[1].entries


@pytest.mark.anyio
async def test_what_the_codec_refuses_does_not_arrive() -> None:
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two:
        one.send(Heartbeat("n1", "n2", 2**64, 0, 1))
        one.send(heartbeat("n1", "n2", 2))
        assert rounds(await messages_of(two, 1)) == [2]
