"""What is durable, by the numbers of the writes."""

from rafty_core.entries import Batch
from rafty_core.log import Log
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_core.writes import Writes


def three_entries() -> tuple[Log, Writes]:
    log = Log()
    log.append(1, [b"\x01a", b"\x01b"])
    log.append(2, [b"\x01c"])
    return log, Writes(0, None, 0)


def test_nothing_new_is_no_write() -> None:
    log, writes = three_entries()
    assert writes.cut(0.0, 2, "A", log, 1000) is not None
    assert writes.cut(0.0, 2, "A", log, 1000) is None
    assert writes.cut(0.0, 2, "B", log, 1000) is not None
    assert (writes.last_seq, writes.oldest_cut) == (2, 0.0)


def test_write_holds_term_vote_and_a_batch_for_each_term() -> None:
    log, writes = three_entries()
    write = writes.cut(0.0, 2, "A", log, 1000)
    assert write is not None
    assert (write.seq, write.term, write.vote) == (1, 2, "A")
    assert write.batches == [Batch(1, 1, [b"\x01a", b"\x01b"]), Batch(3, 2, [b"\x01c"])]


def test_batches_of_a_write_are_bounded() -> None:
    log, writes = three_entries()
    write = writes.cut(0.0, 2, None, log, 2)
    assert write is not None
    assert [batch.first for batch in write.batches] == [1, 2, 3]


def test_confirmation_covers_all_writes_up_to_its_number() -> None:
    log, writes = three_entries()
    writes.cut(0.0, 2, None, log, 1000)
    log.append(3, [b"\x01d"])
    writes.cut(0.0, 3, "B", log, 1000)
    assert (writes.term, writes.vote, writes.index) == (0, None, 0)
    writes.persisted(2)
    assert (writes.term, writes.vote, writes.index, writes.oldest_cut) == (3, "B", 4, float("inf"))
    writes.persisted(1)
    assert (writes.term, writes.vote, writes.index) == (3, "B", 4)


def test_truncation_takes_durability_and_promises_back() -> None:
    log, writes = three_entries()
    writes.cut(0.0, 2, None, log, 1000)
    log.replace_from(Batch(2, 3, [b"\x01new"]))
    writes.truncated(2)
    writes.persisted(1)
    assert writes.index == 1
    write = writes.cut(0.0, 3, None, log, 1000)
    assert write is not None
    assert write.batches == [Batch(2, 3, [b"\x01new"])]
    writes.persisted(2)
    assert writes.index == 2


SNAPSHOT = Snapshot(5, 3)


def test_installed_snapshot_is_written_once_and_entries_behind_it() -> None:
    log, writes = three_entries()
    log.commit_to(1)
    writes.installed(SNAPSHOT, log.commit)
    log.restore(5, 3, SNAPSHOT.configuration)
    log.append(3, [b"\x01behind"])
    write = writes.cut(0.0, 3, None, log, 1000)
    assert write == Write(1, 3, None, [Batch(6, 3, [b"\x01behind"])], SNAPSHOT, True, 0)
    assert writes.cut(0.0, 3, None, log, 1000) is None
    writes.persisted(1)
    assert writes.index == 6


def test_writes_before_an_installed_snapshot_prove_what_was_committed_and_no_more() -> None:
    log, writes = three_entries()
    writes.cut(0.0, 2, None, log, 1000)
    log.commit_to(2)
    writes.installed(SNAPSHOT, log.commit)
    log.restore(5, 3, SNAPSHOT.configuration)
    writes.cut(0.0, 3, None, log, 1000)
    writes.persisted(1)
    assert writes.index == 2
    writes.persisted(2)
    assert (writes.index, writes.term) == (5, 3)


def test_durable_entries_behind_what_is_committed_are_durable_no_more() -> None:
    log, writes = three_entries()
    writes.cut(0.0, 2, None, log, 1000)
    writes.persisted(1)
    assert writes.index == 3
    writes.installed(SNAPSHOT, 2)
    assert writes.index == 2


def test_second_snapshot_before_the_first_is_durable() -> None:
    log, writes = three_entries()
    writes.installed(SNAPSHOT, 0)
    log.restore(5, 3, SNAPSHOT.configuration)
    writes.cut(0.0, 3, None, log, 1000)
    newer = Snapshot(9, 4)
    writes.installed(newer, log.commit)
    log.restore(9, 4, newer.configuration)
    write = writes.cut(0.0, 4, None, log, 1000)
    assert write is not None
    assert (write.snapshot, write.installs) == (newer, True)
    writes.persisted(1)
    assert writes.index == 5
    writes.persisted(2)
    assert writes.index == 9


def test_compaction_is_a_write_of_its_own_or_part_of_one() -> None:
    log, writes = three_entries()
    writes.cut(0.0, 2, "A", log, 1000)
    taken = Snapshot(2, 1)
    writes.compacted(taken, 1)
    assert writes.cut(0.0, 2, "A", log, 1000) == Write(2, 2, "A", [], taken, False, 1)
    writes.compacted(taken, 2)
    log.append(2, [b"\x01d"])
    assert writes.cut(0.0, 2, "A", log, 1000) == Write(3, 2, "A", [Batch(4, 2, [b"\x01d"])], taken, False, 2)
    assert writes.cut(0.0, 2, "A", log, 1000) is None
