"""What arrives is installed only if it is the snapshot that is being fetched now.

A copy of an earlier fetch, a snapshot of another index or term, an offer of a deposed leader: none of them changes
anything. An offer that is repeated does not begin the fetch anew; another leader's does, for the first may be dead.
"""

import pytest

from rafty_core import (
    AppendEntries,
    Campaign,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVoteResponse,
    RequestVoteResponse,
    SnapshotFailed,
    SnapshotReceived,
)
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def fetching() -> Story:
    story = left_behind()
    begin_to_fetch(story)
    return story


@pytest.mark.parametrize(("index", "term"), [(5, 1), (7, 1), (6, 2)])
def test_another_snapshot_is_not_installed(index: int, term: int) -> None:
    story = fetching()
    output = story.step("C", SnapshotReceived(index, term), SnapshotFailed(index, term))
    assert (output.write, output.messages) == (None, [])
    assert (story["C"].status.fetching_snapshot, story["C"].status.snapshot_index) == (6, 0)


def test_repeated_arrival_is_nothing_new() -> None:
    story = fetching()
    story.receive_snapshot("C")
    story.persist("C")
    story.apply("C")
    output = story.step("C", SnapshotReceived(6, 1), SnapshotFailed(6, 1))
    assert (output.write, output.apply, output.messages) == (None, [], [])


def test_arrival_that_nobody_asked_for_is_not_installed() -> None:
    story = Story("ABC")
    output = story.step("C", SnapshotReceived(6, 1), SnapshotFailed(6, 1))
    assert (output.write, output.messages, story["C"].status.snapshot_index) == (None, [], 0)


def test_offer_of_an_old_term_is_refused_with_the_new_one() -> None:
    story = fetching()
    story.step("C", AppendEntries("B", "C", 5, 1, 1, 1))
    output = story.step("C", InstallSnapshot("A", "C", 1, 9, 1, story["C"].status.configuration))
    assert output.messages == [InstallSnapshotResponse("C", "A", 5, 0)]
    assert output.fetch is None
    story.step("A", *output.messages)
    assert (story["A"].status.term, story["A"].status.role) == (5, "follower")


def test_repeated_or_newer_offer_does_not_begin_anew() -> None:
    story = fetching()
    configuration = story["C"].status.configuration
    for index in (6, 8):
        assert story.step("C", InstallSnapshot("A", "C", 1, index, 1, configuration)).fetch is None
    assert story["C"].status.fetching_snapshot == 6
    story.receive_snapshot("C")
    assert story["C"].status.snapshot_index == 6


def test_offer_of_another_leader_takes_the_place_of_the_first() -> None:
    story = fetching()
    offered = story.step("C", InstallSnapshot("B", "C", 2, 9, 2, story["C"].status.configuration)).fetch
    assert offered is not None
    assert (offered.peer, offered.snapshot.index) == ("B", 9)
    output = story.step("C", SnapshotReceived(6, 1), SnapshotFailed(6, 1))
    assert (output.write, output.messages, story["C"].status.fetching_snapshot) == (None, [], 9)
    story.step("C", SnapshotReceived(9, 2))
    assert story["C"].status.snapshot_index == 9


@pytest.mark.parametrize("role", ["pre_candidate", "candidate", "leader"])
def test_arrival_at_a_node_that_follows_nobody_installs_nothing(role: str) -> None:
    story = fetching()
    story.now += 1.0
    story.step("C", Campaign())
    if role != "pre_candidate":
        story.step("C", PreVoteResponse("B", "C", 1, 2, True))
    if role == "leader":
        story.persist("C")
        story.step("C", RequestVoteResponse("B", "C", 2, True))
    assert story["C"].status.role == role
    story.persist("C")
    output = story.step("C", SnapshotReceived(6, 1), SnapshotFailed(6, 1))
    assert (output.write, output.messages) == (None, [])
    assert (story["C"].status.snapshot_index, story["C"].status.fetching_snapshot) == (0, 0)
