"""An answer is not answered, and a message without news is answered at most once.

In a quiet cluster a heartbeat interval sees one heartbeat and one response for each follower. If a repeated append
drew an acknowledgement that drew another append, the traffic would never end.
"""

from rafty_core import AppendEntries, Heartbeat, HeartbeatResponse
from tests.scenarios.story import Story


def test_quiet_cluster_sends_heartbeats_and_their_answers_only() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    for _ in range(5):
        story.wait(0.1, "A")
        kinds = [type(message) for message in story.air]
        story.deliver()
        kinds += [type(message) for message in story.air]
        story.deliver()
        assert kinds == [Heartbeat, Heartbeat, HeartbeatResponse, HeartbeatResponse]
        assert story.air == []


def test_repeated_append_is_answered_once() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    append = story.sent(AppendEntries, to="B")[0]
    story.settle("ABC")
    story.step("B", append)
    assert len(story.air) <= 1
    assert story.settle("ABC") <= 1


def test_one_command_takes_a_bounded_number_of_messages() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    messages = story.settle("ABC")
    assert messages == 2 * 4  # for each follower an append, its answer, the commit index, its answer
