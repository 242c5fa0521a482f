"""R50: proposals are decided by the part of them that is being applied, not by what may be compacted already.

Found by simulation: three commands proposed together were applied one by one. A snapshot after the first one took it
out of the log, and the proposer was told "superseded", though all three were applied.
"""

from rafty_core import Applied, SnapshotTaken
from tests.scenarios.story import Story


def test_r50_commands_compacted_before_the_last_is_applied() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.propose("A", b"one", b"two", b"three", token="p")
    story.persist("A")
    (portion,) = story["A"].committed
    assert portion.last == 4
    story.step("A", Applied(2, [b"1"]))
    story.step("A", SnapshotTaken(2))
    story.step("A", Applied(3, [b"2"]))
    story.step("A", SnapshotTaken(3))
    story.step("A", Applied(4, [b"3"]))
    answer = story["A"].answer("p")
    assert (answer.error, answer.applied, answer.results) == (None, 3, [b"1", b"2", b"3"])
