"""Log replication, sentence by sentence: the docstring of each test quotes what the test shows.

Places are sections of the paper (extended version) or of the thesis.
"""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    Persisted,
    Propose,
    Snapshot,
    Stable,
)
from rafty_core.entries import COMMAND, NO_OP
from tests.acceptance.bench import HEARTBEAT_TICKS, Bench, batches
from tests.acceptance.cluster import Cluster, configuration

FIGURE_7 = {
    "leader": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6],
    "a": [1, 1, 1, 4, 4, 5, 5, 6, 6],
    "b": [1, 1, 1, 4],
    "c": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    "d": [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    "e": [1, 1, 1, 4, 4, 4, 4],
    "f": [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
}
"""Paper, Figure 7: the terms in the log of the leader of term 8, and in six logs that its followers may have."""


def test_command_is_appended_and_sent_in_parallel() -> None:
    """Paper 5.3: "The leader appends the command to its log as a new entry, then issues AppendEntries RPCs in parallel
    to each of the other servers to replicate the entry"."""
    bench = Bench()
    bench.lead_committed()
    sent = bench.step(Propose("token", [b"x"]), persist=False).only(AppendEntries)
    assert [entry.data for entry in bench.entries] == [b"", b"x"]
    assert [each.to for each in sent] == ["n2", "n3"]


def test_append_names_the_preceding_entry() -> None:
    """Paper 5.3: "When sending an AppendEntries RPC, the leader includes the index and term of the entry in its log
    that immediately precedes the new entries"."""
    bench = Bench(log=[1, 1, 3])
    (first, _) = bench.lead().only(AppendEntries)
    assert (first.prev_log_index, first.prev_log_term) == (3, 3)
    assert first.batch is not None
    assert (first.batch.first, first.batch.term) == (4, 4)


def test_entry_is_committed_on_a_majority() -> None:
    """Paper 5.3: "A log entry is committed once the leader that created the entry has replicated it on a majority of
    the servers"."""
    bench = Bench(voters=[1, 2, 3, 4, 5])
    bench.lead()
    bench.acknowledge(2, 1)
    assert bench.status.commit_index == 0
    bench.acknowledge(5, 1)
    assert bench.status.commit_index == 1


def test_answer_comes_after_the_entry_is_applied() -> None:
    """Paper 5.3: "When the entry has been safely replicated, the leader applies the entry to its state machine and
    returns the result of that execution to the client"."""
    bench = Bench()
    bench.lead_committed()
    assert not bench.step(Propose("token", [b"x"])).answers
    happened = bench.all_acknowledge()
    assert happened.applied == [COMMAND + b"x"]
    assert [(each.token, each.error) for each in happened.answers] == [("token", None)]


def test_appends_are_repeated_until_the_follower_stores_them() -> None:
    """Paper 5.3: "If followers crash or run slowly, or if network packets are lost, the leader retries AppendEntries
    RPCs indefinitely (even after it has responded to the client) until all followers eventually store all log
    entries"."""
    bench = Bench()
    bench.lead()
    bench.acknowledge(2, 1)
    assert bench.status.commit_index == 1
    for round_ in range(1, 50):
        bench.wait(HEARTBEAT_TICKS)
        bench.step(HeartbeatResponse("n2", "n1", 1, round_))
        sent = bench.step(HeartbeatResponse("n3", "n1", 1, round_)).only(AppendEntries)
        assert [(each.to, each.prev_log_index) for each in sent] == [("n3", 0)]
    bench.acknowledge(3, 1)
    bench.wait(HEARTBEAT_TICKS)
    assert not bench.step(HeartbeatResponse("n3", "n1", 1, 50)).only(AppendEntries)


def test_commit_index_travels_with_appends_and_heartbeats() -> None:
    """Paper 5.3: "The leader keeps track of the highest index it knows to be committed, and it includes that index in
    future AppendEntries RPCs (including heartbeats) so that the other servers eventually find out"."""
    bench = Bench()
    bench.lead_committed()
    sent = bench.step(Propose("token", [b"x"])).only(AppendEntries)
    assert {each.leader_commit for each in sent} == {1}
    assert {each.leader_commit for each in bench.wait(HEARTBEAT_TICKS).only(Heartbeat)} == {1}


def test_follower_applies_what_it_learns_is_committed() -> None:
    """Paper 5.3: "Once a follower learns that a log entry is committed, it applies the entry to its local state machine
    (in log order)"."""
    bench = Bench(term=1)
    bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0, batches(1, [1, 1, 1], ["a", "b", "c"])[0]))
    assert bench.step(Heartbeat("n2", "n1", 1, 2, 1)).applied == [COMMAND + b"a", COMMAND + b"b"]
    assert bench.step(AppendEntries("n2", "n1", 1, 3, 1, 3)).applied == [COMMAND + b"c"]


def test_follower_commits_no_further_than_the_last_new_entry() -> None:
    """Paper, Figure 2: "If leaderCommit > commitIndex, set commitIndex = min(leaderCommit, index of last new entry)".
    What lies behind that entry in the follower's log need not be the leader's."""
    bench = Bench(log=[1, 1, 1])
    bench.step(AppendEntries("n2", "n1", 2, 1, 1, 3))
    assert bench.status.commit_index == 1


def test_follower_refuses_what_does_not_fit() -> None:
    """Paper 5.3: "If the follower does not find an entry in its log with the same index and term, then it refuses the
    new entries"."""
    bench = Bench(log=[1, 1])
    for prev in ((3, 1), (2, 2)):
        happened = bench.step(AppendEntries("n2", "n1", 2, *prev, 0, batches(prev[0] + 1, [2])[0]))
        assert [each.success for each in happened.only(AppendEntriesResponse)] == [False]
        assert bench.terms == [1, 1]


def test_acknowledgement_waits_for_the_disk() -> None:
    """Paper, Figure 2, of log[]: "(Updated on stable storage before responding to RPCs)"."""
    bench = Bench()
    happened = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0, batches(1, [1])[0]), persist=False)
    assert happened.messages == []
    (answer,) = bench.step(Persisted(happened.writes[0].seq)).only(AppendEntriesResponse)
    assert (answer.success, answer.match_index) == (True, 1)


def test_new_leader_starts_behind_its_own_log() -> None:
    """Paper 5.3: "When a leader first comes to power, it initializes all nextIndex values to the index just after the
    last one in its log"."""
    bench = Bench(log=[1, 1, 1])
    bench.lead()
    assert [(peer.match_index, peer.next_index) for peer in bench.status.peers] == [(0, 4), (0, 4)]


def test_rejection_moves_next_back() -> None:
    """Paper 5.3: "After a rejection, the leader decrements nextIndex and retries the AppendEntries RPC. Eventually
    nextIndex will reach a point where the leader and follower logs match"."""
    bench = Bench(log=[1, 1, 1])
    bench.lead()
    (sent,) = bench.refuse(2, 3, 2, 1).only(AppendEntries)
    assert (sent.prev_log_index, bench.peer(2)[2]) == (2, 3)


def test_rejection_skips_a_whole_term() -> None:
    """Paper 5.3: "the follower can include the term of the conflicting entry and the first index it stores for that
    term. With this information, the leader can decrement nextIndex to bypass all of the conflicting entries in that
    term". Here the follower names the last entry that may agree."""
    follower = Bench(log=[1] + [2] * 50)
    happened = follower.step(AppendEntries("n2", "n1", 3, 51, 1, 0, batches(52, [3])[0]))
    (answer,) = happened.only(AppendEntriesResponse)
    assert (answer.hint_index, answer.hint_term) == (1, 1)


@pytest.mark.parametrize("follower", [name for name in FIGURE_7 if name != "leader"])
def test_leader_makes_follower_logs_like_its_own(follower: str) -> None:
    """Paper 5.3, Figure 7: "In Raft, the leader handles inconsistencies by forcing the followers' logs to duplicate
    its own. This means that conflicting entries in follower logs will be overwritten with entries from the leader's
    log"."""
    cluster = Cluster()
    members = Snapshot(configuration=configuration([1, 2, 3]))
    cluster.add_with(1, Stable(7, None, members, batches(1, FIGURE_7["leader"])))
    cluster.add_with(2, Stable(7, None, members, batches(1, FIGURE_7[follower])))
    cluster.add_with(3, Stable(7, None, members, batches(1, FIGURE_7["leader"])))
    cluster.campaign(1)
    cluster.stabilize()
    leader, other = cluster.nodes[1], cluster.nodes[2]
    assert (leader.status.role, leader.status.term) == ("leader", 8)
    assert [entry.term for entry in leader.raft.entries(1, 11)] == [*FIGURE_7["leader"], 8]
    assert other.raft.entries(1, other.status.last_index) == leader.raft.entries(1, 11)
    assert other.disk.log == leader.disk.log
    assert other.status.commit_index == leader.status.commit_index == 11


def test_repeated_append_is_ignored() -> None:
    """Paper 5.5: "if a follower receives an AppendEntries request that includes log entries already present in its log,
    it ignores those entries in the new request"."""
    bench = Bench(log=[1, 1, 1])
    happened = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0, batches(1, [1, 1])[0]))
    assert bench.terms == [1, 1, 1]
    assert not [write for write in happened.writes if write.batches]


def test_crashed_follower_is_caught_up() -> None:
    """Paper 5.5: "If a follower or candidate crashes, then future RequestVote and AppendEntries RPCs sent to it will
    fail. Raft handles these failures by retrying indefinitely; if the crashed server restarts, then the RPC will
    complete successfully"."""
    cluster = Cluster()
    members = Snapshot(configuration=configuration([1, 2, 3]))
    for number in (1, 2):
        cluster.add(number, members)
    cluster.campaign(1)
    cluster.stabilize()
    for number in range(5):
        cluster.propose(1, b"%d" % number)
        cluster.stabilize()
    cluster.in_flight.clear()
    cluster.add(3, members)
    cluster.tick(1)
    cluster.stabilize()
    assert cluster.nodes[3].applied == cluster.nodes[1].applied == [b"%d" % number for number in range(5)]


def test_new_leader_appends_a_no_op() -> None:
    """Paper 8: "Raft handles this by having each leader commit a blank no-op entry into the log at the start of its
    term"."""
    bench = Bench(log=[1])
    bench.lead()
    assert [(entry.term, entry.kind) for entry in bench.entries] == [(1, "command"), (2, "no-op")]
    assert bench.all_acknowledge().applied == [COMMAND + b"1", NO_OP]


def test_leader_writes_in_parallel_with_its_followers() -> None:
    """Thesis 10.2.1: "The leader may even commit an entry before it has been written to its own disk, if a majority of
    followers have written it to their disks; this is still safe"."""
    bench = Bench()
    bench.lead_committed()
    happened = bench.step(Propose("token", [b"x"]), persist=False)
    bench.acknowledge(2, 2, persist=False)
    assert bench.status.commit_index == 1  # two copies of three, but the leader's is not durable
    later = bench.acknowledge(3, 2, persist=False)
    assert (bench.status.commit_index, bench.status.durable_index) == (2, 1)
    assert later.applied == []  # applied here when it is durable here
    assert bench.step(Persisted(happened.writes[-1].seq)).applied == [COMMAND + b"x"]


def test_appends_are_pipelined() -> None:
    """Thesis 10.2, on pipelining: the leader takes an append for received as soon as it is sent, and sends the next one
    behind it; the consistency check finds out where that was wrong."""
    bench = Bench(voters=[1, 2])
    bench.lead_committed()
    sent = [bench.step(Propose(number, [b"x"])).only(AppendEntries) for number in range(3)]
    assert [each.prev_log_index for (each,) in sent] == [1, 2, 3]
    assert bench.peer(2) == ("replicate", 1, 5)
