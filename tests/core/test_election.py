"""What ends an election, besides winning it."""

from rafty_core import (
    AppendEntries,
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


def stranded(*, learner_is_newest: bool) -> Story:
    """B is to be replaced by the learner D. It has written the joint configuration, and nobody else has it; A, which
    led afterwards, is down. C's log ends before that, and that of D, `learner_is_newest`, with an entry of A."""
    story = Story("ABC", learners="D")
    story.elect("B", "ABCD")
    story.beat("B", "ABCD", 2)
    story.change("B", ("remove", "B"), ("add_voter", "D"))
    story.until(lambda: story["B"].status.configuration.is_joint, "ABCD")
    story.persist("B")
    story.crash("B")
    story.elect("A", "AC", settle=False)
    story.persist("A")
    if learner_is_newest:
        story.deliver(AppendEntries, to="D")
        story.persist("D")
    story.crash("A")
    return story


def test_learner_with_the_newest_log_may_leave_two_voters_of_three_without_a_leader() -> None:
    """A limit of joint consensus, not a fault (seed 9270 of the simulation): B needs D's vote or A's, and its log is
    not as new as D's; C's is not as new as B's; and D is no voter by its own, so it does not stand for election."""
    story = stranded(learner_is_newest=True)
    for name in "BCD" * 3:
        story.now += 2.0
        story.step(name, Campaign())
        story.settle("BCD")
        assert [other for other in "BCD" if story[other].status.role == "leader"] == []
    story.elect("A", "ABCD")
    story.beat("A", "ABCD", 5)
    assert story["A"].status.configuration.voter_ids == ("A", "C", "D")
    assert story["A"].status.configuration.at_rest


def test_learner_with_an_older_log_elects_by_a_configuration_that_it_does_not_know() -> None:
    story = stranded(learner_is_newest=False)
    story.elect("B", "BCD")
