"""Proposals are accepted, forwarded or refused, and each refusal names its reason."""

from typing import Any

import pytest

from rafty_core import (
    ForwardedProposal,
    ForwardedProposalResponse,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProposalError,
    Superseded,
    TooLarge,
)
from tests.scenarios.story import Story


def following(**settings: Any) -> Story:
    """A leads and B follows; everything is at rest."""
    story = Story("ABC", settings=settings)
    story.elect("A", "ABC")
    return story


def test_proposal_of_nothing_is_answered_at_once() -> None:
    story = Story("ABC")
    story.propose("A", token=1)
    assert (story["A"].answer(1).applied, story["A"].answer(1).error) == (0, None)


def test_node_that_knows_no_leader_says_so() -> None:
    story = Story("ABC")
    story.propose("A", b"x", token=1)
    assert str(story["A"].answer(1).error) == "no leader: A is follower in term 0 and has heard none since it started"
    story.elect("B", "ABC")
    story.wait(2000.0, "A")
    story.propose("A", b"x", token=2)
    error = story["A"].answer(2).error
    assert isinstance(error, NotLeader)
    assert str(error) == "no leader: A is pre_candidate in term 1 and last heard one 2000.0 s ago"


@pytest.mark.parametrize("name", "AB")
@pytest.mark.parametrize(
    ("commands", "text"), [([b"x" * 11], "11 bytes"), ([b"x" * 9] * 3, "a proposal weighs 51 bytes")]
)
def test_oversized_proposal_is_refused(name: str, commands: list[bytes], text: str) -> None:
    story = following(max_command_bytes=10, max_proposal_bytes=20)
    story.propose(name, *commands, token=1)
    error = story[name].answer(1).error
    assert isinstance(error, TooLarge)
    assert text in str(error)


@pytest.mark.parametrize("name", "AB")
def test_open_proposals_are_bounded(name: str) -> None:
    story = following(max_pending_proposals=2)
    for token in (1, 2, 3):
        story.propose(name, b"x", token=token)
    assert [answer.token for answer in story[name].answers] == [3]
    assert str(story[name].answer(3).error) == "2 proposals await their outcome"
    assert isinstance(story[name].answer(3).error, Overloaded)


def test_leader_refuses_an_oversized_forward() -> None:
    story = following(max_command_bytes=10)
    story.step("A", ForwardedProposal("B", "A", 1, 1, 1, [b"x" * 11]))
    (refusal,) = story.sent(ForwardedProposalResponse)
    assert (refusal.outcome, refusal.reason) == ("too_large", "a command has 11 bytes, and the limit is 10")


def test_forward_is_answered_with_the_results() -> None:
    story = following()
    story.propose("B", b"x", b"y", token=1)
    story.settle("ABC")
    assert (story["B"].answer(1).applied, story["B"].answer(1).results) == (2, [b"xx", b"yy"])


def test_superseded_forward_is_told_by_the_deposed_leader() -> None:
    story = following()
    story.propose("B", b"x", token=1)
    story.deliver(ForwardedProposal)
    story.settle("A")
    story.elect("C", "BC", settle=False)
    for _ in range(6):
        for name in "AC":
            story.persist(name)
            story.apply(name)
            story.deliver(to=name)
    story.deliver(ForwardedProposalResponse, to="B")
    assert isinstance(story["B"].answer(1).error, Superseded)


RESPONSES: list[tuple[str, list[bytes], type[ProposalError]]] = [
    ("superseded", [], Superseded),
    ("not_leader", [], NotLeader),
    ("overloaded", [], Overloaded),
    ("unknown", [], OutcomeUnknown),
]


@pytest.mark.parametrize(("outcome", "results", "error"), RESPONSES)
def test_word_of_the_leader_becomes_the_answer(outcome: str, results: list[bytes], error: type[ProposalError]) -> None:
    story = following()
    story.propose("B", b"x", token=1)
    story.drop()
    story.step("B", ForwardedProposalResponse("A", "B", 1, 1, 1, outcome, results, "C", "so it is"))
    assert type(story["B"].answer(1).error) is error
    assert story["B"].status.pending_proposals == 0


@pytest.mark.parametrize(
    "response",
    [
        ForwardedProposalResponse("A", "B", 1, 1, 9, "applied", [b"r"]),
        ForwardedProposalResponse("C", "B", 1, 1, 1, "applied", [b"r"]),
        ForwardedProposalResponse("A", "B", 1, 1, 1, "applied", [b"r", b"r"]),
        ForwardedProposalResponse("A", "B", 1, 7, 1, "applied", [b"r"]),
    ],
    ids=["another number", "another node", "another count", "another boot"],
)
def test_answer_to_something_else_is_not_taken(response: ForwardedProposalResponse) -> None:
    story = following()
    story.propose("B", b"x", token=1)
    story.step("B", response)
    assert (story["B"].answers, story["B"].status.pending_proposals) == ([], 1)
