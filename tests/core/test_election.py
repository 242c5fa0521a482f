"""What ends an election, besides winning it."""

from rafty_core import (
    Campaign,
    Heartbeat,
    LeaderChanged,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    RoleChanged,
)
from rafty_core.roles import Candidate, PreCandidate
from tests.core.test_table import node_in
from tests.scenarios.story import Chance, Story


def test_candidate_that_a_majority_refuses_follows_again() -> None:
    story = node_in(Candidate)
    story.step("A", RequestVoteResponse("B", "A", 5, False), RequestVoteResponse("C", "A", 5, False))
    assert (story["A"].status.role, story["A"].status.term, story["A"].status.vote) == ("follower", 5, "A")


def test_pre_candidate_that_a_majority_refuses_follows_again() -> None:
    story = node_in(PreCandidate)
    story.step("A", PreVoteResponse("B", "A", 4, 5, False), PreVoteResponse("C", "A", 4, 5, False))
    assert (story["A"].status.role, story["A"].status.term) == ("follower", 4)


def test_candidate_gives_way_to_the_leader_of_its_term() -> None:
    story = node_in(Candidate)
    output = story.step("A", Heartbeat("B", "A", 5, 0, 1))
    assert (story["A"].status.role, story["A"].status.leader) == ("follower", "B")
    assert output.notices == [RoleChanged("follower", 5), LeaderChanged("B", 5)]


def test_candidate_that_nobody_answers_asks_again_first() -> None:
    story = Story("ABC", terms={"": 4}, chances={"A": Chance(0.0)})
    story.now = 1.0
    story.step("A", Campaign())
    story.deliver(PreVote)
    story.deliver(PreVoteResponse)
    story.persist("A")
    assert [request.term for request in story.drop(RequestVote)] == [5, 5]
    story.now = story["A"].raft.deadline
    story.step("A")
    assert (story["A"].status.role, story["A"].status.term) == ("pre_candidate", 5)
    assert [question.term for question in story.drop(PreVote)] == [6, 6]


def test_repeated_request_of_the_same_candidate_is_granted_again() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    request = RequestVote("B", "A", 5, 0, 0)
    story.step("A", request)
    story.persist("A")
    story.step("A", request)
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("A", "B", 5, True)] * 2


def test_vote_that_is_not_durable_yet_survives_the_new_leaders_first_word() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("A", RequestVote("B", "A", 5, 0, 0), Heartbeat("B", "A", 5, 0, 1))
    story.persist("A")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("A", "B", 5, True)]
