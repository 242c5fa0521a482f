"""A heartbeat proves nothing about the log, so it tells no commit index beyond what the follower acknowledged.

A leads and commits with B. C holds an old end of its own and has acknowledged nothing. A heartbeat with A's commit
index would commit that end.
"""

from rafty_core import Heartbeat
from tests.scenarios.story import Story


def test_heartbeat_to_a_follower_that_proved_nothing_commits_nothing() -> None:
    story = Story("ABC", logs={"A": [1, 2], "B": [1, 2], "C": [1, 1, 1, 1]}, terms={"": 2})
    story.elect("A", "AB")
    assert story["A"].status.commit_index == 3
    story.wait(0.1, "A")
    assert [heartbeat.leader_commit for heartbeat in story.sent(Heartbeat, to="B")] == [3]
    assert [heartbeat.leader_commit for heartbeat in story.sent(Heartbeat, to="C")] == [0]
    story.deliver(Heartbeat)
    assert story["C"].status.commit_index == 0


def test_heartbeat_beyond_the_end_of_the_log_is_a_violation() -> None:
    story = Story("ABC", logs={"": [1]}, terms={"": 2})
    story.step("B", Heartbeat("A", "B", 2, 2, 1))
    assert (story["B"].status.commit_index, story["B"].status.violations) == (0, 1)
