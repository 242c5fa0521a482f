"""Tables about a leader: what is committed, what it sends, how it sees its followers."""

import pytest

from rafty_core import AppendEntries, Persisted, Propose, Snapshot, Stable, Write
from rafty_core.entries import COMMAND, NO_OP
from rafty_core.progress import PROBE, REPLICATE, Inflights, Progress
from tests.acceptance import data
from tests.acceptance.bench import Bench, batches, terms_of
from tests.acceptance.cluster import Cluster, configuration
from tests.acceptance.data import Json
from tests.acceptance.set_aside import FLOW_STATES

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


# ---------------------------------------------------------------- flow control


def window(messages: int = 256, most_bytes: int = 0) -> Inflights:
    """A window of appends in flight."""
    return Inflights(messages, most_bytes)


def progress_of(row: Json, messages: int = 256) -> Progress:
    """A follower's progress in the row's state, by the row's numbers."""
    progress = Progress(row.get("next", 1), window(messages))
    progress.match = row.get("match", 0)
    progress.state = row.get("state", PROBE)
    return progress


@pytest.mark.parametrize("row", data.rows("progress_update"), ids=str)
def test_rule_fc_05_acknowledgement_only_raises(row: Json) -> None:
    """Match and next never fall."""
    progress = progress_of({"match": 3, "next": 5})
    assert progress.acknowledge(row["ack"]) is row["advanced"]
    assert (progress.match, progress.next) == (row["match"], row["next"])


@pytest.mark.parametrize("row", data.rows("progress_rejected"), ids=str)
def test_rule_fc_05_refusal_lowers_next_unless_overtaken(row: Json) -> None:
    """A refusal that later news has overtaken moves nothing."""
    progress = progress_of(row)
    assert progress.refuse(row["rejected"], row["hint"]) is row["accepted"]
    assert progress.next == row["then_next"]


@pytest.mark.parametrize("row", [row for row in data.rows("progress_paused") if row["state"] in FLOW_STATES], ids=str)
def test_rule_fc_05_paused(row: Json) -> None:
    """A probe waits for its answer; a replicating follower is paused by a full window."""
    progress = progress_of(row, messages=1)
    if row["paused"]:
        progress.sent(1, 1)
    assert progress.is_paused is row["is_paused"]


def events_of(progress: Progress) -> dict[str, object]:
    """What the table calls the events, as the verbs of a follower's progress."""
    return {
        "become replicate": progress.become_replicate,
        "rejection of 1, hint 1": lambda: progress.refuse(1, 1),
        "ack of 2": lambda: progress.acknowledge(2),
    }


TRANSITIONS = [
    case
    for case in data.table("progress_transitions").get("cases", [])
    if {case["from"].get("state", PROBE), case["to"].get("state", PROBE)} <= FLOW_STATES
]
UNREACHABLE = "transport reports the follower unreachable"


@pytest.mark.parametrize("case", [case for case in TRANSITIONS if case["event"] != UNREACHABLE], ids=str)
def test_rule_fc_05_flow_changes_by_events(case: Json) -> None:
    """State, match, next, and whether a probe is on its way, after each event."""
    before = case["from"]
    progress = progress_of(before)
    if before.get("paused"):
        progress.sent(progress.next, 1)
    event = events_of(progress)[case["event"]]
    assert callable(event)
    event()
    for field, value in case["to"].items():
        assert getattr(progress, field) == value, field


@pytest.mark.parametrize("case", [case for case in TRANSITIONS if case["event"] == UNREACHABLE], ids=str)
def test_rule_fc_06_unreachable_follower_is_probed(case: Json) -> None:
    """From match + 1, and one append at a time."""
    before, after = case["from"], case["to"]
    cluster = Cluster()
    for number in (1, 2, 3):
        cluster.add(number, Snapshot(configuration=configuration([1, 2, 3])))
    cluster.campaign(1)
    cluster.stabilize()
    while cluster.nodes[1].status.last_index < before["next"] - 1:
        cluster.propose(1, b"data")
        if cluster.nodes[1].status.last_index == before["match"]:
            cluster.stabilize()
    cluster.report_unreachable(1, 2)
    peer = cluster.nodes[1].status.peers[0]
    assert (peer.id, peer.flow, peer.match_index, peer.next_index) == ("n2", PROBE, after["match"], after["next"])
    assert peer.inflight_messages == 0


def test_rule_fc_05_flow_starts_as_a_probe() -> None:
    """And turns to replication when the follower acknowledges what was asked about."""
    bench = Bench()
    bench.lead()
    assert bench.peer(2) == (PROBE, 0, 1)
    bench.acknowledge(2, 1)
    assert bench.peer(2) == (REPLICATE, 1, 2)


@pytest.mark.parametrize("row", data.rows("inflights_full"), ids=lambda row: row["name"])
def test_rule_fc_04_window_is_full(row: Json) -> None:
    """By messages or by bytes; adding to a full window fails loudly."""
    inflights = window(row["size"], row["max_bytes"])
    sent = 0
    for full_at in (row["full_at"], row["full_again_at"]):
        while not inflights.full:
            inflights.add(sent, 100 + sent)
            sent += 1
        assert sent == full_at
        with pytest.raises(ValueError, match="full"):
            inflights.add(sent, 100 + sent)
        inflights.free_to(row["free_up_to"])


def add(inflights: Inflights, first: int, last: int) -> None:
    """Messages `first` to `last`; message i has 100 + i bytes."""
    for index in range(first, last + 1):
        inflights.add(index, 100 + index)


def test_rule_fc_04_window_counts_messages_and_bytes() -> None:
    """Added, freed in order, wrapped around."""
    steps = data.table("inflights_window").get("steps", [])
    inflights = window(10)
    for step in steps:
        verb, *numbers = step["do"].replace("..", " ").replace("<=", " ").split()[:3]
        if verb == "add":
            add(inflights, int(numbers[0]), int(numbers[1]))
        elif verb == "free":
            inflights.free_to(int(numbers[0]))
        else:
            break
        assert (inflights.count, inflights.bytes) == (step["count"], step["bytes"])
        assert inflights.full is step.get("full", False)


def test_rule_fc_04_window_is_reset_again_and_again() -> None:
    """A reset leaves nothing behind that would fill the window in time."""
    inflights = window(10, 1000)
    for _ in range(100):
        inflights.reset()
        for index in range(5):
            inflights.add(index, 16)
        inflights.free_to(2)
        assert (inflights.count, inflights.full) == (2, False)
