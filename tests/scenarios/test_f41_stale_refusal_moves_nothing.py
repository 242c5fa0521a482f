"""A refusal that was overtaken moves nothing, and match never falls.

A leads, and B has acknowledged everything. Refusals and acknowledgements from before arrive late, or twice. Believed,
they would send A back below what B is known to hold, or back twice for one refusal.
"""

from rafty_core import AppendEntriesResponse, PeerStatus, PeerUnreachable
from tests.scenarios.story import Story


def follower(story: Story) -> PeerStatus:
    return story["A"].status.peers[0]


def leading() -> Story:
    """A leads term 3 with a log of six; B holds five of them and is streamed to, C has not answered yet."""
    story = Story("ABC", logs={"A": [1] * 4 + [2], "B": [1] * 4 + [2], "C": [1]}, terms={"": 2})
    story.elect("A", "AB")
    assert (follower(story).match_index, follower(story).next_index) == (6, 7)
    return story


def test_late_refusal_does_not_move_a_streaming_follower() -> None:
    story = leading()
    before = follower(story)
    for rejected in (5, 6, 3):
        output = story.step("A", AppendEntriesResponse("B", "A", 3, False, rejected, 0, 0))
        assert (follower(story), output.messages) == (before, [])


def test_refusal_never_sends_a_probe_below_match() -> None:
    story = leading()
    story.step("A", PeerUnreachable("B"))
    story.step("A", AppendEntriesResponse("B", "A", 3, False, 6, 0, 0))
    assert (follower(story).match_index, follower(story).next_index) == (6, 7)


def test_repeated_refusal_counts_once() -> None:
    story = Story("ABC", logs={"A": [1, 1, 1, 1, 1], "B": [1]}, terms={"": 2})
    story.elect("A", "AC", settle=False)
    story.drop()
    refusal = AppendEntriesResponse("B", "A", 3, False, 5, 3, 1)
    story.step("A", refusal)
    assert follower(story).next_index == 4
    output = story.step("A", refusal, AppendEntriesResponse("B", "A", 3, False, 5, 1, 1))
    assert (follower(story).next_index, output.messages) == (4, [])


def test_late_acknowledgement_lowers_nothing() -> None:
    story = leading()
    before = follower(story)
    story.step("A", AppendEntriesResponse("B", "A", 3, True, 2))
    assert follower(story) == before
