"""An election is triggered on a sitting leader: it stays what it is, and does not both lead and stand.

A leader that became a candidate and went on with its heartbeats would keep its own followers from voting for it, for
ever. And a leader that is told of a newer term by a candidate falls silent at once.
"""

from rafty_core import Campaign, Heartbeat, RequestVote
from tests.scenarios.story import Story


def test_leader_that_is_told_to_campaign_leads_on() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    output = story.step("A", Campaign())
    assert (output.messages, output.write, output.notices) == ([], None, [])
    story.beat("A", "ABC", 2)
    assert (story["A"].status.role, story["A"].status.term) == ("leader", 1)


def test_leader_that_must_follow_sends_no_heartbeat_any_more() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", RequestVote("C", "A", 2, 1, 1, True))
    assert story["A"].status.role == "follower"
    story.drop()
    story.wait(1.0, "A")
    assert story.sent(Heartbeat) == []
