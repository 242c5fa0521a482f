"""Who is no voter neither stands for election nor has a vote.

D is a learner. It hears no heartbeat for an age and must stay quiet; and its grants, or a stranger's, make nobody
leader.
"""

from rafty_core import Campaign, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse, TimeoutNow
from tests.scenarios.story import Chance, Story


def test_learner_never_campaigns() -> None:
    story = Story("ABC", learners="D", chances={"D": Chance(0.0)}, terms={"": 4})
    story.wait(100.0, "D")
    story.step("D", Campaign())
    assert (story["D"].status.role, story["D"].status.term, story.air) == ("follower", 4, [])
    assert story["D"].raft.deadline == float("inf")


def test_grants_of_others_than_voters_are_not_counted() -> None:
    story = Story("ABC", learners="D", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.step("A", PreVoteResponse("D", "A", 4, 5, True), PreVoteResponse("X", "A", 4, 5, True))
    assert story["A"].status.role == "pre_candidate"
    story.step("A", PreVoteResponse("B", "A", 4, 5, True))
    story.persist("A")
    story.step("A", RequestVoteResponse("D", "A", 5, True), RequestVoteResponse("X", "A", 5, True))
    assert story["A"].status.role == "candidate"


def test_who_waits_to_be_added_or_was_removed_never_campaigns() -> None:
    story = Story("ABC")
    story.join("D")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.beat("A", "ABC")
    for name in "CD":
        story.wait(100.0, name)
        story.step(name, Campaign(), TimeoutNow("A", name, story[name].status.term + 1))
        assert story[name].status.role == "follower"
        assert story[name].raft.deadline == float("inf")
    assert story.sent(PreVote) == story.sent(RequestVote) == []


def test_demoted_voter_campaigns_no_more_once_that_is_committed() -> None:
    story = Story("ABC", chances={"C": Chance(0.0)})
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "C"))
    story.beat("A", "ABC")
    assert [learner.id for learner in story["C"].status.configuration.learners] == ["C"]
    story.wait(100.0, "C")
    assert (story["C"].status.role, story["C"].raft.deadline) == ("follower", float("inf"))
