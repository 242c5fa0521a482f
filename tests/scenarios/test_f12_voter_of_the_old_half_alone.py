"""A voter of the old half alone is the only one that can win, so it must stand, and vote for itself where it counts.

{A} becomes {B}. A leads, and its power fails on the way: once while both halves decide, once when it holds the new
configuration, without itself, and B does not. Each time B's log is too old, and A must be elected to finish the change.
"""

from tests.scenarios.story import Chance, Story


def a_is_replaced_by_b() -> Story:
    story = Story("A", chances={"A": Chance(0.0)})
    story.elect("A", "A")
    story.join("B")
    story.change("A", ("add_voter", "B"), ("remove", "A"))
    return story


def test_candidate_of_the_old_half_votes_for_itself() -> None:
    story = a_is_replaced_by_b()
    story.until(lambda: story["A"].status.configuration.is_joint, "AB")
    story.persist("A")
    story.crash("A")
    story.elect("A", "AB")
    story.beat("A", "AB", 3)
    assert story["B"].status.role == "leader"
    assert story["B"].status.configuration.voter_ids == ("B",)


def test_voter_that_is_not_in_its_own_newest_configuration_stands_until_that_is_committed() -> None:
    story = a_is_replaced_by_b()
    story.until(lambda: story["A"].status.configuration.voter_ids == ("B",) and not alone(story), "AB")
    story.persist("A")
    story.crash("A")
    assert story["A"].status.last_index > story["B"].status.last_index
    story.wait(0.6, "A")
    assert story["A"].status.role == "pre_candidate"
    story.elect("A", "AB")
    story.beat("A", "AB", 3)
    assert (story["A"].status.role, story["B"].status.role) == ("follower", "leader")
    assert story["A"].raft.deadline == float("inf")


def test_own_vote_of_who_is_no_voter_any_more_counts_nothing() -> None:
    story = a_is_replaced_by_b()
    story.until(lambda: story["A"].status.configuration.voter_ids == ("B",) and not alone(story), "AB")
    story.persist("A")
    story.crash("A")
    story.wait(0.6, "A")
    story.settle("A")
    assert story["A"].status.role == "pre_candidate"


def alone(story: Story) -> bool:
    """Whether the configuration of A is still, or again, joint."""
    return story["A"].status.configuration.is_joint
