"""A lease that is longer than a voter's election timeout binds it from the moment it has the configuration.

B drew its election timeout, 0.7 s, before the configuration promised leases of 2 s. It kept that timeout: 0.7 s after
it last heard A it stood for election, C, which had not heard A for long, elected it, and A still served reads from the
lease that B's answer had given it. Found by review.
"""

from rafty_core import ChangeMembership, Heartbeat, HeartbeatResponse, Lease, Read
from tests.scenarios.story import Chance, Story


def test_voter_that_drew_its_timeout_before_the_lease_keeps_the_promise() -> None:
    story = Story("ABC", chances={"B": Chance(0.4)})
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("lease", [], lease=Lease(2.0, 0.0)))
    story.settle("ABC")
    for _ in range(25):  # C is cut off, for longer than the lease
        story.wait(0.1, "A")
        story.settle("AB")
    story.wait(0.1, "A")
    story.deliver(Heartbeat, to="B")
    story.deliver(HeartbeatResponse, sender="B")
    story.drop()
    story.wait(0.9, "B")
    story.settle("BC")
    assert story["B"].status.role == "follower"
    story.step("A", Read("read", "lease"))
    assert story["A"].answers[-1].token == "read"
    story.wait(2.0, "B")
    story.settle("BC")
    assert story["B"].status.role == "leader"
