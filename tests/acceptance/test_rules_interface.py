"""Rules about the log as a data structure, about flow control, and about what a driver sees of the core."""

import random

import pytest

from rafty_core import (
    AppendEntries,
    Applied,
    Batch,
    Config,
    Heartbeat,
    HeartbeatResponse,
    NotLeader,
    Persisted,
    Propose,
    Raft,
    RequestVoteResponse,
    Stable,
)
from rafty_core.entries import COMMAND, commands_of
from rafty_core.log import Compacted, Log, Unavailable
from rafty_core.progress import PROBE
from tests.acceptance.bench import HEARTBEAT_TICKS, Bench, LongTimeouts, batches

# --------------------------------------------------------------------- the log


def test_rule_l_05_late_completion_of_an_overwritten_write() -> None:
    """It makes durable only what still stands in the log."""
    bench = Bench()
    (old,) = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 0, batches(1, [1, 1, 1])[0]), persist=False).writes
    (new,) = bench.step(AppendEntries("n3", "n1", 2, 1, 1, 0, batches(2, [2, 2])[0]), persist=False).writes
    bench.step(Persisted(old.seq))
    assert bench.status.durable_index == 1
    bench.step(Persisted(new.seq))
    assert bench.status.durable_index == 3


def test_rule_l_06_committed_entries_are_applied_when_durable() -> None:
    """Handed out only where they are durable here, however far the others are."""
    bench = Bench()
    happened = bench.step(AppendEntries("n2", "n1", 1, 0, 0, 2, batches(1, [1, 1])[0]), persist=False)
    assert (bench.status.commit_index, happened.applied) == (2, [])
    assert len(bench.step(Persisted(happened.writes[-1].seq)).applied) == 2


def test_rule_l_08_write_holds_exactly_what_is_not_durable() -> None:
    """Neither what is durable nor what an earlier write holds."""
    bench = Bench(log=[1, 1])
    (write,) = bench.step(AppendEntries("n2", "n1", 1, 2, 1, 0, batches(3, [1])[0]), persist=False).writes
    assert [(batch.first, batch.last) for batch in write.batches] == [(3, 3)]
    (write,) = bench.step(AppendEntries("n2", "n1", 1, 3, 1, 0, batches(4, [1, 1])[0]), persist=False).writes
    assert [(batch.first, batch.last) for batch in write.batches] == [(4, 5)]


def log_behind(snapshot: int, count: int) -> Log:
    """A log of `count` entries of one byte of content behind a snapshot."""
    log = Log(snapshot, 1 if snapshot else 0)
    log.append(1, [COMMAND + b"%d" % (index % 10) for index in range(count)])
    return log


def test_rule_l_09_ranges_of_the_log() -> None:
    """Below it is compacted, above it unavailable; a size limit leaves at least one entry."""
    log = log_behind(10, 10)
    with pytest.raises(Compacted):
        log.slice(10, 12)
    with pytest.raises(Unavailable):
        log.slice(12, 21)
    assert len(log.slice(11, 20)) == 10
    assert len(log.slice_of_bytes(11, 20, 1)[0]) == 1
    assert len(log.slice_of_bytes(11, 20, 7)[0]) == 3
    assert log.slice_of_bytes(11, 20, 1000) == (log.slice(11, 20), 20)


@pytest.mark.parametrize("snapshot", [0, 7])
def test_rule_l_10_log_of_which_a_part_is_durable(snapshot: int) -> None:
    """First, last and term are those of the whole; what is durable is told apart."""
    bench = Bench(snapshot=(snapshot, 1 if snapshot else 0), term=1, log=[1, 1])
    last = snapshot + 2
    bench.step(AppendEntries("n2", "n1", 2, last, 1, 0, batches(last + 1, [2])[0]), persist=False)
    status = bench.status
    assert (status.snapshot_index, status.last_index, status.durable_index) == (snapshot, snapshot + 3, snapshot + 2)
    assert bench.terms == [1, 1, 2]


@pytest.mark.parametrize(
    "message",
    [
        AppendEntries("n2", "n1", 3, 2, 2, 0, Batch(4, 3, [COMMAND])),
        AppendEntries("n2", "n1", 3, 2, 2, 0, Batch(3, 1, [COMMAND])),
        AppendEntries("n2", "n1", 3, 2, 2, 0, Batch(3, 4, [COMMAND])),
        AppendEntries("n2", "n1", 3, 2, 2, 0, Batch(3, 3, [])),
    ],
    ids=["gap", "falling term", "term above the leader's", "no entries"],
)
def test_rule_l_11_entries_are_contiguous_and_their_terms_do_not_fall(message: AppendEntries) -> None:
    """Nor are they above the leader's. What breaks this is dropped, and the state is as it was."""
    bench = Bench(log=[2, 2])
    before = bench.picture()
    assert bench.step(message).violations
    assert bench.picture() == before


def test_rule_l_12_log_does_what_a_list_would() -> None:
    """Appended to, replaced from an index on, read, read out of range."""
    chance = random.Random(12)
    log, model, term = Log(), list[tuple[int, bytes]](), 1
    for step in range(300):
        first = chance.randint(max(1, len(model) - 3), len(model) + 1)
        term += 1 if first <= len(model) else chance.randint(0, 1)
        entries = [COMMAND + b"%d.%d" % (step, each) for each in range(chance.randint(1, 4))]
        log.replace_from(Batch(first, term, entries))
        model[first - 1 :] = [(term, entry) for entry in entries]
        assert log.slice(1, len(model)) == [entry for _, entry in model]
        assert [log.term(index) for index in range(1, len(model) + 1)] == [each for each, _ in model]
        with pytest.raises(Unavailable):
            log.term(len(model) + 1)


# ---------------------------------------------------------------- flow control


def test_rule_fc_01_probed_follower_gets_one_append_at_a_time() -> None:
    """However many proposals come; a heartbeat's answer lets one more out."""
    bench = Bench()
    bench.lead()
    for number in range(10):
        sent = bench.step(Propose(number, [b"data"])).only(AppendEntries)
        assert not sent
    for round_ in (1, 2):
        bench.wait(HEARTBEAT_TICKS)
        sent = bench.step(HeartbeatResponse("n2", "n1", 1, round_)).only(AppendEntries)
        assert [each.to for each in sent] == ["n2"]
        assert not bench.step(Propose("more", [b"data"])).only(AppendEntries)
    assert bench.peer(2)[0] == PROBE


def test_rule_fc_09_backlog_is_paged_by_size() -> None:
    """Appends and what is applied come in pages; nothing is lost, doubled or out of order, also after a restart."""
    commands = [b"%04d" % number for number in range(100)]
    leader = Bench(voters=[1, 2], max_batch_bytes=50, max_inflight_messages=3)
    follower = Bench(2, voters=[1, 2], max_apply_bytes=64)
    leader.lead()
    on_the_way = leader.step(Propose("all", commands)).messages + leader.refuse(2, 0).messages
    applied: list[bytes] = []
    written: list[Batch] = []
    while on_the_way:
        received = follower.step(*on_the_way)
        assert all(each.batch.weight <= 50 for each in on_the_way if isinstance(each, AppendEntries) and each.batch)
        applied += received.applied
        written += [batch for write in received.writes for batch in write.batches]
        on_the_way = leader.step(*received.messages).messages
    assert commands_of(applied) == commands
    again = Bench(2, stable=Stable(1, None, follower.stable.snapshot, written), max_apply_bytes=64)
    assert commands_of(again.follow(1, commit=101).applied) == commands


# -------------------------------------------------------------------- a driver


def test_rule_io_01_first_outputs_hold_only_what_is_new() -> None:
    """Fresh, restarted, restarted from a snapshot: nothing is written again, nothing applied is handed out again."""
    for bench in (Bench(), Bench(log=[1, 2]), Bench(snapshot=(3, 1), log=[2])):
        happened = bench.step()
        assert (happened.messages, happened.writes, happened.applied) == ([], [], [])
    restarted = Bench(snapshot=(3, 1), log=[2, 2])
    assert restarted.status.applied_index == 3
    assert len(restarted.follow(2, commit=5).applied) == 2


def test_rule_io_02_outputs_are_handed_out_once() -> None:
    """Also while they are not acknowledged."""
    bench = Bench(voters=[1])
    writes = bench.lead(persist=False).writes
    assert not bench.step(persist=False).writes
    happened = bench.step(Persisted(writes[-1].seq), apply=False)
    assert len(happened.applied) == 1
    assert not bench.step(apply=False).applied
    bench.step(Applied(1))
    assert bench.status.applied_index == 1


def test_rule_io_03_message_in_the_nodes_own_name_is_refused() -> None:
    """Whoever sends it: a node's own vote, and its own log, it knows itself."""
    bench = Bench()
    bench.stand()
    before = bench.picture()
    assert bench.step(RequestVoteResponse("n1", "n1", 1, True)).violations
    assert bench.picture() == before


def test_rule_io_04_proposal_without_a_leader_is_refused() -> None:
    """It was not accepted and never will be."""
    bench = Bench()
    (answer,) = bench.step(Propose("token", [b"data"])).answers
    assert answer.token == "token"
    assert isinstance(answer.error, NotLeader)


def test_rule_io_05_status_shows_a_leader() -> None:
    """Term, vote, commit index, role, and each follower's progress."""
    bench = Bench()
    bench.lead()
    bench.acknowledge(2, 1)
    status = bench.status
    assert (status.id, status.role, status.term, status.vote) == ("n1", "leader", 1, "n1")
    assert (status.leader, status.commit_index, status.last_index) == ("n1", 1, 1)
    assert [(peer.id, peer.match_index, peer.next_index) for peer in status.peers] == [("n2", 1, 2), ("n3", 0, 1)]


def test_rule_io_06_term_and_vote_are_written_when_they_change() -> None:
    """And only then."""
    bench = Bench()
    (write,) = bench.step(Heartbeat("n2", "n1", 1, 0, 1)).writes
    assert (write.term, write.vote, list(write.batches)) == (1, None, [])
    assert not bench.step(Heartbeat("n2", "n1", 1, 0, 2)).writes
    (write,) = bench.step(Heartbeat("n3", "n1", 2, 0, 1)).writes
    assert (write.term, write.vote) == (2, None)


@pytest.mark.parametrize(
    "settings",
    [
        {"id": ""},
        {"id": "two words"},
        {"id": "n1", "heartbeat_interval": 0.0},
        {"id": "n1", "election_timeout": 0.1, "heartbeat_interval": 0.1},
        {"id": "n1", "max_inflight_messages": 0},
        {"id": "n1", "max_batch_bytes": 0},
    ],
    ids=str,
)
def test_rule_io_08_senseless_settings_are_refused(settings: dict[str, object]) -> None:
    """At once, with the reason."""
    with pytest.raises(ValueError, match=r"must be above 0|a node id"):
        Config(**settings)  # type: ignore[arg-type]


def test_rule_io_08_impossible_durable_state_is_refused() -> None:
    """A log that ends in a later term than the node's."""
    with pytest.raises(ValueError, match="log ends in term 2"):
        Raft(Config(id="n1"), Stable(1, None, batches=batches(1, [2])), random=LongTimeouts(), now=0.0)
