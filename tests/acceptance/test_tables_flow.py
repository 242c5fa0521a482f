"""Tables about flow control: how a leader sees one follower, and how much is in flight to it."""

import re
from collections.abc import Callable

import pytest

from rafty_core import AppendEntries, Propose, Snapshot
from rafty_core.progress import PROBE, REPLICATE, Inflights, Progress
from tests.acceptance import data
from tests.acceptance.bench import Bench
from tests.acceptance.cluster import Cluster, configuration
from tests.acceptance.data import Json
from tests.acceptance.set_aside import TRANSITIONS as SET_ASIDE


def window(messages: int = 256, most_bytes: int = 0) -> Inflights:
    """A window of appends in flight."""
    return Inflights(messages, most_bytes)


def progress_of(row: Json, messages: int = 256) -> Progress:
    """A follower's progress in the row's state, by the row's numbers."""
    progress = Progress(row.get("next", 1), window(messages))
    progress.match = row.get("match", 0)
    progress.state = row.get("state", PROBE)
    progress.pending_snapshot = row.get("pending_snapshot", 0)
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


@pytest.mark.parametrize("row", data.rows("progress_paused"), ids=str)
def test_rule_fc_05_paused(row: Json) -> None:
    """A probe waits for its answer; a replicating follower is paused by a full window; a snapshot pauses always."""
    progress = progress_of(row, messages=1)
    if row["paused"]:
        progress.sent(1, 1)
    assert progress.is_paused is row["is_paused"]


EVENTS: dict[str, Callable[..., object]] = {
    r"become probe": Progress.become_probe,
    r"become replicate": Progress.become_replicate,
    r"become snapshot (\d+)": Progress.become_snapshot,
    r"rejection of (\d+), hint (\d+)": Progress.refuse,
    r"ack of (\d+)": Progress.acknowledge,
    r"application reports the snapshot failed": Progress.snapshot_failed,
}
"""What the table calls the events, as the verbs of a follower's progress."""


def happen(event: str, progress: Progress) -> None:
    """Let the event of a case happen."""
    ((verb, found),) = ((EVENTS[text], found) for text in EVENTS if (found := re.fullmatch(text, event)))
    verb(progress, *map(int, found.groups()))


TRANSITIONS = [case for case in data.table("progress_transitions").get("cases", []) if case["event"] not in SET_ASIDE]
UNREACHABLE = "transport reports the follower unreachable"
PROPOSED = "proposal at the leader"
ACKNOWLEDGED = re.compile(r"append acknowledged up to (\d+) \(leader's last index (\d+)\)")


def is_a_story(case: Json) -> bool:
    """Whether the case is about a leader, and not about the progress alone."""
    return case["event"] in (UNREACHABLE, PROPOSED) or ACKNOWLEDGED.match(case["event"]) is not None


@pytest.mark.parametrize("case", [case for case in TRANSITIONS if not is_a_story(case)], ids=str)
def test_rule_fc_05_flow_changes_by_events(case: Json) -> None:
    """State, match, next, and whether a probe is on its way, after each event."""
    before = case["from"]
    progress = progress_of(before)
    if before.get("paused"):
        progress.sent(progress.next, 1)
    happen(case["event"], progress)
    for field, value in case["to"].items():
        assert getattr(progress, field) == value, field


def waits_for_snapshot(index: int) -> Bench:
    """Node 1 leads behind a snapshot, which follower 2 was offered; its no-op stands behind that."""
    bench = Bench(voters=[1, 2], snapshot=(index, 1), term=1)
    bench.lead()
    bench.refuse(2, index)
    return bench


@pytest.mark.parametrize("case", [case for case in TRANSITIONS if case["event"] == PROPOSED], ids=str)
def test_rule_7_10_proposal_while_a_follower_waits_for_a_snapshot(case: Json) -> None:
    """Nothing is sent to it."""
    bench = waits_for_snapshot(case["from"]["pending_snapshot"])
    assert bench.peer(2)[0] == case["from"]["state"]
    sent = bench.step(Propose("token", [b"data"])).only(AppendEntries)
    assert len(sent) == case["to"]["messages_sent"]


@pytest.mark.parametrize("case", [case for case in TRANSITIONS if ACKNOWLEDGED.match(case["event"])], ids=str)
def test_rule_7_11_acknowledgement_of_a_snapshot(case: Json) -> None:
    """The follower holds it: the rest of the log is sent at once."""
    found = ACKNOWLEDGED.match(case["event"])
    assert found is not None
    bench = waits_for_snapshot(case["from"]["pending_snapshot"])
    assert bench.status.last_index == int(found[2])
    bench.acknowledge(2, int(found[1]))
    (peer,) = bench.status.peers
    after = {"state": peer.flow, "next": peer.next_index, "pending_snapshot": peer.pending_snapshot}
    assert {**after, "inflight": peer.inflight_messages} == case["to"]


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
