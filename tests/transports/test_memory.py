"""The in-memory network: the same contract as any transport, and no shared objects."""

import anyio
import pytest

from rafty_core.entries import Batch
from rafty_core.events import PeerUnreachable
from rafty_core.messages import AppendEntries, Heartbeat
from rafty_transports.memory import MemoryNetwork
from tests.transports.connections import heartbeat, messages_of, rounds, unreachable_of
from tests.transports.test_codec import MESSAGES

pytestmark = pytest.mark.anyio


async def test_every_message_arrives_in_order() -> None:
    messages = [message for message in MESSAGES if (message.sender, message.to) == ("n1", "n2")]
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two:
        for message in messages:
            one.send(message)
        assert await messages_of(two, len(messages)) == messages


async def test_what_arrives_is_a_copy() -> None:
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two:
        entries = [b"\x01one"]
        message = AppendEntries("n1", "n2", 1, 0, 0, 0, Batch(1, 1, entries))
        one.send(message)
        entries.append(b"\x01two")
        (copy,) = await messages_of(two, 1)
        assert isinstance(copy, AppendEntries)
        assert copy.batch == Batch(1, 1, [b"\x01one"])
        assert copy.batch is not message.batch


async def test_blocked_nodes_hear_nothing_until_healed() -> None:
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two:
        network.block("n1", "n2")
        one.send(heartbeat("n1", "n2", 1))
        one.send(heartbeat("n1", "n2", 2))
        two.send(heartbeat("n2", "n1", 3))
        assert await one.__anext__() == [PeerUnreachable("n2")]
        assert await unreachable_of(two) == "n1"
        network.heal()
        one.send(heartbeat("n1", "n2", 4))
        assert rounds(await messages_of(two, 1)) == [4]
        assert one.dropped == 2


async def test_a_full_inbox_drops_the_newest_and_says_so() -> None:
    network = MemoryNetwork(inbox_bytes=100)
    async with network.transport("n1") as one, network.transport("n2") as two:
        for number in range(50):
            one.send(heartbeat("n1", "n2", number))
        got = rounds(await messages_of(two, 1))
        assert got == list(range(len(got)))
        assert one.dropped == 50 - len(got)
        assert await one.__anext__() == [PeerUnreachable("n2")]


async def test_messages_to_nobody_of_another_or_without_an_encoding_are_lost() -> None:
    network = MemoryNetwork()
    async with network.transport("n1") as one, network.transport("n2") as two:
        one.send(heartbeat("n1", "n9"))
        one.send(heartbeat("n3", "n2"))
        one.send(Heartbeat("n1", "n2", 2**64, 0, 0))
        one.send(Heartbeat("n1", "n2", -1, 0, 0))
        one.send(heartbeat("n1", "n2", 5))
        assert rounds(await messages_of(two, 1)) == [5]
        assert one.dropped == 4


async def test_a_name_is_open_once_and_can_be_opened_again() -> None:
    network = MemoryNetwork()
    async with network.transport("n1"):
        with pytest.raises(ValueError, match="open"):
            async with network.transport("n1"):
                pass
    async with network.transport("n1"), network.transport("n2") as two:
        two.send(heartbeat("n2", "n1"))
    with pytest.raises(ValueError, match="node id"):
        network.transport("")


async def test_the_iteration_ends_when_the_transport_closes() -> None:
    network = MemoryNetwork()
    with anyio.fail_after(5):
        async with network.transport("n1") as one:
            pass
        assert [items async for items in one] == []
