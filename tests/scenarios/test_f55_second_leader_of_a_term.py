"""Two leaders in one term are a bug somewhere, and the second one is not obeyed.

B follows A in term 5 when C claims to lead term 5. Taking C's entries would turn that bug into lost data.
"""

from rafty_core import AppendEntries, Batch, Heartbeat, ProtocolViolation
from tests.scenarios.story import Story


def test_second_leader_is_dropped_and_both_are_named() -> None:
    story = Story("ABC", terms={"": 5})
    story.step("B", AppendEntries("A", "B", 5, 0, 0, 0, Batch(1, 5, [b"\x01a"])))
    before = story["B"].status
    for message in (Heartbeat("C", "B", 5, 0, 1), AppendEntries("C", "B", 5, 0, 0, 0, Batch(1, 4, [b"\x01c"]))):
        output = story.step("B", message)
        (notice,) = output.notices
        assert isinstance(notice, ProtocolViolation)
        assert "C and A both claim to lead term 5" in notice.text
        assert (output.messages, output.write) == ([], None)
    assert (story["B"].log, story["B"].status.leader) == ([5], before.leader)


def test_leader_does_not_obey_a_second_leader() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Heartbeat("C", "A", 1, 0, 1))
    assert (story["A"].status.role, story["A"].status.violations) == ("leader", 1)
