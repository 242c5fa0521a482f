"""The leader falls in the midst of a change; its successor takes the next step by itself.

Once while the new voter is caught up, once when the joint configuration is committed. Nobody asks for anything.
"""

from rafty_core import Configuration
from tests.scenarios.story import Story


def changing() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"), ("remove", "A"))
    return story


def test_successor_leaves_the_joint_configuration() -> None:
    story = changing()
    story.until(lambda: story["B"].status.configuration.is_joint and not story["B"].writes, "ABCD")
    story.drop(sender="A")
    story.elect("B", "BCD")
    story.beat("B", "BCD", 3)
    assert story["B"].status.configuration.at_rest
    assert story["D"].status.configuration.voter_ids == ("B", "C", "D")


def test_successor_goes_on_with_catching_up() -> None:
    story = changing()
    story.settle("ABC")
    story.drop()
    assert story["B"].status.configuration.goal is not None
    story.elect("B", "BC")
    story.beat("B", "BCD")
    assert story["D"].status.configuration.voter_ids == ("B", "C", "D")


def test_successor_gives_up_what_never_gets_close_and_the_asker_is_told() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_voter", "D"))
    story.settle("ABC")
    story.drop()
    story.elect("B", "BC")
    story.beat("B", "ABC", 60)
    assert story["A"].status.configuration == Configuration.of("A", "B", "C")
    assert story["A"].answer("change").error.reason == "undone"


def test_restarted_cluster_goes_on_with_a_change() -> None:
    story = changing()
    story.until(lambda: story["B"].status.configuration.is_joint and not story["B"].writes, "ABCD")
    story.crash(*"ABCD")
    story.elect("B", "ABCD")
    story.beat("B", "ABCD", 3)
    assert story["C"].status.configuration.voter_ids == ("B", "C", "D")
