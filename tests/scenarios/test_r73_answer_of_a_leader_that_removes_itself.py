"""R73: who asks a leader to remove itself gets the answer, before the node ends.

Found on real processes: the node ended in the very step in which the change was done, and its service hung up on the
client before the answer was sent. The client had to look what had become of a change that was done.
"""

import anyio
import pytest

from rafty_core import Change, Configuration, Member
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node, NodeRemoved
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, until

pytestmark = pytest.mark.anyio


async def test_r73_answer_is_on_its_way_before_the_node_ends() -> None:
    network = MemoryNetwork()
    answers: list[tuple[str, ...]] = []
    store = MemoryStore("n1", Configuration.of("n1"))
    joining = MemoryStore("n2", Configuration(), join=store.identity.cluster_id)
    async with Node(joining, network.transport("n2"), Recorder(), config=QUICK) as second:
        with pytest.raises(NodeRemoved):
            async with Node(store, network.transport("n1"), Recorder(), config=QUICK) as first:
                await first.read()
                await first.change_membership([Change("add_voter", Member("n2"))])
                answer = await first.change_membership([Change("remove", Member("n1"))])
                await anyio.sleep(0.01)  # it is sent to whoever asked
                answers.append(answer.voter_ids)
                await anyio.sleep(5.0)
                answers.append(("it", "has", "not", "ended"))
        assert answers == [("n2",)]
        await until(lambda: second.status().role == "leader")
