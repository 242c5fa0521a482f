"""R51: a snapshot names the members; a joining node that has not been told who they are keeps no snapshot.

Found by simulation: a node that joined got the log from its first entry on, and took a snapshot before it came to the
configuration that names it. That snapshot had no members; had the node led later, its offer of that snapshot would have
been refused as a broken message for ever.
"""

from rafty_core import SnapshotChanged
from tests.scenarios.story import Story


def test_r51_joining_node_takes_no_snapshot_without_members() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    for number in range(3):
        story.propose("A", b"%d" % number)
        story.settle("AB")
    story.join("D")
    story.nodes["D"].settings = {"max_apply_bytes": 1}
    story["D"].start(story.now)
    story.change("A", ("add_learner", "D"))
    story.settle("AB")
    for _ in range(3):
        story.wait(0.1, "A")
        story.settle("ABD", apply=False)
    story.apply("D")
    assert story["D"].status.applied_index == 1
    output = story.take_snapshot("D")
    assert (output.write, story["D"].status.snapshot_index) == (None, 0)
    assert not any(isinstance(notice, SnapshotChanged) for notice in story["D"].notices)
    for _ in range(10):
        story.apply("D")
    story.take_snapshot("D")
    assert story["D"].status.snapshot_index == story["D"].status.applied_index == 5
