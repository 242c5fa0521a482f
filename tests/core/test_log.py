"""The log: terms as runs, slices, truncation, what is known and what is not."""

from itertools import groupby

import pytest

from rafty_core.configuration import Configuration
from rafty_core.entries import Batch
from rafty_core.log import RECENT_BATCHES, Compacted, Log, Unavailable


def log_of(*terms: int, snapshot: tuple[int, int] = (0, 0)) -> Log:
    log = Log(*snapshot)
    for term, run in groupby(terms):
        log.append(term, [b"\x01%d" % term for _ in run])
    return log


def test_empty_log_ends_at_its_snapshot() -> None:
    log = Log(5, 2)
    assert (log.first_index, log.last_index, log.last_term, log.commit) == (6, 5, 2, 5)
    assert log.term(5) == 2


@pytest.mark.parametrize(("index", "term"), [(5, 2), (6, 2), (7, 3), (8, 3), (9, 7)])
def test_term_of_each_entry(index: int, term: int) -> None:
    assert log_of(2, 3, 3, 7, snapshot=(5, 2)).term(index) == term


def test_terms_outside_the_log_are_not_known() -> None:
    log = log_of(2, 3, snapshot=(5, 2))
    with pytest.raises(Compacted, match="compacted, with all up to 5"):
        log.term(4)
    with pytest.raises(Unavailable, match="beyond the last index 7"):
        log.term(8)


def test_slices_outside_the_log_are_refused() -> None:
    log = log_of(2, 3, snapshot=(5, 2))
    assert log.slice(6, 7) == [b"\x012", b"\x013"]
    assert log.slice(7, 6) == []
    with pytest.raises(Compacted):
        log.slice(5, 6)
    with pytest.raises(Unavailable):
        log.slice(6, 8)


@pytest.mark.parametrize(("most", "count"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (100, 3)])
def test_slice_of_bytes_holds_at_least_one_entry(most: int, count: int) -> None:
    entries, weight = log_of(1, 1, 1).slice_of_bytes(1, 3, most)
    assert (len(entries), weight) == (count, 2 * count)


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [(5, 2, True), (4, 2, False), (6, 2, True), (6, 3, False), (7, 3, True), (8, 3, False)],
)
def test_matches_where_the_term_is_known_and_equal(index: int, term: int, expected: bool) -> None:
    assert log_of(2, 3, snapshot=(5, 2)).matches(index, term) is expected


@pytest.mark.parametrize(
    ("first", "term", "count", "conflict"),
    [(1, 1, 2, 0), (1, 1, 3, 3), (3, 2, 1, 0), (3, 2, 2, 4), (3, 3, 1, 3), (4, 2, 1, 4), (4, 2, 0, 0), (2, 1, 1, 0)],
)
def test_first_conflict_of_a_batch(first: int, term: int, count: int, conflict: int) -> None:
    assert log_of(1, 1, 2).find_conflict(Batch(first, term, [b"\x01"] * count)) == conflict


@pytest.mark.parametrize(
    ("index", "term", "expected"),
    [(9, 7, 9), (9, 6, 8), (9, 3, 8), (9, 2, 6), (9, 1, 4), (8, 2, 6), (6, 1, 4), (12, 1, 12), (3, 1, 3)],
)
def test_last_index_that_may_agree(index: int, term: int, expected: int) -> None:
    assert log_of(2, 3, 3, 7, snapshot=(5, 2)).find_conflict_by_term(index, term) == expected


def test_replacing_cuts_what_follows() -> None:
    log = log_of(1, 1, 2, 2)
    log.replace_from(Batch(2, 3, [b"\x01new"]))
    assert [log.term(index) for index in (1, 2)] == [1, 3]
    assert (log.last_index, log.last_term) == (2, 3)
    log.replace_from(Batch(1, 4, [b"\x01all"]))
    assert (log.last_index, log.last_term, log.run_end(1)) == (1, 4, 1)


def test_committed_entries_are_never_replaced() -> None:
    log = log_of(1, 1, 2)
    log.commit_to(2)
    log.commit_to(1)
    assert log.commit == 2
    for first in (1, 2, 5):
        with pytest.raises(ValueError, match="cannot put"):
            log.replace_from(Batch(first, 3, [b"\x01"]))


def test_wrong_calls_are_refused() -> None:
    log = log_of(2)
    with pytest.raises(ValueError, match="cannot commit 2"):
        log.commit_to(2)
    with pytest.raises(ValueError, match="cannot follow one of term 2"):
        log.append(1, [b"\x01"])


def test_batch_is_of_one_term_and_kept() -> None:
    log = log_of(1, 1, 2, 2, 2)
    batch = log.batch_at(1, 1000)
    assert batch == Batch(1, 1, [b"\x011"] * 2)
    assert log.batch_at(1, 1000) is batch
    assert log.batch_at(4, 1000) == Batch(4, 2, [b"\x012"] * 2)


def test_kept_batches_are_few() -> None:
    log = log_of(*[1] * (RECENT_BATCHES + 10))
    first = log.batch_at(1, 1)
    for index in range(2, RECENT_BATCHES + 3):
        log.batch_at(index, 1)
    assert log.batch_at(1, 1) is not first


@pytest.mark.parametrize(
    ("index", "term", "expected"), [(3, 2, True), (2, 2, False), (1, 3, True), (9, 1, False), (4, 2, True)]
)
def test_up_to_date_by_term_then_index(index: int, term: int, expected: bool) -> None:
    assert log_of(1, 1, 2).is_up_to_date(index, term) is expected


def test_batches_are_cut_and_compared() -> None:
    batch = Batch(3, 1, (b"\x01a", b"\x01b", b"\x01c"), packed=b"opaque")
    assert batch == Batch(3, 1, [b"\x01a", b"\x01b", b"\x01c"])
    assert (batch.last, batch.weight) == (5, 6)
    assert batch.slice_from(3) is batch
    assert batch.slice_to(5) is batch
    assert batch.slice_from(5) == Batch(5, 1, [b"\x01c"])
    assert batch.slice_to(3) == Batch(3, 1, [b"\x01a"])
    assert batch.slice_from(6).last == 5
    assert batch != Batch(3, 2, batch.entries)
    assert batch != "batch"
    assert repr(batch) == "Batch(3..5 of term 1)"


ONE, TWO, THREE = (Configuration.of(*names) for names in ("A", "AB", "ABC"))


@pytest.mark.parametrize("index", [5, 6, 7, 8, 9])
def test_compaction_forgets_what_is_before_and_nothing_else(index: int) -> None:
    log = log_of(2, 3, 3, 7, snapshot=(5, 2))
    log.commit_to(9)
    terms = {at: log.term(at) for at in range(index, 10)}
    log.compact(index)
    assert (log.base_index, log.first_index, log.last_index, log.commit) == (index, index + 1, 9, 9)
    assert {at: log.term(at) for at in range(index, 10)} == terms
    assert log.slice(index + 1, 9) == [b"\x01%d" % terms[at] for at in range(index + 1, 10)]
    assert log.last_term == 7
    with pytest.raises(Compacted):
        log.term(index - 1)
    log.append(8, [b"\x01more"])
    assert (log.term(10), log.run_end(10)) == (8, 10)


def test_compaction_of_what_may_still_change_or_is_gone_is_refused() -> None:
    log = log_of(2, 3, 3, 7, snapshot=(5, 2))
    log.commit_to(7)
    for index in (4, 8):
        with pytest.raises(ValueError, match=f"cannot compact up to {index}: base 5, commit 7"):
            log.compact(index)


def test_kept_batches_go_with_what_is_compacted() -> None:
    log = log_of(1, 1, 1, 1)
    log.commit_to(4)
    over, behind = log.batch_at(2, 4), log.batch_at(4, 4)
    log.compact(2)
    assert log.batch_at(3, 4) is not over
    assert log.batch_at(4, 4) is behind


def test_restored_log_is_empty_behind_the_snapshot() -> None:
    log = log_of(1, 1, 1, 1)
    log.batch_at(1, 100)
    log.commit_to(1)
    log.restore(3, 2, TWO)
    assert (log.base_index, log.base_term, log.last_index, log.last_term, log.commit) == (3, 2, 3, 2, 3)
    assert log.configurations.at(3) == (0, TWO)
    log.append(2, [b"\x01new"])
    assert log.batch_at(4, 100) == Batch(4, 2, [b"\x01new"])
    for index in (2, 3):
        with pytest.raises(ValueError, match=f"cannot restore a snapshot at {index}: everything up to 3 is committed"):
            log.restore(index, 2, TWO)


def test_configurations_follow_the_log() -> None:
    log = Log(0, 0, ONE)
    log.append(1, [b"\x00"])
    log.append_configuration(1, TWO)
    log.append(1, [b"\x01"])
    log.replace_from(Batch(4, 2, [b"\x01", b"\x02" + THREE.encode(), b"\x01"]))
    configurations = log.configurations
    assert [configurations.at(index) for index in (0, 1, 2, 4, 5, 6)] == [
        (0, ONE),
        (0, ONE),
        (2, TWO),
        (2, TWO),
        (5, THREE),
        (5, THREE),
    ]
    assert (configurations.index, configurations.newest) == (5, THREE)
    log.replace_from(Batch(5, 3, [b"\x01"]))
    assert (configurations.index, configurations.newest) == (2, TWO)
    log.commit_to(4)
    log.compact(1)
    assert configurations.at(1) == (0, ONE)
    log.compact(3)
    assert (configurations.at(3), configurations.at(1)) == ((2, TWO), (2, TWO))
    log.replace_from(Batch(5, 4, [b"\x01"]))
    assert (configurations.index, configurations.newest) == (2, TWO)


@pytest.mark.parametrize(("index", "term", "expected"), [(5, 1, 4), (5, 2, 5), (4, 1, 4)])
def test_search_for_what_may_agree_ends_at_the_base(index: int, term: int, expected: int) -> None:
    assert log_of(3, 3, snapshot=(5, 2)).find_conflict_by_term(index, term) == expected


@pytest.mark.parametrize(
    ("last", "entries", "bytes_", "start"),
    [(9, 2, 100, 7), (9, 100, 100, 5), (9, 100, 4, 7), (9, 100, 5, 7), (9, 100, 1, 9), (9, 0, 100, 9), (5, 3, 100, 5)],
)
def test_tail_is_bounded_in_entries_and_in_bytes(last: int, entries: int, bytes_: int, start: int) -> None:
    assert log_of(2, 3, 3, 7, snapshot=(5, 2)).start_of_tail(last, entries, bytes_) == start
