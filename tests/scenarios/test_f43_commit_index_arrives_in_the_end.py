"""The news that an entry is committed may be lost; it must not be lost for good.

A tells B and C at once that the entry is committed, and the message to B is lost. Nothing more is proposed. B learns
it from the next heartbeat.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, Heartbeat
from tests.scenarios.story import Story


def committed_at_the_leader() -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.persist("A")
    story.deliver(AppendEntries)
    story.persist("B")
    story.persist("C")
    story.deliver(AppendEntriesResponse)
    assert [story[name].status.commit_index for name in "ABC"] == [2, 1, 1]
    return story


def test_new_commit_index_is_sent_at_once() -> None:
    story = committed_at_the_leader()
    assert {message.to for message in story.sent(AppendEntries)} == {"B", "C"}
    story.deliver(AppendEntries)
    assert [story[name].status.commit_index for name in "ABC"] == [2, 2, 2]


def test_lost_commit_index_comes_with_a_heartbeat() -> None:
    story = committed_at_the_leader()
    story.drop()
    story.wait(0.1, "A")
    story.deliver(Heartbeat)
    assert [story[name].status.commit_index for name in "ABC"] == [2, 2, 2]


def test_follower_that_lost_an_entry_is_sent_it_again() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.drop(to="B")
    story.settle("AC")
    for _ in range(3):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert story["B"].applied == [b"x"]
