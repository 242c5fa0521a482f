"""A full window whose acknowledgements were all lost opens again by the follower's next sign of life.

A has as many appends under way to B as it may have, and every acknowledgement is lost. No acknowledgement will ever
come for what B has acknowledged already.
"""

import pytest

from rafty_core import AppendEntries, AppendEntriesResponse
from tests.scenarios.story import Story


@pytest.mark.parametrize("lost", [AppendEntries, AppendEntriesResponse])
def test_replication_goes_on_after_a_window_of_losses(lost: type) -> None:
    story = Story("ABC", settings={"max_inflight_messages": 2})
    story.elect("A", "ABC")
    for number in range(6):
        story.propose("A", b"x%d" % number)
    assert story["A"].status.peers[0].paused
    assert len(story.sent(AppendEntries, to="B")) == 2
    story.drop(lost)
    story.deliver(to="B")
    story.persist("B")
    story.drop()
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("AB")
    assert story["B"].log == story["A"].log
    assert story["B"].applied == [b"x%d" % number for number in range(6)]
    assert story["A"].status.peers[0].inflight_messages == 0


def test_follower_that_stays_silent_is_sent_no_more_than_a_window() -> None:
    story = Story("ABC", settings={"max_inflight_messages": 2})
    story.elect("A", "ABC")
    for number in range(6):
        story.propose("A", b"x%d" % number)
    story.wait(0.1, "A")
    story.wait(0.1, "A")
    assert len(story.sent(AppendEntries, to="B")) == 2
