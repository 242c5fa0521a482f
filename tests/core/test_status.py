"""The picture of a node."""

from rafty_core import PeerStatus, Read, ReadIndexRequest, TransferLeadership
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Story


def test_picture_of_a_leader_and_its_followers() -> None:
    story = Story("AB", learners="C")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.persist("A")
    story.apply("A")
    story.now += 0.05
    story.step("A")
    status = story["A"].status
    assert (status.id, status.role, status.term, status.vote, status.leader) == ("A", "leader", 1, "A", "A")
    assert (status.last_index, status.durable_index, status.commit_index, status.applied_index) == (2, 2, 1, 1)
    assert (status.snapshot_index, status.pending_proposals, status.violations) == (0, 1, 0)
    peer = status.peers[0]
    assert peer == PeerStatus("B", 1, 3, "replicate", False, 1, 2, peer.last_contact, True)
    assert 0.04 < peer.last_contact < 0.06


def test_picture_of_a_follower_names_its_leader_and_no_peers() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    assert (story["B"].status.role, story["B"].status.leader, story["B"].status.peers) == ("follower", "A", ())


def test_picture_of_snapshots() -> None:
    story = left_behind()
    begin_to_fetch(story)
    status = story["A"].status
    assert (status.first_index, status.snapshot_index, status.last_index) == (7, 6, 6)
    assert {peer.id: (peer.flow, peer.pending_snapshot) for peer in status.peers} == {
        "B": ("replicate", 0),
        "C": ("snapshot", 6),
    }
    assert (story["C"].status.fetching_snapshot, story["C"].status.snapshot_index) == (6, 0)
    story.receive_snapshot("C")
    assert (story["C"].status.fetching_snapshot, story["C"].status.snapshot_index) == (0, 6)
    assert (story["C"].status.durable_index, story["C"].status.applied_index) == (1, 1)


def test_picture_of_reads_that_wait() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.step("A", Read(1), ReadIndexRequest("C", "A", 1, 1, 1, False))
    story.step("A", Read(2), Read(3, "at_least", 9))
    story.step("B", Read(4), Read(5))
    story.step("B", Read(6))
    assert (story["A"].status.pending_reads, story["B"].status.pending_reads) == (4, 3)
    story.settle("ABC")
    assert (story["A"].status.pending_reads, story["B"].status.pending_reads) == (1, 0)


def test_picture_of_a_change_and_a_transfer() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    status = story["A"].status
    assert (status.configuration_index, [peer.id for peer in status.peers]) == (2, ["B", "C", "D"])
    story.settle("ABC")
    assert [peer.catching_up for peer in story["A"].status.peers] == [0, 0, 1]
    story.step("A", TransferLeadership("t", "B"))
    assert (story["A"].status.transferring_to, story["B"].status.transferring_to) == ("B", None)
