"""Tables about elections: who votes for whom, who wins, and when it begins."""

from collections import Counter
from functools import cache

import pytest

from rafty_core import AppendEntries, Heartbeat, PreVote, PreVoteResponse, RequestVote, RequestVoteResponse
from rafty_core.log import Log
from tests.acceptance import data
from tests.acceptance.bench import (
    ELECTION_TICKS,
    HEARTBEAT_TICKS,
    Bench,
    WholeTicks,
    appends,
    batches,
    terms_of,
)
from tests.acceptance.cluster import name_of
from tests.acceptance.data import Json


@pytest.mark.parametrize("row", data.rows("higher_term_steps_down"), ids=str)
def test_rule_5_1_03_vote_request_of_a_higher_term_ends_any_role(row: Json) -> None:
    """Follower of nobody at the newer term; the log is untouched."""
    bench = Bench()
    bench.take(row["role"])
    bench.now += ELECTION_TICKS  # nobody was heard for an election timeout, or the request is not even looked at
    bench.step(RequestVote("n2", "n1", row["term"], 9, row["term"] - 1))
    status = bench.status
    assert (status.role, status.term, status.last_index) == (row["then_role"], row["term"], row["last_index"])
    assert bench.leader == 0


@pytest.mark.parametrize("row", data.rows("higher_term_steps_down"), ids=str)
def test_rule_5_1_04_append_of_a_higher_term_ends_any_role(row: Json) -> None:
    """Follower of the sender at the newer term; the log is untouched."""
    bench = Bench()
    bench.take(row["role"])
    bench.step(AppendEntries("n2", "n1", row["term"], 0, 0, 0))
    status = bench.status
    assert (status.role, status.term, status.last_index) == (row["then_role"], row["term"], row["last_index"])
    assert bench.leader == 2


@pytest.mark.parametrize("row", data.rows("election_one_round"), ids=str)
def test_rule_5_2_03_election_is_decided_by_majorities(row: Json) -> None:
    """Leader by a majority of grants, follower by a majority of refusals, else still candidate."""
    bench = Bench(voters=range(1, row["cluster_size"] + 1))
    bench.stand()
    for voter, granted in row["replies"].items():
        bench.step(RequestVoteResponse(name_of(int(voter)), "n1", 1, granted))
    assert (bench.status.role, bench.status.term) == (row["role"], 1)


@pytest.mark.parametrize("row", data.rows("vote_once_per_term"), ids=str)
def test_rule_5_2_04_vote_goes_to_one_candidate_per_term(row: Json) -> None:
    """Granted to the first to ask, and to it again; to nobody else."""
    bench = Bench(term=1, vote=row["voted_for"])
    happened = bench.step(RequestVote(name_of(row["candidate"]), "n1", 1, 0, 0))
    (answer,) = happened.only(RequestVoteResponse)
    assert (answer.to, answer.vote_granted) == (name_of(row["candidate"]), not row["rejected"])


@pytest.mark.parametrize("row", data.rows("candidate_steps_down_on_append"), ids=str)
def test_rule_5_2_05_candidate_steps_down_for_a_leader(row: Json) -> None:
    """The message's term; the vote cast in its own term stays cast."""
    bench = Bench()
    bench.stand()
    bench.step(AppendEntries(name_of(row["from"]), name_of(row["to"]), row["term"], 0, 0, 0))
    assert (bench.status.role, bench.status.term, bench.leader) == ("follower", row["term"], row["from"])
    assert bench.status.vote == ("n1" if row["term"] == 1 else None)


@cache
def timeouts(role: str, rounds: int, seed: int) -> list[float]:
    """The election timeouts that a follower or a candidate draws, in ticks."""
    found = []
    bench = Bench(chance=WholeTicks(seed), waited=False)
    for _ in range(rounds):
        if role == "follower":
            bench.step(Heartbeat("n2", "n1", bench.status.term + 1, 0, 1))
        else:
            bench.stand()
        found.append(round(bench.raft.deadline - bench.now, 6))
    return found


@pytest.mark.parametrize("role", ["follower", "candidate"])
def test_rule_5_2_06_election_timeouts_take_every_value_of_the_interval(role: str) -> None:
    """Every whole tick from the timeout to twice the timeout, and no other."""
    data.table("election_timeout_spread")
    assert set(timeouts(role, 500, seed=1)) == set(range(ELECTION_TICKS, 2 * ELECTION_TICKS))


@pytest.mark.parametrize("role", ["follower", "candidate"])
def test_rule_5_2_07_timeouts_of_nodes_rarely_coincide(role: str) -> None:
    """In at most 30 % of the rounds do the first two of five nodes time out in the same tick."""
    drawn = zip(*(timeouts(role, 1000, seed) for seed in range(5)), strict=True)
    conflicts = sum(Counter(round_)[min(round_)] > 1 for round_ in drawn)
    assert conflicts <= 300


@pytest.mark.parametrize("row", data.rows("randomised_timeout_probability"), ids=str)
def test_rule_5_2_06_share_of_timeouts_that_have_run_out(row: Json) -> None:
    """The draw is uniform."""
    drawn = timeouts("follower", 10_000, seed=2)
    share = sum(timeout <= row["elapsed"] for timeout in drawn) / len(drawn)
    assert (round(share, 1) if row["rounded"] else share) == row["probability"]


@pytest.mark.parametrize("row", data.rows("heartbeat_tick_by_role"), ids=str)
def test_rule_5_2_08_only_leaders_send_heartbeats(row: Json) -> None:
    """One to each other voter when the interval has passed, without entries."""
    bench = Bench()
    bench.take(row["role"])
    assert len(bench.wait(HEARTBEAT_TICKS).only(Heartbeat)) == row["messages_sent"]


@pytest.mark.parametrize("row", data.rows("role_transitions"), ids=str)
def test_rule_5_1_12_role_transitions(row: Json) -> None:
    """Told to become what its role forbids, a node stays what it is; no step leads there.

    The allowed transitions are taken as far as events lead to them: none leads back from candidate to leader of term
    0, or from pre-candidate to leader without an election.
    """
    bench = Bench(voters=[1, 2, 3])
    bench.take(row["from"])
    term = bench.status.term
    grants = [RequestVoteResponse(voter, "n1", term, True) for voter in ("n2", "n3")]
    pre_grants = [PreVoteResponse(voter, "n1", term, term + 1, True) for voter in ("n2", "n3")]
    if not row["allowed"]:
        if row["to"] == "leader":
            bench.step(*pre_grants, *grants)
        else:
            bench.ask()
            bench.step(*pre_grants)
        assert (bench.status.role, bench.status.term) == (row["from"], term)
    elif row["to"] == "follower":
        bench.step(AppendEntries("n2", "n1", term + 1, 0, 0, 0))
        assert (bench.status.role, bench.status.term, bench.leader) == ("follower", term + 1, 2)
    elif row["to"] == "pre_candidate":
        bench.ask()
        assert (bench.status.role, bench.status.term, bench.leader) == ("pre_candidate", term, 0)
    elif row["to"] == "candidate":
        bench.stand()
        assert (bench.status.role, bench.status.term, bench.leader) == ("candidate", term + 1, 0)
    elif row["from"] != "leader":
        bench.lead()
        assert (bench.status.role, bench.status.term, bench.leader) == ("leader", term + 1, 1)


@pytest.mark.parametrize("row", data.rows("vote_request_contents"), ids=str)
def test_rule_5_4_01_vote_request_names_the_last_entry(row: Json) -> None:
    """Its index and term, in the requests for pre-votes and for votes alike."""
    bench = Bench()
    terms = terms_of(row["entries"])
    for message in appends(row["term"] - 1, (0, 0), 0, row["entries"]):
        bench.step(message)
    asked = bench.wait(2 * ELECTION_TICKS).only(PreVote)
    votes = bench.step(*(PreVoteResponse(each.to, "n1", each.term - 1, each.term, True) for each in asked))
    wanted = [(to, row["term"], len(terms), terms[-1]) for to in ("n2", "n3")]
    assert [(each.to, each.term, each.last_log_index, each.last_log_term) for each in asked] == wanted
    requests = votes.only(RequestVote)
    assert [(each.to, each.term, each.last_log_index, each.last_log_term) for each in requests] == wanted


@pytest.mark.parametrize("row", data.rows("vote_up_to_date_check"), ids=str)
def test_rule_5_4_02_vote_is_refused_if_the_own_log_is_more_up_to_date(row: Json) -> None:
    """Term first, then length."""
    bench = Bench(voters=[1, 2], log=terms_of(row["log"]))
    term = max(3, bench.status.term + 1)
    (answer,) = bench.step(RequestVote("n2", "n1", term, row["last_index"], row["last_term"])).only(RequestVoteResponse)
    assert answer.vote_granted is not row["rejected"]


@pytest.mark.parametrize("row", data.rows("log_up_to_date"), ids=str)
def test_rule_5_4_02_logs_compare_by_last_term_then_length(row: Json) -> None:
    """The other log is at least as up-to-date as this one, or not."""
    log = Log()
    for batch in batches(1, [1, 2, 3]):
        log.replace_from(batch)
    assert log.is_up_to_date(row["last_index"], row["term"]) is row["up_to_date"]


def in_role(row: Json) -> Bench:
    """A node in the row's role, of term 2 or, where the request's last entry has a later one, of that."""
    term = max(2, row["last_term"])
    before = term - 1 if row["role"] in ("leader", "candidate") else term
    bench = Bench(term=before, log=[2, 2], vote=row["voted_for"] if before == term else 0)
    bench.take(row["role"])
    return bench


@pytest.mark.parametrize("row", data.rows("vote_by_role_and_log"), ids=str)
def test_rule_5_4_03_vote_by_role_vote_cast_and_log(row: Json) -> None:
    """A request of the node's own term."""
    bench = in_role(row)
    request = RequestVote("n2", "n1", bench.status.term, row["last_index"], row["last_term"])
    (answer,) = bench.step(request).only(RequestVoteResponse)
    assert answer.vote_granted is not row["rejected"]


@pytest.mark.parametrize("row", data.rows("vote_by_role_and_log"), ids=str)
def test_rule_5_4_03_pre_vote_by_role_vote_cast_and_log(row: Json) -> None:
    """A question about the node's own term."""
    bench = in_role(row)
    request = PreVote("n2", "n1", bench.status.term, row["last_index"], row["last_term"])
    (answer,) = bench.step(request).only(PreVoteResponse)
    assert answer.vote_granted is not row["rejected"]


@pytest.mark.parametrize("row", data.rows("may_campaign"), ids=str)
def test_rule_6_08_only_voters_campaign(row: Json) -> None:
    """Neither on request nor when time passes."""
    bench = Bench(voters=row["voters"])
    assert ("pre_candidate" in bench.ask().roles) is row["may_campaign"]
    late = Bench(voters=row["voters"])
    assert ("pre_candidate" in late.wait(100).roles) is row["may_campaign"]
