"""A configuration is in force where it is appended: no campaign counts votes in one that waits to be applied.

B holds the entry that makes {A, B, C} joint with {B, D, E}; it is committed, and B's state machine has applied nothing
of it yet. B asks all of both halves, and the old half alone does not elect it.
"""

from rafty_core import (
    AppendEntries,
    Batch,
    Campaign,
    Configuration,
    Member,
    PreVote,
    PreVoteResponse,
)
from tests.scenarios.story import Story


def test_campaign_counts_votes_in_a_configuration_that_is_not_applied() -> None:
    story = Story("ABC")
    both = Configuration(voters=tuple(map(Member, "BDE")), outgoing=tuple(map(Member, "ABC")))
    entries = [b"\x00", b"\x02" + both.encode()]
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 2, Batch(1, 1, entries)))
    story.persist("B")
    assert (story["B"].status.commit_index, story["B"].status.applied_index) == (2, 0)
    story.wait(1.0)
    story.drop()
    story.step("B", Campaign())
    assert {message.to for message in story.sent(PreVote)} == set("ACDE")
    story.step("B", PreVoteResponse("A", "B", 1, 2, True), PreVoteResponse("C", "B", 1, 2, True))
    assert story["B"].status.role == "pre_candidate"
    story.step("B", PreVoteResponse("D", "B", 1, 2, True))
    assert story["B"].status.role == "candidate"
