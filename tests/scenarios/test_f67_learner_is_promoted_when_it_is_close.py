"""A learner counts nothing until its promotion, and is promoted only when it is close to the leader's log.

Promoted while it is far behind, it would leave the cluster without a majority that can commit.
"""

from rafty_core import AppendEntries, AppendEntriesResponse
from tests.scenarios.story import Story


def test_acknowledgement_of_a_learner_that_is_to_be_promoted_counts_nothing() -> None:
    story = Story("ABC", learners="D")
    story.elect("A", "ABCD")
    story.change("A", ("add_voter", "D"))
    story.persist("A")
    story.drop()
    last = story["A"].status.last_index
    story.step("A", AppendEntriesResponse("D", "A", 1, True, last))
    assert story["A"].status.commit_index == last - 1


def test_learner_that_is_far_behind_is_not_promoted() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    for number in range(20):
        story.propose("A", b"%d" % number)
    story.settle("AB")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    for _ in range(20):
        story.wait(0.1, "A")
        story.drop(AppendEntries, to="D")
        story.settle("ABD")
        assert not story["A"].status.configuration.is_joint
    story.beat("A", "ABD", 4)
    assert story["D"].status.configuration.voter_ids == ("A", "B", "D")
    assert len(story["D"].applied) == 20


def test_learner_that_is_never_close_is_given_up_after_ten_rounds() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    story.settle("AB")
    for number in range(1, 11):
        assert round_of(story, "D") == number
        for _ in range(6):  # the round takes the learner longer than an election timeout
            story.propose("A", b"x")
            story.wait(0.1, "A")
            story.settle("AB")
        story.until(lambda number=number: round_of(story, "D") != number, "ABD")  # type: ignore[misc]
        story.drop()
    story.beat("A", "AB", 1)
    assert "after 10 rounds" in str(story["A"].answer("change").error)
    assert story["B"].status.configuration.member("D") is None


def round_of(story: Story, learner: str) -> int:
    """The round of catching up that this learner is in."""
    return sum(peer.catching_up for peer in story["A"].status.peers if peer.id == learner)


def test_learner_that_is_silent_is_given_up_and_may_be_tried_again() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.change("A", ("add_voter", "D"), token="first")
    story.settle("AB")
    story.beat("A", "AB", 60)
    answer = story["A"].answer("first")
    assert (answer.error.reason, "D has not been heard" in str(answer.error)) == ("undone", True)
    assert story["A"].status.configuration.removed == ()
    story.join("D")
    story.change("A", ("add_voter", "D"), token="second")
    story.beat("A", "ABD")
    assert story["A"].answer("second").error is None
