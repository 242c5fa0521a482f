"""Rules 5.1 and 5.2 that are no tables: terms, and how a leader comes and goes."""

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Campaign,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
    Stable,
)
from tests.acceptance.bench import ELECTION_TICKS, HEARTBEAT_TICKS, Bench, batches
from tests.acceptance.cluster import Cluster, configuration

ROLES = ["follower", "pre_candidate", "candidate", "leader"]
THREE = Snapshot(configuration=configuration([1, 2, 3]))


def three_nodes() -> Cluster:
    """A fresh cluster of three."""
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.add(number, THREE)
    return cluster


# ----------------------------------------------------------------------- terms


@pytest.mark.parametrize("role", ROLES)
def test_rule_5_1_01_append_of_a_newer_term_makes_a_follower(role: str) -> None:
    """Whatever the role, the node follows at the newer term."""
    bench = Bench()
    bench.take(role)
    term = bench.status.term + 1
    bench.step(AppendEntries("n2", "n1", term, 0, 0, 0))
    assert (bench.status.role, bench.status.term) == ("follower", term)


@pytest.mark.parametrize("role", ROLES)
def test_rule_5_1_02_requests_of_an_older_term_change_nothing(role: str) -> None:
    """The sender is told the newer term."""
    bench = Bench(term=2)
    bench.take(role)
    before = bench.picture()
    for message in (
        AppendEntries("n2", "n1", 1, 0, 0, 0, batches(1, [1])[0]),
        RequestVote("n2", "n1", 1, 9, 1),
        Heartbeat("n2", "n1", 1, 0, 1),
    ):
        (answer,) = bench.step(message).messages
        assert answer.term == bench.status.term
        assert bench.picture() == before


def test_rule_5_1_05_reply_of_a_newer_term_ends_leadership() -> None:
    """No leader is known then."""
    bench = Bench()
    bench.lead()
    bench.step(AppendEntriesResponse("n2", "n1", 2, False, 0))
    assert (bench.status.role, bench.status.term, bench.leader) == ("follower", 2, 0)


def test_rule_5_1_06_leader_follows_the_leader_of_a_newer_term() -> None:
    """It knows it by its append."""
    bench = Bench()
    bench.lead()
    bench.step(AppendEntries("n3", "n1", 2, 0, 0, 0))
    assert (bench.status.role, bench.status.term, bench.leader) == ("follower", 2, 3)


def test_rule_5_1_07_reply_of_an_older_term_is_ignored() -> None:
    """Progress is as it was."""
    bench = Bench(term=1)
    bench.lead()
    before = bench.picture()
    bench.step(AppendEntriesResponse("n2", "n1", 1, True, 1))
    assert bench.picture() == before


def test_rule_5_1_08_fresh_node_knows_nothing() -> None:
    """Term 0, no vote, an empty log."""
    status = Bench().status
    assert (status.term, status.vote, status.last_index, status.commit_index) == (0, None, 0, 0)


def test_rule_5_1_09_term_and_vote_persist() -> None:
    """They are written, and read back after a restart."""
    bench = Bench()
    (write,) = bench.step(RequestVote("n2", "n1", 7, 0, 0)).writes
    assert (write.term, write.vote) == (7, "n2")
    assert (bench.status.term, bench.status.vote) == (7, "n2")
    again = Bench(stable=Stable(write.term, write.vote, bench.stable.snapshot))
    assert (again.status.term, again.status.vote) == (7, "n2")


# ------------------------------------------------------------------- elections


def test_rule_5_2_01_fresh_node_follows() -> None:
    """It knows no leader."""
    bench = Bench()
    assert (bench.status.role, bench.leader) == ("follower", 0)


@pytest.mark.parametrize("role", ["follower", "candidate"])
def test_rule_5_2_02_silence_starts_an_election(role: str) -> None:
    """Candidate of the next term, voted for itself, a request to each other voter (after a pre-vote)."""
    bench = Bench(term=1 if role == "follower" else 0)
    bench.take(role)
    assert bench.status.term == 1
    asked = bench.wait(2 * ELECTION_TICKS).only(PreVote)
    assert [(each.to, each.term) for each in asked] == [("n2", 2), ("n3", 2)]
    grants = [PreVoteResponse(each.to, "n1", 1, 2, True) for each in asked]
    requests = bench.step(*grants).only(RequestVote)
    assert (bench.status.role, bench.status.term, bench.status.vote) == ("candidate", 2, "n1")
    assert [(each.to, each.term) for each in requests] == [("n2", 2), ("n3", 2)]


def test_rule_5_2_09_heartbeat_commits_only_what_the_follower_has() -> None:
    """The commit index sent is at most what that follower is known to have."""
    bench = Bench()
    bench.lead()
    bench.acknowledge(2, 1)
    assert bench.status.commit_index == 1
    heartbeats = bench.wait(HEARTBEAT_TICKS).only(Heartbeat)
    assert {each.to: each.leader_commit for each in heartbeats} == {"n2": 1, "n3": 0}


def test_rule_5_2_11_nodes_lead_in_turn() -> None:
    """Each that campaigns becomes leader, the others follow it."""
    cluster = three_nodes()
    for number in (1, 2, 3):
        cluster.campaign(number)
        cluster.stabilize()
        roles = {each: node.status.role for each, node in cluster.nodes.items()}
        assert roles == {each: "leader" if each == number else "follower" for each in (1, 2, 3)}
        assert {node.status.leader for node in cluster.nodes.values()} == {f"n{number}"}
        assert {node.status.term for node in cluster.nodes.values()} == {number}


@pytest.mark.parametrize("role", ROLES)
def test_rule_5_2_12_vote_of_the_next_term_is_granted(role: str) -> None:
    """To a longer log, by a node that heard no leader for an election timeout; the vote is recorded."""
    bench = Bench(term=1)
    bench.take(role)
    bench.now += ELECTION_TICKS
    term = bench.status.term + 1
    (answer,) = bench.step(RequestVote("n2", "n1", term, 5, term - 1)).only(RequestVoteResponse)
    assert answer.vote_granted
    assert (bench.status.role, bench.status.term, bench.status.vote) == ("follower", term, "n2")


@pytest.mark.parametrize("role", ROLES)
def test_rule_5_2_13_vote_of_an_older_term_is_refused(role: str) -> None:
    """By every role."""
    bench = Bench(term=3)
    bench.take(role)
    (answer,) = bench.step(RequestVote("n2", "n1", 2, 9, 2)).only(RequestVoteResponse)
    assert not answer.vote_granted


@pytest.mark.parametrize("behind", [0, 1])
def test_rule_5_2_14_leader_grants_no_vote_of_its_own_term_or_older(behind: int) -> None:
    """It stays leader."""
    bench = Bench(term=2)
    bench.lead()
    (answer,) = bench.step(RequestVote("n2", "n1", 3 - behind, 9, 2)).only(RequestVoteResponse)
    assert not answer.vote_granted
    assert (bench.status.role, bench.status.term) == ("leader", 3)


def test_rule_5_2_17_single_voter_leads_at_once() -> None:
    """It needs nobody's word but its own disk's."""
    bench = Bench(voters=[1])
    happened = bench.step(Campaign())
    assert not happened.messages
    assert (bench.status.role, bench.status.term, bench.status.commit_index) == ("leader", 1, 1)


def test_rule_5_2_18_leader_told_to_campaign_stays() -> None:
    """Nothing changes, the term least of all."""
    bench = Bench()
    bench.lead()
    before = bench.picture()
    assert not bench.step(Campaign()).messages
    assert bench.picture() == before


@pytest.mark.parametrize(
    "message", [Heartbeat("n2", "n1", 3, 0, 1), AppendEntries("n2", "n1", 3, 0, 0, 0)], ids=["heartbeat", "append"]
)
def test_rule_5_2_19_isolated_candidate_rejoins(message: Message) -> None:
    """It follows at the term that the others have reached."""
    bench = Bench()
    bench.stand()
    bench.step(message)
    assert (bench.status.role, bench.status.term, bench.leader) == ("follower", 3, 2)


def test_rule_5_2_21_votes_that_do_not_count() -> None:
    """Refusals, and grants of another term."""
    bench = Bench(voters=[1, 2, 3, 4, 5], term=1)
    bench.stand()
    bench.step(
        RequestVoteResponse("n2", "n1", 2, False),
        RequestVoteResponse("n3", "n1", 1, True),
        RequestVoteResponse("n4", "n1", 1, True),
    )
    assert bench.status.role == "candidate"
    bench.step(RequestVoteResponse("n2", "n1", 2, True), RequestVoteResponse("n3", "n1", 2, True))
    assert bench.status.role == "candidate"  # n2 has refused already, and votes once
    bench.step(RequestVoteResponse("n4", "n1", 2, True))
    assert bench.status.role == "leader"


@pytest.mark.parametrize("role", ["follower", "leader"])
def test_rule_5_2_22_vote_replies_mean_nothing_to_others(role: str) -> None:
    """Only a candidate counts votes."""
    bench = Bench()
    bench.take(role)
    before = bench.picture()
    term = bench.status.term
    bench.step(RequestVoteResponse("n2", "n1", term, True), RequestVoteResponse("n3", "n1", term, False))
    assert bench.picture() == before


def test_rule_5_2_23_vote_reply_of_a_newer_term() -> None:
    """Follower at that term, no vote cast in it."""
    bench = Bench()
    bench.stand()
    bench.step(RequestVoteResponse("n2", "n1", 4, False))
    assert (bench.status.role, bench.status.term, bench.status.vote) == ("follower", 4, None)


def test_rule_5_2_24_granted_vote_restarts_the_election_timer() -> None:
    """A refused one does not."""
    bench = Bench(log=[1])
    bench.step(RequestVote("n2", "n1", 2, 1, 1))
    bench.now += 3
    before = bench.raft.deadline
    bench.step(RequestVote("n3", "n1", 2, 1, 1))
    assert bench.raft.deadline == before
    bench.step(RequestVote("n2", "n1", 2, 1, 1))
    assert bench.raft.deadline == before + 3


@pytest.mark.parametrize("kind", ["append", "heartbeat"])
def test_rule_5_2_25_leader_restarts_the_election_timer(kind: str) -> None:
    """By an append as by a heartbeat."""
    bench = Bench(term=1)
    bench.follow(2)
    before = bench.raft.deadline
    bench.now += 3
    message = Heartbeat("n2", "n1", 1, 0, 2) if kind == "heartbeat" else AppendEntries("n2", "n1", 1, 0, 0, 0)
    bench.step(message)
    assert bench.raft.deadline == before + 3


def test_rule_5_2_26_nobody_leads_alone() -> None:
    """However often it asks; its term does not even grow."""
    bench = Bench()
    for _ in range(20):
        assert "leader" not in bench.wait(2 * ELECTION_TICKS).roles
    assert bench.status.term == 0


def test_rule_5_2_27_new_leader_replicates_at_once() -> None:
    """Every follower's next index is behind the log as it was, an append goes to each, its own vote stays recorded."""
    bench = Bench(log=[1, 1])
    appends = bench.lead().only(AppendEntries)
    assert [(each.to, each.prev_log_index, each.prev_log_term) for each in appends] == [("n2", 2, 1), ("n3", 2, 1)]
    assert [bench.peer(2)[2], bench.peer(3)[2]] == [3, 3]
    assert bench.status.vote == "n1"


def test_rule_5_2_28_vote_is_kept_within_its_term() -> None:
    """A candidate that follows again does not vote again."""
    bench = Bench()
    bench.stand()
    bench.step(Heartbeat("n2", "n1", 1, 0, 1))
    assert (bench.status.role, bench.status.vote) == ("follower", "n1")
    (answer,) = bench.step(RequestVote("n3", "n1", 1, 9, 0)).only(RequestVoteResponse)
    assert not answer.vote_granted


# ---------------------------------------------------------------- check quorum


def test_rule_cq_01_leader_without_a_majority_steps_down() -> None:
    """With one that is heard within each election timeout it stays."""
    bench = Bench(voters=[1, 2, 3])
    bench.lead()
    for round_ in range(1, 30):
        bench.wait(HEARTBEAT_TICKS)
        bench.step(HeartbeatResponse("n2", "n1", 1, round_))
    assert bench.status.role == "leader"
    bench.wait(ELECTION_TICKS - 1)
    assert bench.status.role == "leader"
    bench.wait(1)
    assert (bench.status.role, bench.status.term, bench.leader) == ("follower", 1, 0)
