"""Tables about one log: what an append does to it, what is committed, what must be made durable."""

import pytest

from rafty_core import AppendEntries, AppendEntriesResponse, Heartbeat, HeartbeatResponse
from rafty_core.entries import COMMAND
from rafty_core.log import Compacted, Log, Unavailable
from tests.acceptance import data
from tests.acceptance.bench import Bench, Happened, appends, batches, terms_of
from tests.acceptance.cluster import configuration
from tests.acceptance.data import Json

ERRORS = {"compacted": Compacted, "unavailable": Unavailable}


def log_of(first: int, terms: list[int]) -> Log:
    """A log; where it starts above index 1, the first entry given stands for the snapshot."""
    log = Log(first, terms[0]) if first > 1 else Log()
    for batch in batches(first + 1, terms[1:]) if first > 1 else batches(1, terms):
        log.replace_from(batch)
    return log


def receive(bench: Bench, prev: tuple[int, int], commit: int, entries: Json | None, term: int = 0) -> list[Happened]:
    """Hand the append to the node, part by part; what happened at each."""
    messages = appends(max(term, bench.status.term), prev, commit, entries)
    return [bench.step(message) for message in messages]


def accepted(happened: list[Happened]) -> list[AppendEntriesResponse]:
    """The acknowledgements."""
    return [answer for each in happened for answer in each.only(AppendEntriesResponse) if answer.success]


@pytest.mark.parametrize("row", data.rows("append_consistency_check"), ids=str)
def test_rule_5_3_06_consistency_check(row: Json) -> None:
    """Refused, with the log as it was, unless the preceding entry is here with its term; else accepted.

    The hint of a refusal is the last entry at or before the preceding one that may agree.
    """
    bench = Bench(voters=[1, 2, 3], log=[1, 2])
    bench.follow(2, commit=1)
    (happened,) = receive(bench, (row["prev_index"], row["prev_term"]), 0, None)
    (answer,) = happened.only(AppendEntriesResponse)
    assert answer.success is not row["rejected"]
    assert bench.terms == [1, 2]
    if row["rejected"]:
        assert (answer.match_index, answer.hint_index, answer.hint_term) == (
            row["prev_index"],
            row["hint_index"],
            row["hint_term"],
        )


@pytest.mark.parametrize("row", data.rows("append_truncates_conflicts"), ids=str)
def test_rule_5_3_07_conflicting_entries_go(row: Json) -> None:
    """The first conflicting entry and all after it are replaced; what is new is written, and nothing else."""
    bench = Bench(log=[1, 2])
    happened = receive(bench, (row["prev_index"], row["prev_term"]), 0, row["entries"])
    assert bench.terms == terms_of(row["log"])
    written = [batch for each in happened for write in each.writes for batch in write.batches]
    assert [batch.term for batch in written for _ in batch.entries] == terms_of(row["to_persist"])
    if written:
        assert written[0].first == row["to_persist"]["first_index"]


@pytest.mark.parametrize("row", data.rows("append_handling"), ids=str)
def test_rule_5_3_10_append_in_every_combination(row: Json) -> None:
    """Last index, commit index, verdict. Messages of an older term get the node's own: others are not handled."""
    bench = Bench(log=[1, 2])
    message = row["message"]
    prev = (message["prev_index"], message["prev_term"])
    happened = receive(bench, prev, message["commit"], message.get("entries"), message["term"])
    assert (bench.status.last_index, bench.status.commit_index) == (row["last_index"], row["commit"])
    assert bool(accepted(happened)) is not row["rejected"]


@pytest.mark.parametrize("row", data.rows("log_maybe_append"), ids=str)
def test_rule_5_3_29_committed_entry_is_never_overwritten(row: Json) -> None:
    """The last index that is proven, the commit index, the verdict; an append that contradicts a committed entry is a
    violation of the protocol: it is dropped and counted, and changes nothing."""
    bench = Bench(log=[1, 2, 3])
    bench.follow(2, commit=1)
    before = bench.entries
    prev = (row["prev"]["index"], row["prev"]["term"])
    happened = receive(bench, prev, row["leader_commit"], row["entries"])
    answers = accepted(happened)
    if row["refuses"]:
        assert not answers
        assert bench.status.violations == 1
        assert (bench.entries, bench.status.commit_index) == (before, row["commit"])
        return
    assert bool(answers) is row["accepted"]
    assert bench.status.commit_index == row["commit"]
    assert bench.status.violations == 0
    if row["accepted"]:
        assert answers[-1].match_index == row["last_new"]
    else:
        assert bench.entries == before


@pytest.mark.parametrize("row", data.rows("follower_commit"), ids=str)
def test_rule_5_3_05_follower_commits_what_is_proven(row: Json) -> None:
    """The smaller of the leader's commit index and the last new entry, applied in order."""
    bench = Bench(term=1)
    applied = [entry for each in receive(bench, (0, 0), row["commit"], row["entries"]) for entry in each.applied]
    assert bench.status.commit_index == row["commit"]
    assert applied == [COMMAND + text.encode() for text in row["entries"]["data"][: row["commit"]]]
    assert bench.status.applied_index == row["commit"]


@pytest.mark.parametrize("row", data.rows("heartbeat_commit"), ids=str)
def test_rule_5_3_11_heartbeat_never_lowers_the_commit_index(row: Json) -> None:
    """A heartbeat's commit index is taken over if it is news; the heartbeat is answered."""
    bench = Bench(log=[1, 2, 3])
    bench.follow(2, commit=2)
    term = max(row["message"]["term"], bench.status.term)
    happened = bench.step(Heartbeat("n2", "n1", term, row["message"]["commit"], 2))
    assert bench.status.commit_index == row["commit"]
    assert len(happened.only(HeartbeatResponse)) == 1


@pytest.mark.parametrize("row", data.rows("log_find_conflict"), ids=str)
def test_rule_l_01_first_conflict_with_the_log(row: Json) -> None:
    """Index of the first entry that differs or is new; 0 if there is none. Entries come as batches of one term."""
    log = log_of(1, [1, 2, 3])
    entries = row["entries"]
    parts = batches(entries["first_index"], entries["terms"]) if entries else []
    found = [conflict for conflict in map(log.find_conflict, parts) if conflict]
    assert (found[0] if found else 0) == row["index"]


@pytest.mark.parametrize("row", data.rows("log_find_conflict_by_term"), ids=str)
def test_rule_l_02_last_entry_of_a_term_or_before(row: Json) -> None:
    """The largest index at or below one whose term is at most a term; unknown terms stop the search."""
    log = log_of(row["log"]["first_index"], row["log"]["terms"])
    assert log.find_conflict_by_term(row["index"], row["term"]) == row["want"]


@pytest.mark.parametrize("row", data.rows("log_append"), ids=str)
def test_rule_l_03_append_and_what_is_not_durable(row: Json) -> None:
    """Contents of the log, and the first index that a write must bring to the disk."""
    bench = Bench(log=[1, 2])
    entries = row["entries"]
    first = entries["first_index"] if entries else 3
    prev = (first - 1, [0, 1, 2][first - 1])
    messages = appends(bench.status.term, prev, 0, entries)
    writes = [write for message in messages for write in bench.step(message, persist=False).writes]
    assert (bench.status.last_index, bench.terms) == (row["last_index"], terms_of(row["log"]))
    not_durable = [batch.first for write in writes for batch in write.batches]
    assert min(not_durable, default=bench.status.last_index + 1) == row["first_not_durable"]
    assert bench.status.durable_index == row["first_not_durable"] - 1


@pytest.mark.parametrize("row", data.rows("log_commit_to"), ids=str)
def test_rule_l_04_commit_index_never_falls(row: Json) -> None:
    """Nor does it go beyond the log: that fails loudly."""
    log = log_of(1, [1, 2, 3])
    log.commit_to(2)
    if row["refuses"]:
        with pytest.raises(ValueError, match="cannot commit"):
            log.commit_to(row["to"])
        assert log.commit == 2
    else:
        log.commit_to(row["to"])
        assert log.commit == row["commit"]


@pytest.mark.parametrize("row", data.rows("log_term"), ids=str)
def test_rule_7_15_term_of_an_index(row: Json) -> None:
    """Known from the snapshot's last entry to the end of the log; below it is compacted, beyond it unavailable."""
    log = log_of(100, [1, *range(1, 100)])
    if row["error"]:
        with pytest.raises(ERRORS[row["error"]]):
            log.term(row["index"])
    else:
        assert log.term(row["index"]) == row["term"]


@pytest.mark.parametrize("row", data.rows("log_term_pending_snapshot"), ids=str)
def test_rule_7_15_term_of_an_index_while_a_snapshot_is_not_durable(row: Json) -> None:
    """What the older, durable snapshot holds is gone as well; the newer one's last entry is known."""
    log = Log(100, 1)
    log.restore(105, 1, configuration([1]))
    if row["error"]:
        with pytest.raises(ERRORS[row["error"]]):
            log.term(row["index"])
    else:
        assert log.term(row["index"]) == row["term"]


@pytest.mark.parametrize("row", data.rows("log_compaction"), ids=str)
def test_rule_7_13_compaction(row: Json) -> None:
    """In order; beyond the last entry and below what is gone it is refused, and leaves the log as it was."""
    log = log_of(1, [1] * row["last_index"])
    log.commit_to(row["last_index"])
    for index, left in zip(row["compact_at"], row["left"], strict=True):
        before = log.first_index
        if left < 0:
            with pytest.raises(ValueError, match="compact"):
                log.compact(index)
            assert log.first_index == before
        else:
            log.compact(index)
            assert len(log.slice(log.first_index, log.last_index)) == left


def test_rule_5_3_10_append_of_an_older_term_is_not_handled() -> None:
    """The row's messages of term 1 as they are: refused, with the newer term, whatever they hold."""
    bench = Bench(log=[1, 2])
    happened = bench.step(AppendEntries("n2", "n1", 1, 1, 1, 2))
    (answer,) = happened.only(AppendEntriesResponse)
    assert (answer.success, answer.term, bench.status.commit_index, bench.leader) == (False, 2, 0, 0)
