"""What is durable, by the numbers of the writes."""

from rafty_core.entries import Batch
from rafty_core.log import Log
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
    assert (writes.last_seq, writes.pending) == (2, 2)


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
    assert (writes.term, writes.vote, writes.index, writes.pending) == (3, "B", 4, 0)
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
