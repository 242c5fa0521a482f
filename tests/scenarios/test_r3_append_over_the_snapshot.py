"""An append that reaches over the snapshot contradicts what is committed there: dropped, counted, nothing changed.

The check began behind the snapshot, whose own term is known as well. So an append of another history was taken, or
made `step` raise, depending on its term. Found by review.
"""

import pytest

from rafty_core import AppendEntries, Batch, ProtocolViolation
from tests.scenarios.story import Story


@pytest.mark.parametrize("term", [2, 4], ids=["below the snapshot's term", "above it"])
def test_append_of_another_history_over_the_snapshot_is_dropped(term: int) -> None:
    story = Story("ABC", snapshot=(5, 3), terms={"B": 4})
    batch = Batch(4, term, [b"\x01a", b"\x01b", b"\x01c"])
    output = story.step("B", AppendEntries("A", "B", 4, 3, min(term, 3) - 1, 0, batch))
    assert [type(notice) for notice in output.notices] == [ProtocolViolation]
    assert story["B"].status.last_index == 5
    assert story["B"].status.leader is None
