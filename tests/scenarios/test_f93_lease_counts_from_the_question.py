"""A lease begins when the heartbeat is handed out, ends by the clock of who holds it, and binds every voter that long.

A leads by a lease of 0.4 s. It is paused; its answers are late; a voter's own election timeout is shorter than the
lease; a clock runs fast. It never answers from a lease that may be over.
"""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Campaign,
    ChangeMembership,
    Heartbeat,
    HeartbeatResponse,
    Lease,
    PreVote,
    Read,
    RequestVote,
)
from tests.scenarios.story import Story


def with_lease(seconds: float = 0.4, drift: float = 0.0) -> Story:
    """A's configuration has this lease, everybody holds it, and A has begun a round at time 10 that nobody answered."""
    story = Story("ABC", lease=Lease(seconds, drift))
    story.elect("A", "ABC")
    for _ in range(2):
        story.wait(0.1, "A")
        story.settle("ABC")
    return story


def at_once(story: Story, token: str) -> bool:
    """Whether A answers a read by its lease alone."""
    story.step("A", Read(token, "lease"))
    story.drop(Heartbeat)
    return any(answer.token == token and answer.error is None for answer in story["A"].answers)


def test_lease_ends_by_the_leaders_clock() -> None:
    story = with_lease()
    began = story.now
    assert at_once(story, "now")
    story.now = began + 0.39
    assert at_once(story, "still")
    story.now = began + 0.41
    assert not at_once(story, "over")


def test_leader_that_was_paused_knows_it_before_it_reads() -> None:
    story = with_lease()
    story.now += 5.0
    output = story.step(
        "A", Read("read", "lease"), HeartbeatResponse("B", "A", 1, 2), HeartbeatResponse("C", "A", 1, 2)
    )
    assert not any(answer.error is None for answer in output.answers)


def test_late_answer_gives_what_is_left_of_the_lease() -> None:
    story = with_lease()
    story.wait(0.1, "A")
    asked = story.now
    story.deliver(Heartbeat)
    story.now = asked + 0.35
    story.deliver(HeartbeatResponse)
    assert at_once(story, "left")
    story.now = asked + 0.41
    assert not at_once(story, "over")


def test_drift_shortens_the_lease() -> None:
    story = with_lease(0.4, 0.25)
    began = story.now
    story.now = began + 0.31
    assert at_once(story, "left")
    story.now = began + 0.33
    assert not at_once(story, "over")


def test_no_voter_helps_another_while_the_lease_lasts() -> None:
    story = with_lease(2.0)
    story.wait(1.9)
    story.step("C", Campaign())
    assert story["C"].status.role == "follower"
    story.step("B", PreVote("C", "B", 2, 9, 1), RequestVote("C", "B", 2, 9, 1))
    story.persist("B")
    assert (story["B"].status.term, story["B"].status.vote) == (1, "A")
    assert [message.vote_granted for message in story.air if hasattr(message, "vote_granted")] == [False]
    story.drop()
    story.wait(0.2)
    story.step("C", Campaign())
    story.settle("BC")
    assert story["C"].status.role == "leader"


def test_lease_is_nobodys_without_the_configurations_leave() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.wait(0.1, "A")
    story.settle("ABC")
    assert not at_once(story, "read")


def test_lease_counts_when_its_configuration_is_committed() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("lease", [], lease=Lease(0.3, 0.0)))
    story.deliver(AppendEntries)
    story.persist("B")
    story.deliver(AppendEntriesResponse)
    story.wait(0.1, "A")
    story.deliver(Heartbeat)
    story.deliver(HeartbeatResponse)
    assert story["A"].status.commit_index == 1  # A's own disk is slow
    assert not at_once(story, "not committed")
    story.settle("ABC")
    assert at_once(story, "committed")


def test_lease_counts_only_voters_that_hold_its_configuration() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", ChangeMembership("lease", [], lease=Lease(0.3, 0.0)))
    story.settle("AB")
    story.wait(0.1, "A")
    story.settle("AB")
    assert at_once(story, "of B, which holds it")
    for _ in range(4):
        story.wait(0.1, "A")
        story.deliver(Heartbeat, to="C")
        story.deliver(HeartbeatResponse, sender="C")
        story.drop()
    assert not at_once(story, "of C, which knows of no lease")


def test_lease_that_is_given_up_ends_at_once() -> None:
    story = with_lease()
    assert at_once(story, "held")
    story.step("A", ChangeMembership("none", [], lease=None))
    assert not at_once(story, "given up")
    story.settle("ABC")
    assert not at_once(story, "gone")


def test_learners_give_no_lease() -> None:
    story = Story("ABC", learners="DE", lease=Lease(0.4, 0.0))
    story.elect("A", "ABCDE")
    story.wait(0.5)
    story.wait(0.0, "A")
    story.deliver(Heartbeat, to="D")
    story.deliver(Heartbeat, to="E")
    story.deliver(HeartbeatResponse)
    assert not at_once(story, "read")


def test_both_halves_of_a_joint_configuration_give_the_lease() -> None:
    story = Story("ABC", lease=Lease(0.4, 0.0))
    story.elect("A", "ABC")
    story.join("D")
    story.join("E")
    story.change("A", ("add_voter", "D"), ("add_voter", "E"), ("remove", "B"), ("remove", "C"))
    for _ in range(20):
        if story["A"].status.configuration.is_joint:
            break
        story.wait(0.02, "A")
        for name in "ABCDE":
            story.persist(name)
        story.deliver()
    assert story["A"].status.configuration.outgoing_ids == ("A", "B", "C")
    story.settle("ADE")
    for _ in range(4):
        story.wait(0.09, "A")
        story.settle("ADE")
    story.wait(0.09, "A")
    story.drop()
    assert not at_once(story, "of the new half alone")


@pytest.mark.parametrize("lease", [None, Lease(0.4, 0.0)])
def test_single_voter_answers_at_once(lease: Lease | None) -> None:
    story = Story("A", lease=lease)
    story.elect("A", "A")
    assert at_once(story, "read")
