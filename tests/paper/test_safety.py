"""The safety argument, sentence by sentence: the docstring of each test quotes what the test shows.

Places are sections of the paper (extended version).
"""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    PreVote,
    PreVoteResponse,
    Propose,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
    Stable,
)
from tests.acceptance.bench import Bench, batches
from tests.acceptance.cluster import Cluster, Node, configuration

FIVE = Snapshot(configuration=configuration([1, 2, 3, 4, 5]))


@pytest.mark.parametrize("stale", [[1, 1, 1], [1, 2], []], ids=["earlier term, longer", "shorter", "empty"])
def test_voter_denies_its_vote_to_an_older_log(stale: list[int]) -> None:
    """Paper 5.4.1: "the voter denies its vote if its own log is more up-to-date than that of the candidate"."""
    bench = Bench(log=[1, 2, 2])
    request = (len(stale), stale[-1] if stale else 0)
    (pre,) = bench.step(PreVote("n2", "n1", 3, *request)).only(PreVoteResponse)
    (vote,) = bench.step(RequestVote("n2", "n1", 3, *request)).only(RequestVoteResponse)
    assert (pre.vote_granted, vote.vote_granted) == (False, False)


@pytest.mark.parametrize("last", [(1, 3), (3, 2), (4, 2)], ids=["later term, shorter", "equal", "longer"])
def test_voter_grants_its_vote_to_a_log_as_up_to_date(last: tuple[int, int]) -> None:
    """Paper 5.4.1: "If the logs have last entries with different terms, then the log with the later term is more
    up-to-date. If the logs end with the same term, then whichever log is longer is more up-to-date"."""
    bench = Bench(log=[1, 2, 2])
    (vote,) = bench.step(RequestVote("n2", "n1", 4, *last)).only(RequestVoteResponse)
    assert vote.vote_granted


def test_node_without_the_committed_entries_cannot_win() -> None:
    """Paper 5.4.1: "Raft uses the voting process to prevent a candidate from winning an election unless its log
    contains all committed entries"."""
    cluster = Cluster()
    stored = {1: [1, 1], 2: [1, 1], 3: [1, 1], 4: [1], 5: []}
    for number, terms in stored.items():
        cluster.add_with(number, Stable(1, None, FIVE, batches(1, terms)))
    for loser in (4, 5):
        cluster.campaign(loser)
        cluster.stabilize()
        assert cluster.nodes[loser].status.role != "leader"
    cluster.campaign(3)
    cluster.stabilize()
    assert cluster.nodes[3].status.role == "leader"


def figure_8() -> Cluster:
    """Paper, Figure 8 (c): S1 leads term 4, and has brought its entry 2 of term 2 to a majority; S5 holds an entry of
    term 3 there."""
    cluster = Cluster()
    stored = {1: [1, 2], 2: [1, 2], 3: [1, 2], 4: [1], 5: [1, 3]}
    for number, terms in stored.items():
        cluster.add_with(number, Stable(3, None, FIVE, batches(1, terms)))
    return cluster


def test_figure_8_entry_of_an_earlier_term_is_not_committed_by_counting() -> None:
    """Paper 5.4.2: "Raft never commits log entries from previous terms by counting replicas. Only log entries from the
    leader's current term are committed by counting replicas"."""
    leader = Bench(voters=[1, 2, 3, 4, 5], log=[1, 2], term=3)
    leader.lead()
    leader.acknowledge(2, 2)
    leader.acknowledge(3, 2)
    assert (leader.status.term, leader.status.commit_index) == (4, 0)


def test_figure_8_d_entry_on_a_majority_may_still_be_overwritten() -> None:
    """Paper 5.4.2, Figure 8 (d): "an old log entry is stored on a majority of servers, yet can still be overwritten by
    a future leader"."""
    cluster = figure_8()
    cluster.campaign(5)
    cluster.stabilize()
    assert [number for number, node in cluster.nodes.items() if node.status.role == "leader"] == [5]
    assert all(terms_of(node)[:2] == [1, 3] for node in cluster.nodes.values())


def test_figure_8_e_entry_of_the_current_term_commits_what_is_before_it() -> None:
    """Paper 5.4.2, Figure 8 (e): "once an entry from the current term has been committed in this way, then all prior
    entries are committed indirectly because of the Log Matching Property"; S5 cannot win then."""
    cluster = figure_8()
    cluster.campaign(1)
    cluster.stabilize([1, 2, 3])
    assert cluster.nodes[1].status.commit_index == 3
    cluster.in_flight.clear()
    cluster.campaign(5)
    cluster.stabilize()
    assert cluster.nodes[5].status.role != "leader"


def terms_of(node: Node) -> list[int]:
    """The terms of a node's log."""
    return [entry.term for entry in node.raft.entries(1, node.status.last_index)]


def test_leader_never_overwrites_its_own_log() -> None:
    """Paper, Figure 3, Leader Append-Only: "a leader never overwrites or deletes entries in its log; it only appends
    new entries"."""
    bench = Bench(log=[1, 1])
    bench.lead()
    bench.step(Propose("token", [b"x"]))
    before = bench.entries
    happened = bench.step(AppendEntries("n2", "n1", 2, 0, 0, 0, batches(1, [2])[0]))
    assert happened.violations  # a term has one leader, so this message is somebody's bug
    bench.refuse(2, 2, 0)
    bench.acknowledge(3, 4)
    assert bench.entries == before


def test_one_leader_per_term() -> None:
    """Paper, Figure 3, Election Safety: "at most one leader can be elected in a given term"; of two candidates in one
    term, the second finds every vote that it needs given away."""
    cluster = Cluster()
    for number in range(1, 6):
        cluster.add(number, FIVE)
    for number in (1, 5):
        cluster.campaign(number)
    assert {cluster.nodes[number].status.term for number in (1, 5)} == {1}
    cluster.stabilize()
    leaders = [node for node in cluster.nodes.values() if node.status.role == "leader"]
    assert len(leaders) == 1
    assert {node.status.leader for node in cluster.nodes.values()} == {f"n{leaders[0].number}"}


def test_logs_that_share_an_entry_share_all_before_it() -> None:
    """Paper, Figure 3, Log Matching: "if two logs contain an entry with the same index and term, then the logs are
    identical in all entries up through the given index"; an append is taken only where the entry before it matches."""
    bench = Bench(log=[1, 1, 2])
    (refused,) = bench.step(AppendEntries("n2", "n1", 3, 3, 1, 0, batches(4, [3])[0])).only(AppendEntriesResponse)
    assert not refused.success
    bench.step(AppendEntries("n2", "n1", 3, 2, 1, 0, batches(3, [3])[0]))
    assert bench.terms == [1, 1, 3]


def test_state_machines_apply_the_same_commands() -> None:
    """Paper, Figure 3, State Machine Safety: "if a server has applied a log entry at a given index to its state
    machine, no other server will ever apply a different log entry for the same index"; here across four leaders, three
    of which leave an entry behind that nobody else has."""
    cluster = Cluster()
    for number in range(1, 6):
        cluster.add(number, FIVE)
    for leader in (1, 2, 3):
        cluster.campaign(leader)
        cluster.stabilize()
        cluster.propose(leader, b"of %d" % leader)
        cluster.stabilize()
        cluster.propose(leader, b"lost with %d" % leader)
        cluster.process_ready(leader)
        cluster.in_flight.clear()
    cluster.campaign(4)
    cluster.stabilize()
    assert {tuple(node.applied) for node in cluster.nodes.values()} == {(b"of 1", b"of 2", b"of 3")}


def test_committed_entry_is_never_replaced() -> None:
    """Paper 5: "if any server has applied a particular log entry to its state machine, then no other server may apply a
    different command for the same log index"; a leader that contradicts a committed entry is not obeyed."""
    bench = Bench(log=[1, 1])
    bench.follow(2, commit=2)
    assert bench.step(AppendEntries("n3", "n1", 2, 1, 1, 2, batches(2, [2])[0])).violations
    assert (bench.terms, bench.status.commit_index) == ([1, 1], 2)
