"""An answer is not answered, and a message without news is answered at most once.

In a quiet cluster a heartbeat interval sees one heartbeat and one response for each follower. If a repeated append
drew an acknowledgement that drew another append, the traffic would never end.
"""

from rafty_core import AppendEntries, Heartbeat, HeartbeatResponse, InstallSnapshot, Read, ReadIndexRequest
from tests.scenarios.behind import beat, begin_to_fetch, left_behind
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


def test_follower_that_fetches_is_offered_the_snapshot_once_in_a_heartbeat() -> None:
    story = left_behind()
    begin_to_fetch(story)
    for _ in range(5):
        beat(story)
        assert len(story.sent(InstallSnapshot)) == 1
        story.deliver(InstallSnapshot)
        for number in range(3):
            story.propose("A", b"%d" % number)
            story.settle("AB")
        assert story.sent(InstallSnapshot) == []
    offered = story.step("C", InstallSnapshot("A", "C", 1, 6, 1, story["C"].status.configuration))
    assert offered.messages == []


def test_many_reads_share_a_round() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for token in range(100):
        story.step("A", Read(token), ReadIndexRequest("B", "A", 1, 1, token + 1, False))
    assert len(story.sent(Heartbeat)) == 2
    rounds = 0
    while len(story["A"].answers) < 100:
        rounds += 1
        story.deliver(Heartbeat)
        story.deliver(HeartbeatResponse)
    assert rounds == 2
    assert story.settle("ABC") <= 100 + 4


def test_repeated_question_is_answered_once_each_and_its_answer_not_at_all() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("B", Read("read"))
    (request,) = story.sent(ReadIndexRequest)
    story.settle("ABC")
    story.step("A", request)
    assert story.settle("ABC") <= 5
    assert len(story["B"].answers) == 1
