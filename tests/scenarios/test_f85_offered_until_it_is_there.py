"""A follower that fetches a snapshot is never forgotten in that state, whatever is lost.

The offer is lost; the acknowledgement is lost; the report of a failure is lost; the follower restarts in the middle;
what it has installed is too old by then. Each time the next answer to a heartbeat sets things right.
"""

from rafty_core import AppendEntriesResponse, InstallSnapshot, InstallSnapshotResponse, PeerUnreachable, SnapshotFailed
from tests.scenarios.behind import beat, begin_to_fetch, left_behind, offer, write
from tests.scenarios.story import Story


def flow(story: Story) -> str:
    return next(peer.flow for peer in story["A"].status.peers if peer.id == "C")


def catches_up(story: Story) -> bool:
    for _ in range(4):
        beat(story)
        story.settle("ABC")
    return story["C"].applied == story["A"].applied and flow(story) == "replicate"


def test_lost_offer_is_repeated_with_the_next_heartbeat() -> None:
    story = left_behind()
    offer(story)
    assert flow(story) == "snapshot"
    beat(story)
    assert len(story.sent(InstallSnapshot)) == 1
    assert catches_up(story)


def test_lost_acknowledgement_is_given_again() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.receive_snapshot("C")
    story.persist("C")
    story.apply("C")
    assert story.drop(AppendEntriesResponse) == [AppendEntriesResponse("C", "A", 1, True, 6)]
    assert flow(story) == "snapshot"
    beat(story)
    story.deliver(InstallSnapshot)
    assert story.sent(AppendEntriesResponse) == [AppendEntriesResponse("C", "A", 1, True, 6)]
    assert catches_up(story)


def test_snapshot_that_cannot_be_had_is_offered_again_or_a_newer_one() -> None:
    story = left_behind()
    begin_to_fetch(story)
    write(story, 2)
    story.take_snapshot("A")
    output = story.step("C", SnapshotFailed(6, 1))
    assert output.messages == [InstallSnapshotResponse("C", "A", 1, 6)]
    story.deliver(InstallSnapshotResponse)
    assert flow(story) == "probe"
    assert offer(story).last_included_index == 8
    assert catches_up(story)


def test_report_of_a_failure_that_is_lost_is_not_waited_for() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", SnapshotFailed(6, 1))
    story.drop()
    assert flow(story) == "snapshot"
    assert catches_up(story)


def test_late_report_about_an_older_snapshot_changes_nothing() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("A", InstallSnapshotResponse("C", "A", 1, 5), InstallSnapshotResponse("X", "A", 1, 6))
    assert flow(story) == "snapshot"
    story.step("A", InstallSnapshotResponse("B", "A", 1, 9))
    assert {peer.id: peer.flow for peer in story["A"].status.peers} == {"B": "replicate", "C": "snapshot"}


def test_failure_is_reported_to_the_leader_that_offered() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", InstallSnapshotResponse("B", "C", 2, 0))
    assert story.step("C", SnapshotFailed(6, 1)).messages == []
    assert story["C"].status.fetching_snapshot == 0


def test_follower_that_restarts_in_the_middle_fetches_again() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.crash("C")
    assert story["C"].status.fetching_snapshot == 0
    assert catches_up(story)


def test_snapshot_that_is_too_old_when_it_is_installed_is_followed_by_a_newer_one() -> None:
    story = left_behind()
    begin_to_fetch(story)
    write(story, 3)
    story.take_snapshot("A")
    assert story["A"].status.first_index == 10
    story.receive_snapshot("C")
    story.persist("C")
    story.apply("C")
    story.deliver(AppendEntriesResponse)
    assert flow(story) == "snapshot"
    assert catches_up(story)
    assert story["C"].status.snapshot_index == 9


def test_follower_that_is_not_heard_is_offered_nothing() -> None:
    story = left_behind()
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("AB")
    story.step("A", PeerUnreachable("C"))
    assert story.sent(InstallSnapshot) == []
    assert catches_up(story)
