"""Contact with followers, and followers that an append cannot help."""

from rafty_core import AppendEntriesResponse, HeartbeatResponse, InstallSnapshot, PeerContact, PeerUnreachable
from tests.scenarios.story import Story


def test_lost_and_found_follower_is_told_once_each() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    notices = []
    for names in ["AB"] * 8 + ["ABC"] * 3:
        story.wait(0.1, "A")
        story.settle(names)
    notices = [notice for notice in story["A"].notices if isinstance(notice, PeerContact)]
    assert notices == [PeerContact("C", False), PeerContact("C", True)]


def test_unreachable_peer_that_is_no_member_does_not_matter() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    output = story.step("A", PeerUnreachable("X"), PeerUnreachable("A"))
    assert (output.messages, output.notices) == ([], [])


def test_unreachable_peer_that_is_probed_is_probed_still() -> None:
    story = Story("ABC")
    story.elect("A", "ABC", settle=False)
    story.drop()
    assert story.step("A", PeerUnreachable("B")).messages == []


def test_follower_behind_the_snapshot_gets_no_append() -> None:
    """It is offered the snapshot instead, and again with each answer to a heartbeat."""
    story = Story("ABC", snapshot=(5, 3), logs={"A": [3], "B": [3]}, terms={"": 4})
    story.elect("A", "AB")
    output = story.step("A", AppendEntriesResponse("C", "A", 5, False, 6, 2, 1))
    offer = InstallSnapshot("A", "C", 5, 5, 3, story["A"].status.configuration)
    assert output.messages == [offer]
    assert story.step("A").messages == []
    assert story.step("A", HeartbeatResponse("C", "A", 5, 0)).messages == [offer]
    peer = story["A"].status.peers[1]
    assert (peer.flow, peer.pending_snapshot, peer.paused) == ("snapshot", 5, True)
