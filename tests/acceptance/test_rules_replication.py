"""Rules 5.3 that are no tables, and those of 6 and 7 that hold without changing members or installing snapshots."""

from typing import Any

import pytest

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Applied,
    Batch,
    HeartbeatResponse,
    Persisted,
    Propose,
    Snapshot,
    Stable,
    Superseded,
)
from rafty_core.entries import COMMAND
from rafty_core.progress import PROBE, REPLICATE
from tests.acceptance.bench import HEARTBEAT_TICKS, Bench, batches
from tests.acceptance.cluster import configuration


def test_rule_5_3_01_proposal_is_appended_and_sent() -> None:
    """Not committed yet; each append names the preceding entry and the commit index."""
    bench = Bench()
    bench.lead_committed()
    sent = bench.step(Propose("token", [b"some data"])).only(AppendEntries)
    assert (bench.status.last_index, bench.status.commit_index) == (2, 1)
    wanted = Batch(2, 1, [COMMAND + b"some data"])
    assert sent == [AppendEntries("n1", to, 1, 1, 1, 1, wanted) for to in ("n2", "n3")]


def test_rule_5_3_02_acknowledged_proposal_is_committed() -> None:
    """It is handed out to apply, and appends carry the new commit index."""
    bench = Bench()
    bench.lead_committed()
    bench.step(Propose("token", [b"some data"]))
    happened = bench.all_acknowledge()
    assert bench.status.commit_index == 2
    assert happened.applied == [COMMAND + b"some data"]
    assert {(each.to, each.leader_commit) for each in happened.only(AppendEntries)} == {("n2", 2), ("n3", 2)}


def test_rule_5_3_08_repeated_entries_change_nothing() -> None:
    """Accepted; nothing is deleted or doubled, even if the log is longer."""
    bench = Bench(log=[1, 1, 1, 1])
    happened = bench.step(AppendEntries("n2", "n1", 1, 1, 1, 0, batches(2, [1])[0]))
    (answer,) = happened.only(AppendEntriesResponse)
    assert (answer.success, answer.match_index) == (True, 2)
    assert bench.terms == [1, 1, 1, 1]
    assert not [write for write in happened.writes if write.batches]


def test_rule_5_3_12_heartbeat_reply_of_a_follower_behind() -> None:
    """One append per reply until the follower acknowledges, then none."""
    bench = Bench()
    bench.lead()
    for round_ in range(1, 4):
        bench.wait(HEARTBEAT_TICKS)
        sent = bench.step(HeartbeatResponse("n2", "n1", 1, round_)).only(AppendEntries)
        assert [(each.to, each.prev_log_index) for each in sent] == [("n2", 0)]
    bench.acknowledge(2, 1)
    bench.wait(HEARTBEAT_TICKS)
    assert not bench.step(HeartbeatResponse("n2", "n1", 1, 4)).only(AppendEntries)


def test_rule_5_3_14_single_voter_commits_at_once() -> None:
    """Two proposals behind its no-op: commit index 3."""
    bench = Bench(voters=[1])
    bench.lead()
    bench.step(Propose(1, [b"one"]))
    bench.step(Propose(2, [b"two"]))
    assert bench.status.commit_index == 3


def test_rule_5_3_17_proposal_goes_to_those_that_acknowledged() -> None:
    """The other gets it after its acknowledgement of the first entry."""
    bench = Bench()
    bench.lead()
    bench.acknowledge(2, 1)
    sent = bench.step(Propose("token", [b"data"])).only(AppendEntries)
    assert [each.to for each in sent] == ["n2"]
    sent = bench.acknowledge(3, 1).only(AppendEntries)
    assert [(each.to, each.prev_log_index) for each in sent] == [("n3", 1)]


def test_rule_5_3_19_refusals_lower_next_to_the_match_index() -> None:
    """Never below it; each time a new append with the earlier preceding entry goes out."""
    bench = Bench(log=[1] * 5)
    bench.lead()
    for rejected in (5, 4, 3, 2, 1):
        (sent,) = bench.refuse(2, rejected, rejected - 1, 1).only(AppendEntries)
        assert sent.prev_log_index == rejected - 1
    bench.refuse(2, 0)
    assert bench.peer(2) == (PROBE, 0, 1)
    bench.acknowledge(3, 4)
    bench.refuse(3, 6)
    assert bench.peer(3) == (PROBE, 4, 5)


def test_rule_5_3_22_reply_to_a_former_leader_is_ignored() -> None:
    """Nothing is sent."""
    bench = Bench()
    bench.lead()
    bench.step(AppendEntries("n2", "n1", 2, 0, 0, 0))
    before = bench.picture()
    assert not bench.step(AppendEntriesResponse("n3", "n1", 2, True, 1)).messages
    assert bench.picture() == before


def test_rule_5_3_23_reply_of_a_stranger_does_no_harm() -> None:
    """It is in no configuration, so it counts for nothing."""
    bench = Bench()
    bench.lead()
    before = bench.picture()
    assert not bench.acknowledge(9, 1).messages
    assert bench.picture() == before


def test_rule_5_3_24_leader_may_be_a_stranger() -> None:
    """A follower may not have seen the configuration yet that its leader is in."""
    bench = Bench(voters=[1, 2, 3])
    (answer,) = bench.step(AppendEntries("n9", "n1", 1, 0, 0, 0, batches(1, [1])[0])).only(AppendEntriesResponse)
    assert (answer.success, answer.to, bench.leader, bench.terms) == (True, "n9", 9, [1])


def test_rule_5_3_25_reply_names_only_what_is_durable() -> None:
    """Of two appends only the first is on disk when the disk fails; a restart with that, and a retry, complete it."""
    bench = Bench()
    first, second = batches(1, [1, 1])[0], batches(3, [1])[0]
    writes = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0, first), persist=False).writes
    assert not bench.step(AppendEntries("n2", "n1", 1, 2, 1, 0, second), persist=False).only(AppendEntriesResponse)
    (answer,) = bench.step(Persisted(writes[-1].seq), persist=False).only(AppendEntriesResponse)
    assert (answer.success, answer.match_index) == (True, 2)
    again = Bench(stable=Stable(1, None, bench.stable.snapshot, writes[-1].batches))
    answer = again.step(AppendEntries("n2", "n1", 1, 2, 1, 0, second)).only(AppendEntriesResponse)[-1]
    assert (answer.success, answer.match_index, again.terms) == (True, 3, [1, 1, 1])


def test_rule_5_3_26_nothing_is_applied_before_it_is_committed() -> None:
    """The core hands out nothing, and takes no word of what it did not hand out."""
    bench = Bench(log=[1, 1])
    assert bench.step().applied == []
    bench.step(Applied(0))
    with pytest.raises(ValueError, match="applied index 1"):
        bench.step(Applied(1))


def outcome(bench: Bench, *events: Any) -> list[tuple[Any, Any]]:
    """(token, kind of error) of each answer."""
    return [(answer.token, type(answer.error)) for answer in bench.step(*events).answers]


def test_rule_5_3_28_outcome_of_a_proposal() -> None:
    """Pending, then committed; or lost, when another leader's entry is committed in its place."""
    bench = Bench()
    bench.lead_committed()
    assert outcome(bench, Propose("kept", [b"kept"])) == []
    assert [(each.token, each.error) for each in bench.all_acknowledge().answers] == [("kept", None)]
    assert outcome(bench, Propose("lost", [b"lost"])) == []
    other = AppendEntries("n2", "n1", 2, 2, 1, 3, Batch(3, 2, [COMMAND + b"other"]))
    assert outcome(bench, other) == [("lost", Superseded)]


def test_rule_5_3_30_new_entry_waits_for_what_is_missing() -> None:
    """Nothing is pushed past what a follower that is far behind lacks."""
    bench = Bench(log=[1] * 9, max_batch_bytes=4)
    bench.lead()
    bench.refuse(2, 9, 0)
    assert not [each for each in bench.step(Propose("token", [b"new"])).only(AppendEntries) if each.to == "n2"]
    reach = 0
    while bench.peer(2)[1] < bench.status.last_index:
        sent = [each for each in bench.acknowledge(2, reach).only(AppendEntries) if each.to == "n2"]
        for each in sent:
            assert each.prev_log_index <= reach
            reach = each.batch.last if each.batch is not None else reach
    assert bench.peer(2) == (REPLICATE, 11, 12)


# ------------------------------------------------------------------ membership


def test_rule_6_13_learner_is_replicated_to_and_does_not_count() -> None:
    """It gets every entry, and its acknowledgement commits nothing."""
    bench = Bench(voters=[1, 2], learners=[3])
    sent = bench.lead().only(AppendEntries)
    assert [each.to for each in sent] == ["n2", "n3"]
    bench.acknowledge(3, 1)
    assert bench.status.commit_index == 0
    bench.acknowledge(2, 1)
    assert bench.status.commit_index == 1


# ------------------------------------------------------------------- snapshots


def test_rule_7_14_start_from_a_snapshot() -> None:
    """An empty log behind it; committed and applied up to it; the term at its index is known."""
    bench = Bench(snapshot=(1000, 1000), term=1000)
    status = bench.status
    assert (status.snapshot_index, status.last_index, status.commit_index, status.applied_index) == (1000,) * 4
    assert bench.entries == []
    happened = bench.step(AppendEntries("n2", "n1", 1000, 1000, 1000, 1000))
    assert [each.success for each in happened.only(AppendEntriesResponse)] == [True]


def test_rule_7_16_append_behind_the_snapshot_is_accepted() -> None:
    """The preceding entry is the snapshot's last."""
    bench = Bench(snapshot=(5, 2), term=2)
    happened = bench.step(AppendEntries("n2", "n1", 2, 5, 2, 5, batches(6, [2])[0]))
    answer = happened.only(AppendEntriesResponse)[-1]
    assert (answer.success, answer.match_index, bench.terms) == (True, 6, [2])


def test_rule_7_18_fresh_follower_with_a_snapshot() -> None:
    """Commit 5, applied 5, log empty."""
    stable = Stable(term=5, snapshot=Snapshot(5, 5, configuration([1, 2])))
    bench = Bench(stable=stable)
    status = bench.status
    assert (status.role, status.commit_index, status.applied_index, bench.entries) == ("follower", 5, 5, [])
