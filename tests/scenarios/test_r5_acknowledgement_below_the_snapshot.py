"""A follower holds nothing of what the leader's log still has: it stays a probe until a snapshot helps it.

An acknowledgement of index 0 made the leader stream from index 1, which it does not have any more. Found by review.
"""

from rafty_core import AppendEntries, AppendEntriesResponse
from tests.scenarios.story import Story


def test_acknowledgement_below_the_snapshot_starts_no_stream() -> None:
    story = Story("ABC", snapshot=(5, 3), terms=dict.fromkeys("ABC", 3))
    story.wait(1.0)
    story.elect("A", "ABC", settle=False)
    story.drop(AppendEntries)
    term = story["A"].status.term
    story.step("A", AppendEntriesResponse("B", "A", term, True, 0))
    peer = next(peer for peer in story["A"].status.peers if peer.id == "B")
    assert peer.flow == "probe"
    story.step("A", AppendEntriesResponse("B", "A", term, True, 5))
    peer = next(peer for peer in story["A"].status.peers if peer.id == "B")
    assert (peer.flow, peer.next_index) == ("replicate", 7)
