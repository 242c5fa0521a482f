"""Rules 7: snapshots that are taken, offered, fetched and installed; and what is left of the log."""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Campaign,
    Configuration,
    InstallSnapshot,
    InstallSnapshotResponse,
    Member,
    Persisted,
    Propose,
    Read,
    ReadAnswer,
    ReadIndexRequest,
    ReadIndexResponse,
    Snapshot,
    SnapshotReceived,
    SnapshotTaken,
)
from rafty_core.progress import PROBE, REPLICATE, SNAPSHOT
from tests.acceptance.bench import ELECTION_TICKS, HEARTBEAT_TICKS, Bench, Happened, batches
from tests.acceptance.cluster import Cluster, configuration

THREE = configuration([1, 2, 3])


def offer(bench: Bench, index: int, term: int, members: Configuration = THREE, sender: str = "n2") -> Happened:
    """A leader of the node's own term, or of the snapshot's if that is later, offers a snapshot."""
    leads = max(term, bench.status.term)
    return bench.step(InstallSnapshot(sender, f"n{bench.number}", leads, index, term, members))


def acknowledged(happened: Happened) -> list[int]:
    """The indexes up to which something was acknowledged."""
    return [answer.match_index for answer in happened.only(AppendEntriesResponse) if answer.success]


# ------------------------------------------------------------------- a follower


def test_rule_7_01_log_and_configuration_come_from_the_snapshot() -> None:
    """The same again changes nothing; and while the state machine is being restored nobody stands for election."""
    bench = Bench(voters=[1, 2])
    (fetch,) = offer(bench, 11, 11).fetches
    assert (fetch.peer, fetch.snapshot) == ("n2", Snapshot(11, 11, THREE))
    assert bench.status.last_index == 0
    happened = bench.step(SnapshotReceived(11, 11), apply=False)
    status = bench.status
    assert (status.snapshot_index, status.last_index, status.commit_index) == (11, 11, 11)
    assert (status.configuration, bench.terms, acknowledged(happened)) == (THREE, [], [11])
    assert [restore.last for restore in happened.restored] == [11]
    bench.ask()
    bench.wait(10 * ELECTION_TICKS)
    assert (bench.status.role, bench.status.applied_index) == ("follower", 0)
    assert bench.raft.deadline > bench.now
    again = offer(bench, 11, 11)
    assert (again.fetches, acknowledged(again), bench.status.snapshot_index) == ([], [11], 11)


def test_rule_7_01_restored_node_campaigns() -> None:
    """As soon as the state machine is restored, and not before."""
    bench = Bench(voters=[1, 2])
    offer(bench, 11, 11)
    bench.step(SnapshotReceived(11, 11))
    assert "pre_candidate" in bench.step(Campaign()).roles


JOINT = Configuration(
    voters=(Member("n1"), Member("n2"), Member("n3")),
    outgoing=(Member("n1"), Member("n4")),
    learners=(Member("n5"),),
    learners_next=(Member("n4"),),
)


@pytest.mark.parametrize("members", [configuration([1, 2], [3, 4]), JOINT], ids=["learners", "joint"])
def test_rule_7_02_whole_configuration_comes_from_the_snapshot(members: Configuration) -> None:
    """With learners, with an outgoing half."""
    bench = Bench(voters=[1, 2])
    offer(bench, 11, 11, members)
    bench.step(SnapshotReceived(11, 11))
    assert bench.status.configuration == members


def test_rule_7_04_learner_gets_a_snapshot() -> None:
    """The leader has nothing else to bring it up to its commit index with."""
    cluster = Cluster()
    for number in (1, 2):
        cluster.add(number, Snapshot(10, 1, configuration([1], [2])), b"old")
    cluster.campaign(1)
    cluster.propose(1, b"new")
    cluster.stabilize([1])
    cluster.in_flight = []
    cluster.nodes[1].compact(cluster.nodes[1].status.commit_index)
    cluster.tick(1)
    cluster.stabilize()
    leader, learner = cluster.nodes[1].status, cluster.nodes[2].status
    assert learner.commit_index == leader.commit_index == learner.snapshot_index
    assert cluster.nodes[2].content == cluster.nodes[1].content


def test_rule_7_05_snapshot_of_what_the_log_holds_is_not_installed() -> None:
    """At or below the commit index it is no news; above it, the log matches, and what it holds is committed."""
    bench = Bench(log=[1, 1, 1])
    bench.follow(2, commit=1)
    for index, commit in ((1, 1), (2, 2)):
        happened = offer(bench, index, 1)
        assert (happened.fetches, acknowledged(happened)) == ([], [index])
        assert (bench.status.commit_index, bench.terms) == (commit, [1, 1, 1])


def test_rule_7_08_who_offers_a_snapshot_leads() -> None:
    """A message of a later term, from node 1."""
    bench = Bench(2)
    bench.step(InstallSnapshot("n1", "n2", 2, 5, 1, THREE))
    assert (bench.status.term, bench.leader) == (2, 1)


def test_rule_7_17_snapshot_of_term_0_is_refused() -> None:
    """No entry has that term; the state is as it was."""
    bench = Bench()
    before = bench.picture()
    assert bench.step(InstallSnapshot("n2", "n1", 1, 5, 0, THREE)).violations
    assert bench.picture() == before


def test_rule_7_21_older_snapshot_is_refused() -> None:
    """Offered, received, or taken: the newer one stays."""
    bench = Bench(snapshot=(10, 2), term=2)
    assert not offer(bench, 8, 2).fetches
    bench.step(SnapshotReceived(8, 2))
    bench.step(SnapshotTaken(8))
    assert (bench.status.snapshot_index, bench.status.first_index, bench.status.commit_index) == (10, 11, 10)
    offer(bench, 20, 2)
    bench.step(SnapshotReceived(15, 2))
    assert bench.status.snapshot_index == 10
    bench.step(SnapshotReceived(20, 2))
    assert bench.status.snapshot_index == 20


# --------------------------------------------------------------------- a leader


def leader_behind_11() -> Bench:
    """Node 1 of {1,2} leads, with a log that starts at 12, its no-op."""
    bench = Bench(voters=[1, 2], snapshot=(11, 11), term=11)
    bench.lead()
    return bench


def waiting() -> Bench:
    """The same, and its follower waits for the snapshot."""
    bench = leader_behind_11()
    bench.refuse(2, 11)
    return bench


def test_rule_7_06_follower_that_lacks_what_is_compacted_gets_a_snapshot() -> None:
    """Its progress waits at the snapshot's index."""
    bench = leader_behind_11()
    happened = bench.refuse(2, 11)
    (sent,) = happened.only(InstallSnapshot)
    assert (sent.to, sent.last_included_index, sent.last_included_term) == ("n2", 11, 11)
    assert not happened.only(AppendEntries)
    (peer,) = bench.status.peers
    assert (peer.flow, peer.match_index, peer.next_index, peer.pending_snapshot) == (SNAPSHOT, 0, 12, 11)


def test_rule_7_07_follower_that_is_not_active_gets_none() -> None:
    """Whatever is proposed: only once it is heard."""
    bench = Bench(max_retained_bytes=1)
    bench.lead()
    bench.acknowledge(2, 1)
    bench.step(SnapshotTaken(1))
    happened = bench.step(Propose("token", [b"data"]))
    assert [message.to for message in happened.messages] == ["n2"]
    bench.wait(HEARTBEAT_TICKS)
    assert [each.to for each in bench.refuse(3, 0).only(InstallSnapshot)] == ["n3"]


def test_rule_7_10_nothing_else_is_sent_while_it_waits() -> None:
    """No proposal goes to a follower that waits for a snapshot."""
    bench = waiting()
    for number in range(3):
        assert not bench.step(Propose(number, [b"data"])).messages
    assert bench.peer(2) == (SNAPSHOT, 0, 12)


def test_rule_7_11_failure_leads_back_to_probing() -> None:
    """From the match index, and not before the follower is heard again; then the snapshot is offered anew."""
    bench = waiting()
    assert not bench.step(InstallSnapshotResponse("n2", "n1", bench.status.term, 11)).only(InstallSnapshot)
    (peer,) = bench.status.peers
    assert (peer.flow, peer.next_index, peer.pending_snapshot, peer.paused) == (PROBE, 1, 0, True)
    bench.wait(HEARTBEAT_TICKS)
    assert [each.to for each in bench.refuse(2, 0).only(InstallSnapshot)] == ["n2"]


@pytest.mark.parametrize("index", [11, 12])
def test_rule_7_11_acknowledgement_leads_to_replication(index: int) -> None:
    """At or above the snapshot's index: the follower says itself that it holds it, and is sent the rest at once."""
    bench = waiting()
    happened = bench.acknowledge(2, index)
    assert [each.prev_log_index for each in happened.only(AppendEntries)] == [index]
    assert bench.peer(2) == (REPLICATE, index, 13)


# ---------------------------------------------------------------------- the log


def test_rule_7_12_compaction_of_a_long_log() -> None:
    """Of 1000 entries half are durable; terms, matches and appends above entry 500 are as they were."""
    bench = Bench(log=[1] * 250 + [2] * 250)
    later = batches(501, [2] * 500)[0]
    (write,) = bench.step(AppendEntries("n2", "n1", 2, 500, 2, 500, later), persist=False).writes
    bench.step(SnapshotTaken(500), persist=False)
    status = bench.status
    assert (status.first_index, status.last_index, status.durable_index) == (501, 1000, 500)
    assert bench.terms == [2] * 500
    for prev, term, success in ((1000, 2, True), (700, 2, True), (700, 1, False), (1001, 2, False)):
        happened = bench.step(AppendEntries("n2", "n1", 2, prev, term, 500), persist=False)
        assert ([each.success for each in happened.only(AppendEntriesResponse)] == [False]) is not success
    bench.step(AppendEntries("n2", "n1", 2, 1000, 2, 500, batches(1001, [2])[0]), persist=False)
    bench.step(Persisted(write.seq))
    assert (bench.status.durable_index, bench.status.last_index) == (1000, 1001)


# ------------------------------------------------------------------------ reads


def test_rule_ro_05_confirmed_reads_are_not_kept() -> None:
    """Neither the leader's own, nor those of another node."""
    bench = Bench()
    bench.lead_committed()
    bench.step(*(Read(number) for number in range(5)), ReadIndexRequest("n2", "n1", 1, 1, 1, False))
    assert bench.status.pending_reads == 6
    happened = bench.all_answer_heartbeats()
    assert happened.answers == [ReadAnswer(number, 1) for number in range(5)]
    assert happened.only(ReadIndexResponse) == [ReadIndexResponse("n1", "n2", 1, 1, 1, 1)]
    assert bench.status.pending_reads == 0
