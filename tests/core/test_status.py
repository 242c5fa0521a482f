"""The picture of a node."""

from rafty_core import PeerStatus
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
