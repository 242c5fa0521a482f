"""A long log of small entries is applied in portions; none takes as long as an election timeout.

The bound counted bytes alone, so that a million empty commands came in one portion; and each portion was cut out of
everything committed, so that a replay took quadratic time. Found by review.
"""

from rafty_core import Applied, Batch, Committed, Heartbeat
from tests.scenarios.story import Story


def test_replay_comes_in_portions_of_bounded_count() -> None:
    story = Story("AB")
    entries = [b"\x01"] * 50_000
    story["A"].disk.entries.extend((1, entry) for entry in entries)
    story["A"].disk.term = 1
    story.crash("A")
    story.wait(10.0, "A")
    assert Batch(1, 1, entries).last == story["A"].status.last_index
    output = story.step("A", Heartbeat("B", "A", 1, 50_000, 1))
    sizes = []
    while output.apply:
        sizes += [len(committed.entries) for committed in output.apply if isinstance(committed, Committed)]
        output = story.step("A", Applied(output.apply[-1].last))
    assert sum(sizes) == 50_000
    assert max(sizes) <= 16384
