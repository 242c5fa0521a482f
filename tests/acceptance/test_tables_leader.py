"""Tables about a leader: what is committed, what it sends."""

import pytest

from rafty_core import AppendEntries, Persisted, Propose, Snapshot, Stable, Write
from rafty_core.entries import COMMAND, NO_OP
from rafty_core.progress import PROBE
from tests.acceptance import data
from tests.acceptance.bench import Bench, batches, terms_of
from tests.acceptance.cluster import Cluster, configuration
from tests.acceptance.data import Json

# ---------------------------------------------------------------------- commit


@pytest.mark.parametrize("row", data.rows("commit_on_majority"), ids=str)
def test_rule_5_3_03_commit_needs_a_majority_with_the_leader(row: Json) -> None:
    """Committed exactly when a majority, the leader included, has the entry."""
    bench = Bench(voters=range(1, row["cluster_size"] + 1))
    bench.lead_committed()
    bench.step(Propose("token", [b"some data"]))
    index = bench.status.last_index
    for follower in row["acks"] or ():
        bench.acknowledge(int(follower), index)
    assert (bench.status.commit_index >= index) is row["committed"]


@pytest.mark.parametrize("row", data.rows("commit_includes_preceding"), ids=str)
def test_rule_5_3_04_commit_includes_preceding_entries(row: Json | list[int]) -> None:
    """All entries before the leader's own are committed with it, and applied in order."""
    terms = terms_of(row) if isinstance(row, dict) else []
    bench = Bench(term=2, log=terms)
    applied = bench.lead().applied
    applied += bench.step(Propose("token", [b"some data"])).applied
    applied += bench.all_acknowledge().applied
    own = [entry for batch in batches(1, terms) for entry in batch.entries]
    assert applied == [*own, NO_OP, COMMAND + b"some data"]
    assert bench.terms == [*terms, 3, 3]
    assert bench.status.applied_index == len(applied)


@pytest.mark.parametrize("row", data.rows("commit_only_current_term"), ids=str)
def test_rule_5_4_05_entries_of_earlier_terms_are_not_counted(row: Json) -> None:
    """They are committed by an entry of the leader's own term behind them, and by nothing else."""
    bench = Bench(voters=[1, 2], log=[1, 2])
    own = bench.lead(persist=False)
    proposed = bench.step(Propose("token", [b"some data"]), persist=False)
    bench.acknowledge(2, row["ack_index"], persist=False)
    assert bench.status.commit_index == 0 or row["ack_index"] > 2
    bench.step(Persisted([*own.writes, *proposed.writes][-1].seq))
    assert bench.status.commit_index == row["commit"]


def durable_up_to(writes: list[Write], index: int) -> list[Write]:
    """The writes whose entries do not go beyond `index`."""
    return [write for write in writes if not write.batches or write.batches[-1].last <= index]


@pytest.mark.parametrize("row", data.rows("leader_commit_rule"), ids=str)
def test_rule_5_4_06_commit_rule(row: Json) -> None:
    """The largest index of the leader's own term that a majority has, else 0.

    A leader's log has no entry of a later term: such entries of a row, which could not count, are left out, and with
    them what voters have of them. The first entry of the leader's own is its no-op; a row without one gets it at the
    end, where nobody has it.
    """
    term = row["term"]
    before = [each for each in terms_of(row["log"]) if each < term]
    own = [each for each in terms_of(row["log"]) if each == term]
    reach = len(before) + len(own)
    bench = Bench(voters=range(1, len(row["match"]) + 1), term=term - 1, log=before)
    writes = bench.lead(persist=False).writes
    for _ in own[1:]:
        writes += bench.step(Propose("token", [b"data"]), persist=False).writes
    matches = [min(index, reach) for index in row["match"]]
    for write in durable_up_to(writes, matches[0]):
        bench.step(Persisted(write.seq))
    for follower, index in enumerate(matches[1:], 2):
        bench.acknowledge(follower, index, persist=False)
    assert bench.status.term == term
    assert bench.status.commit_index == row["commit"]


# ----------------------------------------------------------------- replication


@pytest.mark.parametrize("row", data.rows("append_reply_handling"), ids=str)
def test_rule_5_3_18_append_reply_of_a_probed_follower(row: Json) -> None:
    """Match, next, and where the next append starts.

    The leader's log is (1, 1) and its own entry of term 2. So entry 2 is not committed by a majority alone (rule
    5.4-05), as it is in a core that can be put in the middle of a term; it is, as the row says, once the leader's own
    entry is. Then everything the row counts is the commit index that its appends carry.
    """
    bench = Bench(log=[1, 1])
    bench.lead()
    assert bench.peer(2) == (PROBE, 0, 3)
    if row["reject"]:
        sent = bench.refuse(2, row["index"], row["index"], 1 if row["index"] in (1, 2) else 0).only(AppendEntries)
    else:
        sent = bench.acknowledge(2, row["index"]).only(AppendEntries)
    _, match, following = bench.peer(2)
    assert (match, following) == (row["match"], row["next"])
    to_follower = [message for message in sent if message.to == "n2"]
    assert bool(to_follower) is (row["messages_sent"] > 0)
    assert [message.prev_log_index for message in to_follower[:1]] == [row["prev_index"]][: len(to_follower)]
    assert bench.status.commit_index == 0
    if row["commit"]:
        sent = bench.acknowledge(2, 3).only(AppendEntries)
        assert bench.status.commit_index == 3
        assert [message.leader_commit for message in sent if message.to == "n2"] == [3]


@pytest.mark.parametrize("row", data.rows("optimistic_next"), ids=str)
def test_rule_fc_02_next_runs_ahead_only_while_replicating(row: Json) -> None:
    """A replicating follower is sent the proposal at once; a probed one is not."""
    bench = Bench(log=[1, 2, 3])
    bench.lead()
    held = row["next"] - 1
    bench.refuse(2, 3, held, held)
    assert bench.peer(2) == (PROBE, 0, row["next"])
    if row["state"] == "replicate":
        bench.acknowledge(2, held)
    happened = bench.step(Propose("token", [b"some data"]))
    assert bench.peer(2)[::2] == (row["state"], row["then_next"])
    assert any(message.to == "n2" for message in happened.only(AppendEntries)) is (row["state"] == "replicate")


def cluster_of(row: Json) -> Cluster:
    """The live nodes of a row, each with the log it gives; voters are all that it names."""
    cluster = Cluster()
    members = configuration(map(int, row))
    for number, node in row.items():
        if node != "down":
            stored = batches(1, node["log_terms"])
            last_term = stored[-1].term if stored else 0
            cluster.add_with(int(number), Stable(last_term, None, Snapshot(configuration=members), stored))
    return cluster


@pytest.mark.parametrize("row", data.rows("proposal_needs_quorum_of_votes"), ids=str)
def test_rule_5_3_15_proposal_needs_a_leader_that_could_be_elected(row: Json) -> None:
    """It is in every live log exactly if a majority lives. Without one, the node asks in vain: a pre-candidate of the
    term before stands for a candidate here."""
    cluster = cluster_of(row["cluster"])
    stored = row["cluster"]["1"]["log_terms"]
    term = max(stored, default=0) + 1
    cluster.campaign(1)
    cluster.stabilize()
    cluster.propose(1, b"somedata")
    cluster.stabilize()
    for node in cluster.nodes.values():
        status = node.status
        entries = node.raft.entries(1, status.last_index)
        added = [(term, "no-op", b""), (term, "command", b"somedata")] if row["success"] else []
        assert [(each.term, each.kind, each.data) for each in entries[len(stored) :]] == added
    first = cluster.nodes[1].status
    assert (first.role, first.term) == (("leader", term) if row["success"] else ("pre_candidate", term - 1))


@pytest.mark.parametrize("row", data.rows("proposal_forwarded"), ids=str)
def test_rule_5_3_16_proposal_at_a_follower_is_forwarded(row: Json) -> None:
    """The leader appends it, and it is committed."""
    cluster = cluster_of(row)
    cluster.campaign(1)
    cluster.stabilize()
    cluster.propose(2, b"somedata", token="mine")
    cluster.stabilize()
    for node in cluster.nodes.values():
        assert [(each.term, each.data) for each in node.raft.entries(1, 2)] == [(1, b""), (1, b"somedata")]
        assert node.status.commit_index == 2
    (answer,) = cluster.nodes[2].answers
    assert (answer.token, answer.error) == ("mine", None)
