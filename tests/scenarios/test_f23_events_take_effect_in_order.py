"""There is one door, and events pass it one at a time, in the order in which they came.

B is asked by C for a vote of term 6, and right behind the request comes a heartbeat of A, leader of term 5. Handled
beside the main path, or first, the heartbeat would be taken under a term that B has already left.
"""

from rafty_core import AppendEntriesResponse, Heartbeat, HeartbeatResponse, Propose, RequestVote
from tests.scenarios.story import Story


def test_heartbeat_behind_a_vote_finds_the_new_term() -> None:
    story = Story("ABC", terms={"": 5})
    story.now = 1.0
    output = story.step("B", RequestVote("C", "B", 6, 0, 0), Heartbeat("A", "B", 5, 0, 1))
    assert output.messages == [HeartbeatResponse("B", "A", 6, 0)]
    assert (story["B"].status.term, story["B"].status.vote, story["B"].status.leader) == (6, "C", None)


def test_acknowledgement_behind_a_newer_term_finds_no_leader() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x", token=1)
    story.persist("A")
    story.drop()
    story.step("A", Heartbeat("C", "A", 2, 0, 1), AppendEntriesResponse("B", "A", 1, True, 2))
    assert (story["A"].status.role, story["A"].status.commit_index) == ("follower", 1)


def test_proposal_behind_a_newer_term_is_not_appended() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Heartbeat("C", "A", 2, 0, 1), Propose(1, [b"x"]))
    assert story["A"].log == [1]
