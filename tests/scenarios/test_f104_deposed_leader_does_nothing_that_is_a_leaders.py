"""A leader that was deposed, or lost its majority, does nothing that only a leader may do; its program is told at once.

A was in the midst of a change, of a transfer and of a read when B was elected. From that step on it changes no member,
sends no heartbeat, confirms no read and asks nobody to take over.
"""

from rafty_core import Heartbeat, HeartbeatResponse, Read, RoleChanged, TimeoutNow, TransferLeadership
from tests.scenarios.story import Story


def test_deposed_leader_takes_no_step_of_a_change() -> None:
    story = Story("ABC", learners="D")
    story.elect("A", "ABCD")
    story.change("A", ("add_voter", "D"))
    story.until(lambda: story["A"].status.configuration.goal is not None and not story["A"].writes, "ABCD")
    story.step("A", TransferLeadership("t", "C", 100.0), Read("r"))
    last, told = story["A"].status.last_index, len(story["A"].notices)
    story.step("A", Heartbeat("B", "A", 2, 0, 1))
    assert story["A"].notices[told] == RoleChanged("follower", 2)
    story.drop()
    for _ in range(20):
        story.wait(0.1, "A")
        story.step("A", Heartbeat("B", "A", 2, 0, 2), HeartbeatResponse("D", "A", 2, 1))
    assert story["A"].status.last_index == last
    assert story.sent(Heartbeat) == story.sent(TimeoutNow) == []
    assert [answer for answer in story["A"].answers if answer.token == "r" and answer.error is None] == []


def test_leader_without_a_majority_is_told_in_the_step_in_which_it_ends() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(0.4, "A")
    story.drop()
    assert story["A"].status.role == "leader"
    story.now += 0.2
    output = story.step("A")
    assert RoleChanged("follower", 1) in output.notices
    assert output.messages == []
