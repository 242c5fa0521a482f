"""A configuration stands at the same index on every node, also where a snapshot has taken the place of its entry.

Otherwise an administrator who looks at one node, and ties a change to the configuration seen there, would be refused by
another that was restarted in between.
"""

from tests.scenarios.story import Story


def test_r92_configuration_stands_at_the_same_index_on_every_node_behind_whatever_snapshot() -> None:
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "D"))
    story.settle("ABC")
    at = story["A"].status.configuration_index
    story.propose("A", b"x")
    story.settle("AB")
    story.take_snapshot("A")
    story.persist("A")
    story.crash("A")
    assert [story[name].status.configuration_index for name in "AB"] == [at, at]
    assert story["A"].status.snapshot_index > at > 0
