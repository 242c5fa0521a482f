"""R208: n3 is removed and added again with an empty disk, while the leader's disk takes its time.

Found by reading: the transport heard of a configuration only once the store had admitted the members of the committed
one before it. Until then the earlier life of n3 was connected still, got the appends that were meant for its successor,
and acknowledged them, for it has the log: the leader counted entries that the new n3 does not have, and would not send
them any more (fault F73). What of it had come in and was not taken yet counted too, whatever the disk did.
"""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from rafty_core import Change, Configuration, Member
from rafty_core.messages import AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse
from rafty_transports.codec import encode
from rafty_transports.interfaces import Identity, RemovedFromCluster
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    admit_all,
    closed_by_peer,
    connect_as,
    heartbeat,
    identity,
    messages_of,
    node,
    rounds,
)
from tests.transports.connections import QUICK as LIMITS
from tests.transports.nodes import QUICK, Recorder, until

pytestmark = pytest.mark.anyio


class Slow(MemoryStore):
    """A store that admits when the test wants it."""

    def __init__(self) -> None:
        super().__init__("n1", Configuration(voters=(Member("n1"),)))
        self.works = threading.Event()
        self.works.set()
        self.asked = 0

    def admit(self, members: Sequence[Member]) -> None:
        self.asked += 1
        self.works.wait(20.0)
        super().admit(members)


async def acknowledge(transport: TcpTransport) -> None:
    """Have every entry that is sent, and hear the leader, as a follower with the whole log, until it is told."""
    with suppress(RemovedFromCluster):
        async for received in transport:
            for message in received:
                if isinstance(message, AppendEntries):
                    last = message.prev_log_index if message.batch is None else message.batch.last
                    transport.send(AppendEntriesResponse("n3", "n1", message.term, True, last))
                elif isinstance(message, Heartbeat):
                    transport.send(HeartbeatResponse("n3", "n1", message.term, message.round))


async def test_r208_the_successor_is_not_taken_for_its_earlier_life() -> None:
    store = Slow()
    own = TcpTransport(store.identity, {}, ANYWHERE, admit=store.meet)
    async with Node(store, own, Recorder(), config=QUICK) as leader, anyio.create_task_group() as tasks:
        n3 = Identity(store.identity.cluster_id, "n3", "old", 1)
        async with TcpTransport(n3, {"n1": own.address}, ANYWHERE, admit=admit_all) as old:
            tasks.start_soon(acknowledge, old)
            await leader.propose(b"x")
            await leader.change_membership([Change("add_learner", Member("n3", old.address, "old"))])
            await until(lambda: leader.status().peers[0].match_index == leader.status().last_index)
            asked = store.asked
            store.works.clear()
            try:
                await leader.change_membership([Change("remove", Member("n3"))])
                await until(lambda: store.asked > asked)
                await leader.change_membership([Change("add_learner", Member("n3", NOWHERE, "new"))])
                with anyio.move_on_after(0.5):
                    await until(lambda: leader.status().peers[0].match_index > 0)
                assert leader.status().peers[0].match_index == 0
            finally:
                store.works.set()
        tasks.cancel_scope.cancel()


NEW = [Member("n1"), Member("n3", NOWHERE, "new")]
OLD = [Member("n3", "", "old")]


async def test_r208_what_it_said_before_is_not_taken_afterwards() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), *OLD], [])
        async with await connect_as(one.address, identity("n3", incarnation="old"), "n1") as old:
            await old.send(b"".join(encode(heartbeat("n3", "n1", 1))))
            await until(lambda: any(isinstance(item, Heartbeat) for item in one._inbox._items))
            one.set_members(NEW, OLD)
            await closed_by_peer(old)
        assert not await heard(one)


async def test_r208_what_it_was_about_to_say_is_not_taken_either() -> None:
    async with node("n1", {}, replace(LIMITS, inbox_bytes=1)) as one:
        one.set_members([Member("n1"), *OLD], [])
        async with await connect_as(one.address, identity("n3", incarnation="old"), "n1") as old:
            await old.send(b"".join(encode(heartbeat("n3", "n1", 1))))
            await until(lambda: one._inbox.full)
            await old.send(b"".join(encode(heartbeat("n3", "n1", 2))))
            await until(lambda: one._inbox._room is not None)
            assert rounds(await messages_of(one, 1)) == [1]  # there is room again
            one.set_members(NEW, OLD)
            await closed_by_peer(old)
        assert not await heard(one)


async def heard(one: TcpTransport) -> list[int]:
    """The numbers of the heartbeats that come in soon."""
    with anyio.move_on_after(0.2):
        return rounds(await messages_of(one, 1))
    return []
