"""Leader election, sentence by sentence: the docstring of each test quotes what the test shows.

Places are sections of the paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", extended
version) or of the thesis (Ongaro, "Consensus: Bridging Theory and Practice").
"""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Campaign,
    Heartbeat,
    HeartbeatResponse,
    Persisted,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
)
from tests.acceptance.bench import ELECTION_TICKS, HEARTBEAT_TICKS, Bench, WholeTicks
from tests.acceptance.cluster import Cluster, configuration

LOSERS = ["pre_candidate", "candidate", "leader"]


def cluster_of(size: int) -> Cluster:
    """Fresh nodes 1 to `size`."""
    cluster = Cluster()
    voters = range(1, size + 1)
    for number in voters:
        cluster.add(number, Snapshot(configuration=configuration(voters)))
    return cluster


# ----------------------------------------------------------------- 5.1, terms


@pytest.mark.parametrize("role", ["follower", *LOSERS])
def test_terms_smaller_term_is_updated(role: str) -> None:
    """Paper 5.1: "if one server's current term is smaller than the other's, then it updates its current term to the
    larger value"."""
    bench = Bench()
    bench.take(role)
    bench.step(Heartbeat("n2", "n1", 9, 0, 1))
    assert bench.status.term == 9


@pytest.mark.parametrize("role", LOSERS)
def test_terms_candidate_or_leader_out_of_date(role: str) -> None:
    """Paper 5.1: "If a candidate or leader discovers that its term is out of date, it immediately reverts to follower
    state"."""
    bench = Bench()
    bench.take(role)
    bench.step(RequestVoteResponse("n2", "n1", 9, False))
    assert bench.status.role == "follower"


def test_terms_stale_request_is_rejected() -> None:
    """Paper 5.1: "If a server receives a request with a stale term number, it rejects the request"."""
    bench = Bench(term=5)
    (append,) = bench.step(AppendEntries("n2", "n1", 4, 0, 0, 0)).only(AppendEntriesResponse)
    (vote,) = bench.step(RequestVote("n2", "n1", 4, 9, 4)).only(RequestVoteResponse)
    assert (append.success, vote.vote_granted) == (False, False)
    assert (append.term, vote.term) == (5, 5)


# ------------------------------------------------------------- 5.2, elections


def test_start_as_follower() -> None:
    """Paper 5.2: "When servers start up, they begin as followers"."""
    assert Bench(term=3, vote=1, log=[1, 3]).status.role == "follower"


def test_follower_stays_while_it_hears_a_leader() -> None:
    """Paper 5.2: "A server remains in follower state as long as it receives valid RPCs from a leader or candidate"."""
    bench = Bench(term=1)
    for round_ in range(1, 100):
        bench.now += ELECTION_TICKS - 1
        bench.step(Heartbeat("n2", "n1", 1, 0, round_))
        assert bench.status.role == "follower"


def test_leader_sends_periodic_heartbeats() -> None:
    """Paper 5.2: "Leaders send periodic heartbeats (AppendEntries RPCs that carry no log entries) to all followers in
    order to maintain their authority". They are a message of their own here."""
    bench = Bench()
    bench.lead()
    for round_ in range(1, 4):
        assert bench.raft.deadline == bench.now + HEARTBEAT_TICKS
        heartbeats = bench.wait(HEARTBEAT_TICKS).only(Heartbeat)
        assert [(each.to, each.round) for each in heartbeats] == [("n2", round_), ("n3", round_)]
        bench.step(HeartbeatResponse("n2", "n1", 1, round_))


def test_silence_begins_an_election() -> None:
    """Paper 5.2: "If a follower receives no communication over a period of time called the election timeout, then it
    assumes there is no viable leader and begins an election to choose a new leader"."""
    bench = Bench(term=1, chance=WholeTicks(1))
    bench.follow(2)
    bench.now = bench.raft.deadline - 0.5
    assert not bench.step().messages
    assert bench.wait(0.5).only(PreVote)


def test_election_begins_with_a_vote_for_itself() -> None:
    """Paper 5.2: "To begin an election, a follower increments its current term and transitions to candidate state. It
    then votes for itself and issues RequestVote RPCs in parallel to each of the other servers in the cluster"."""
    bench = Bench()
    requests = bench.stand().only(RequestVote)
    assert (bench.status.role, bench.status.term, bench.status.vote) == ("candidate", 1, "n1")
    assert [each.to for each in requests] == ["n2", "n3"]


def test_votes_are_asked_for_when_the_own_vote_is_durable() -> None:
    """Paper, Figure 2: "(Updated on stable storage before responding to RPCs)", of currentTerm and votedFor. A
    candidate that forgot its own vote could vote for another in the same term."""
    bench = Bench()
    asked = bench.ask().only(PreVote)
    happened = bench.step(*(PreVoteResponse(each.to, "n1", 0, 1, True) for each in asked), persist=False)
    assert (bench.status.role, happened.only(RequestVote)) == ("candidate", [])
    assert [(write.term, write.vote) for write in happened.writes] == [(1, "n1")]
    assert len(bench.step(Persisted(happened.writes[0].seq)).only(RequestVote)) == 2


@pytest.mark.parametrize(("size", "needed"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)])
def test_majority_wins(size: int, needed: int) -> None:
    """Paper 5.2: "A candidate wins an election if it receives votes from a majority of the servers in the full cluster
    for the same term"."""
    bench = Bench(voters=range(1, size + 1))
    bench.stand()
    for voter in range(2, 2 + needed):
        assert bench.status.role == "candidate"
        bench.step(RequestVoteResponse(f"n{voter}", "n1", 1, True))
    assert bench.status.role == "leader"


def test_one_vote_per_term_for_the_first_to_ask() -> None:
    """Paper 5.2: "Each server will vote for at most one candidate in a given term, on a first-come-first-served
    basis"."""
    bench = Bench()
    happened = bench.step(RequestVote("n3", "n1", 1, 0, 0), RequestVote("n2", "n1", 1, 0, 0))
    assert {each.to: each.vote_granted for each in happened.only(RequestVoteResponse)} == {"n3": True, "n2": False}


def test_vote_leaves_when_it_is_durable() -> None:
    """Paper, Figure 2, of votedFor: "(Updated on stable storage before responding to RPCs)"."""
    bench = Bench()
    happened = bench.step(RequestVote("n2", "n1", 1, 0, 0), persist=False)
    assert happened.messages == []
    (answer,) = bench.step(Persisted(happened.writes[0].seq)).only(RequestVoteResponse)
    assert answer.vote_granted


def test_new_leader_establishes_its_authority() -> None:
    """Paper 5.2: "Once a candidate wins an election, it becomes leader. It then sends heartbeat messages to all of the
    other servers to establish its authority and prevent new elections". Its first append does that here."""
    bench = Bench()
    assert [each.to for each in bench.lead().only(AppendEntries)] == ["n2", "n3"]


@pytest.mark.parametrize("term", [1, 2])
def test_candidate_recognises_a_leader(term: int) -> None:
    """Paper 5.2: "If the leader's term (included in its RPC) is at least as large as the candidate's current term, then
    the candidate recognizes the leader as legitimate and returns to follower state"."""
    bench = Bench()
    bench.stand()
    bench.step(AppendEntries("n2", "n1", term, 0, 0, 0))
    assert (bench.status.role, bench.leader, bench.status.term) == ("follower", 2, term)


def test_candidate_rejects_an_old_leader() -> None:
    """Paper 5.2: "If the term in the RPC is smaller than the candidate's current term, then the candidate rejects the
    RPC and continues in candidate state"."""
    bench = Bench(term=1)
    bench.stand()
    (answer,) = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0)).only(AppendEntriesResponse)
    assert (answer.success, bench.status.role) == (False, "candidate")


def test_split_vote_starts_another_election() -> None:
    """Paper 5.2: "each candidate will time out and start a new election by incrementing its term and initiating another
    round of RequestVote RPCs"."""
    bench = Bench(voters=[1, 2, 3, 4])
    bench.stand()
    bench.step(RequestVoteResponse("n2", "n1", 1, True), RequestVoteResponse("n3", "n1", 1, False))
    assert bench.status.role == "candidate"
    asked = bench.wait(2 * ELECTION_TICKS).only(PreVote)
    requests = bench.step(*(PreVoteResponse(each.to, "n1", 1, 2, True) for each in asked)).only(RequestVote)
    assert (bench.status.term, len(requests)) == (2, 3)


def test_timeouts_are_drawn_anew_each_time() -> None:
    """Paper 5.2: "election timeouts are chosen randomly from a fixed interval (e.g., 150-300ms)"; and "Each candidate
    restarts its randomized election timeout at the start of an election"."""
    bench = Bench(chance=WholeTicks(7))
    drawn = set()
    for _ in range(30):
        bench.ask()
        drawn.add(round(bench.raft.deadline - bench.now))
    assert len(drawn) > 5
    assert drawn <= set(range(ELECTION_TICKS, 2 * ELECTION_TICKS))


# ------------------------------------------------ what the thesis adds to them


def test_pre_vote_changes_no_term() -> None:
    """Thesis 9.6: "In the Pre-Vote algorithm, a candidate only increments its term if it first learns from a majority
    of the cluster that they would be willing to grant the candidate their votes"."""
    bench = Bench(term=3)
    bench.ask()
    assert (bench.status.role, bench.status.term) == ("pre_candidate", 3)
    bench.step(PreVoteResponse("n2", "n1", 3, 4, True))
    assert (bench.status.role, bench.status.term) == ("candidate", 4)


def test_partitioned_node_does_not_disturb_when_it_returns() -> None:
    """Thesis 9.6: "While a server is partitioned, it won't be able to increment its term, since it can't receive
    permission from a majority of the cluster"; so it comes back without deposing anybody."""
    cluster = cluster_of(3)
    cluster.pre_vote = cluster.check_quorum = True
    cluster.campaign(1)
    cluster.stabilize()
    cluster.tick(3, 50)
    cluster.process_ready(3)
    cluster.deliver(1, drop=True)
    cluster.deliver(2, drop=True)
    assert (cluster.nodes[3].status.role, cluster.nodes[3].status.term) == ("pre_candidate", 1)
    cluster.tick(1)
    cluster.stabilize()
    assert [node.status.leader for node in cluster.nodes.values()] == ["n1"] * 3
    assert [node.status.term for node in cluster.nodes.values()] == [1] * 3


def test_pre_vote_is_refused_while_a_leader_is_heard() -> None:
    """Thesis 9.6: servers grant it if "the voters have not received heartbeats from a valid leader for at least a
    baseline election timeout"."""
    bench = Bench(term=1)
    bench.follow(2)
    (refused,) = bench.step(PreVote("n3", "n1", 2, 9, 1)).only(PreVoteResponse)
    bench.now += ELECTION_TICKS
    (granted,) = bench.step(PreVote("n3", "n1", 2, 9, 1)).only(PreVoteResponse)
    assert (refused.vote_granted, granted.vote_granted) == (False, True)
    assert (bench.status.term, bench.status.vote) == (1, None)


def test_vote_request_is_ignored_while_a_leader_is_heard() -> None:
    """Thesis 4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing from a
    current leader, it does not update its term or grant its vote"."""
    bench = Bench(term=1)
    bench.follow(2)
    assert not bench.step(RequestVote("n3", "n1", 2, 9, 1)).messages
    assert (bench.status.term, bench.status.vote, bench.leader) == (1, None, 2)


def test_leader_without_a_majority_steps_down() -> None:
    """Thesis 6.2: "A leader in Raft steps down if an election timeout elapses without a successful round of heartbeats
    to a majority of its cluster"."""
    bench = Bench(voters=[1, 2, 3, 4, 5])
    bench.lead()
    bench.now += ELECTION_TICKS - 1
    bench.step(HeartbeatResponse("n2", "n1", 1, 0))
    bench.wait(1)
    assert (bench.status.role, bench.leader) == ("follower", 0)


def test_restarted_node_votes_after_an_election_timeout() -> None:
    """Thesis 4.2.3, once more: a restarted server cannot know when it last heard from a leader, so it lets the minimal
    election timeout pass before it grants anything."""
    bench = Bench(term=1, waited=False)
    assert not bench.step(RequestVote("n2", "n1", 2, 9, 1)).messages
    (pre,) = bench.step(PreVote("n2", "n1", 2, 9, 1)).only(PreVoteResponse)
    assert not pre.vote_granted
    bench.now += ELECTION_TICKS
    (answer,) = bench.step(RequestVote("n2", "n1", 2, 9, 1)).only(RequestVoteResponse)
    assert answer.vote_granted


def test_learner_never_campaigns() -> None:
    """Thesis 4.2.1: non-voting members are "not yet counted towards majorities for voting or commitment purposes"; so
    they have nothing to stand for."""
    bench = Bench(3, voters=[1, 2], learners=[3])
    assert not bench.step(Campaign()).messages
    assert not bench.wait(1000).messages
    assert bench.raft.deadline == float("inf")
