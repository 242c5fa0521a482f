"""Entries behind the snapshot stay if the log holds the snapshot's last entry.

C holds entries 1 to 8, acknowledged and perhaps committed by that; the snapshot ends at 6 with the same entry. Figure
13: "If existing log entry has same index and term as snapshot's last included entry, retain log entries following it
and reply".
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Batch, InstallSnapshot
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story

ENTRIES = [b"\x01%d" % index for index in range(1, 8)]


def test_snapshot_that_the_log_leads_to_is_not_fetched() -> None:
    story = Story("ABC", logs={"": [1] * 8})
    story.step("C", InstallSnapshot("A", "C", 1, 6, 1, story["C"].status.configuration))
    story.persist("C")
    assert story["C"].fetch is None
    assert (story["C"].log, story["C"].status.commit_index) == ([1] * 8, 6)
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("C", "A", 1, True, 6)


def test_log_that_has_reached_the_snapshot_meanwhile_is_kept() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", AppendEntries("A", "C", 1, 1, 1, 1, Batch(2, 1, ENTRIES)))
    story.persist("C")
    assert story.sent(AppendEntriesResponse)[-1].match_index == 8
    output = story.receive_snapshot("C")
    assert output.write is None
    assert output.messages[-1] == AppendEntriesResponse("C", "A", 1, True, 8)
    status = story["C"].status
    assert (status.first_index, status.commit_index, status.last_index) == (1, 6, 8)
