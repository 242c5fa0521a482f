"""Two timers of a leader run out in one step: both are looked at, and it does not ask to be called again at once.

When the check of the quorum was due, a stalled write was not looked at in the same step; the deadline stayed in the
past, and a driver would have turned once more for nothing. Found by simulation (seed 1111).
"""

from rafty_core import Heartbeat, HeartbeatResponse
from tests.scenarios.story import Story


def test_leader_looks_at_all_its_timers_in_one_step() -> None:
    story = Story("ABC", settings={"election_timeout": 0.5})
    story.elect("A", "ABC")
    story.propose("A", b"x")  # the write is asked for, and never returns
    story.drop()
    story.now += 0.5  # the check of the quorum and the stalled write are due at the same moment
    story.step("A", HeartbeatResponse("B", "A", story["A"].status.term, 0))
    assert story["A"].status.role == "follower"
    assert story["A"].raft.deadline > story.now
    assert not story.sent(Heartbeat)
