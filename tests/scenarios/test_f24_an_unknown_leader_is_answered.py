"""Fault F24, on the wire: a node that is ahead in its term ignores the leader, who then never learns that term.

Here the node has not even heard of the leader: it was elected in a configuration that this node has yet to receive. Its
heartbeat of an older term arrives, and the answer with the newer term finds the way back.
"""

import pytest

from rafty_core.configuration import Member
from rafty_core.messages import Heartbeat, HeartbeatResponse
from tests.transports.connections import NOWHERE, messages_of, reachable

pytestmark = pytest.mark.anyio


async def test_a_leader_that_the_configuration_does_not_name_learns_the_newer_term() -> None:
    async with reachable("n5") as leader, reachable("n2") as behind:
        behind.set_members([Member("n1", NOWHERE), Member("n2"), Member("n3", NOWHERE)], [])
        leader.set_members([Member("n5"), Member("n2", behind.address)], [])
        leader.send(Heartbeat("n5", "n2", 7, 0, 1))
        assert await messages_of(behind, 1) == [Heartbeat("n5", "n2", 7, 0, 1)]
        behind.send(HeartbeatResponse("n2", "n5", 9, 1))
        assert await messages_of(leader, 1) == [HeartbeatResponse("n2", "n5", 9, 1)]
