"""The last acknowledgement before a full window is lost, and the others commit on: the follower must say it again.

B holds, has acknowledged and has committed everything that A sent it, but its last acknowledgement was lost, so A's
window stays full. Meanwhile A commits on with C. Each heartbeat answer lets one append out, without entries and with a
commit index that B cannot reach. B must not take that for news that needs no answer: its acknowledgement alone opens
the window again. Found by simulation: replication to B stopped for ever.
"""

from rafty_core import AppendEntriesResponse
from tests.scenarios.story import Story


def test_replication_goes_on_after_the_last_acknowledgement_was_lost() -> None:
    story = Story("ABC", settings={"max_inflight_messages": 1})
    story.elect("A", "ABC")
    story.propose("A", b"first")
    story.persist("A")
    story.deliver(to="B")
    story.persist("B")
    story.drop(AppendEntriesResponse, sender="B")
    for number in range(3):
        story.propose("A", b"more %d" % number)
        story.settle("AC")
        story.drop(to="B")
    for _ in range(5):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert story["B"].log == story["A"].log
    assert story["B"].status.commit_index == story["A"].status.commit_index
