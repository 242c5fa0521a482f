"""A learner with a higher term deposes the leader once, at most, and never again.

It never stands for election, and so its term does not grow by itself.
"""

from tests.scenarios.story import Chance, Story


def test_learner_of_a_higher_term_deposes_the_leader_once() -> None:
    story = Story("ABC", learners="D", terms={"D": 7}, chances={"D": Chance(0.0)})
    story.elect("A", "ABC")
    story.beat("A", "ABCD", 1)
    assert story["A"].status.role == "follower"
    story.elect("A", "ABC")
    assert story["A"].status.term == 8
    for _ in range(30):
        story.wait(0.1, "A")
        story.settle("ABC")  # D is cut off, and its timer would run out many times
        story.wait(0.0, "D")
    story.beat("A", "ABCD", 3)
    assert [story[name].status.term for name in "ABCD"] == [8] * 4
    assert story["A"].status.role == "leader"
    assert story["D"].status.commit_index == story["A"].status.commit_index
