"""Two candidates that collide once must not collide for ever.

A and B split the votes. Each attempt draws its timeout anew, so that soon one of them is first by more than it takes
to collect the votes.
"""

from rafty_core import Campaign
from tests.scenarios.story import Chance, Story


def test_each_attempt_draws_its_own_timeout() -> None:
    chance = Chance(0.1, 0.7, 0.3, 0.9)
    story = Story("ABC", terms={"": 4}, chances={"A": chance})
    waits = []
    for _ in range(4):
        waits.append(round(story["A"].raft.deadline - story.now, 6))
        story.now = story["A"].raft.deadline
        story.step("A")
        assert story["A"].status.role == "pre_candidate"
    assert waits == [0.55, 0.85, 0.65, 0.95]


def test_candidate_draws_a_timeout_of_its_own() -> None:
    chance = Chance(0.1, 0.7, 0.3)
    story = Story("A", terms={"": 4}, chances={"A": chance})
    story.now = 1.0
    story.step("A", Campaign())
    assert story["A"].status.role == "candidate"
    assert story["A"].raft.deadline == 1.0 + 0.5 * 1.3
