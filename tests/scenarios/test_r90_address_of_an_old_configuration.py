"""A node that catches up reads configurations that are long over, with addresses that lead nowhere any more.

It must go on answering its leader, where the leader itself says that it is reached: otherwise it would never get as far
in the log as the configuration with the right address. (Found when a restored cluster was moved and then grew.)
"""

import pytest

from rafty_core.configuration import Member
from tests.transports.connections import NOWHERE, messages_of, node, reachable, until
from tests.transports.test_roster import answers

pytestmark = pytest.mark.anyio


async def test_r90_leader_is_answered_where_it_says_that_it_is() -> None:
    async with reachable("n1") as leader, node("n2", {}) as late:
        leader.set_members([Member("n1"), Member("n2", late.address)], [])
        await until(lambda: leader.peers()["n2"].connected)
        late.set_members([Member("n1", NOWHERE), Member("n2")], [])
        await until(lambda: late.peers()["n1"].connected)
        answers(late, "n1")
        assert len(await messages_of(leader, 1)) == 1
