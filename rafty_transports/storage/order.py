"""Writes are done in their order, without gaps, and never take back a term or a vote.

Law: *a store refuses what no correct node would ask of it, before anything is changed.*

The core numbers its writes 1, 2, 3, ... in each boot. A store that did them in another order would bring back
overwritten entries (fault F112); one that took a lower term or a second vote in a term would let a node vote twice
(faults F1, F6); one that let the log start behind a snapshot that does not continue it would leave a gap (fault F86).
"""

from dataclasses import dataclass, replace

from rafty_core.entries import LARGEST, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.storage.errors import WriteRefused


@dataclass(frozen=True, slots=True)
class Position:
    """Where a store stands: the last write done in this boot, term, vote, and index and term of the last entry and of
    the newest snapshot."""

    seq: int = 0
    term: int = 0
    vote: str | None = None
    last_index: int = 0
    last_term: int = 0
    snapshot_index: int = 0
    snapshot_term: int = 0


def position_after(write: Write, before: Position) -> Position:
    """Where the store stands after this write; raises `WriteRefused` if it must not be done."""
    if write.seq != before.seq + 1:
        raise WriteRefused(f"write {write.seq} came after write {before.seq}; writes are done in order, none left out")
    _check_term_and_vote(write, before)
    before = _after_snapshot(write, before)
    last_index, last_term, covered = before.last_index, before.last_term, before.snapshot_index
    if not 0 <= write.compact_to <= covered:
        raise WriteRefused(f"write {write.seq} compacts up to {write.compact_to}, but the snapshot ends at {covered}")
    expected: int | None = None
    for batch in write.batches:
        if not batch.entries:
            raise WriteRefused(f"write {write.seq} has an empty batch at index {batch.first}")
        if expected is not None and batch.first != expected:
            raise WriteRefused(f"write {write.seq} has a batch at index {batch.first} where {expected} must follow")
        if not covered < batch.first <= last_index + 1:
            raise WriteRefused(
                f"write {write.seq} has entries from index {batch.first} on, but the log ends at {last_index}"
                + (f" and its snapshot at {covered}" if covered else "")
            )
        if not 1 <= batch.term <= write.term or (expected is not None and batch.term < last_term):
            raise WriteRefused(f"write {write.seq} of term {write.term} has entries of term {batch.term}")
        last_index, last_term = batch.last, batch.term
        expected = last_index + 1
    return replace(before, seq=write.seq, term=write.term, vote=write.vote, last_index=last_index, last_term=last_term)


def check_follows(batch: Batch, term: int) -> None:
    """Raise `WriteRefused` if this batch may not stand behind an entry of `term`."""
    if batch.term < term:
        raise WriteRefused(f"entries of term {batch.term} at index {batch.first} follow an entry of term {term}")


def check_continues(snapshot: Snapshot, term: int) -> None:
    """Raise `WriteRefused` unless `term`, that of the stored entry at the snapshot's index, is the snapshot's."""
    if term != snapshot.term:
        raise WriteRefused(
            f"a snapshot of index {snapshot.index} and term {snapshot.term} was taken of a log with term {term} there"
        )


def _after_snapshot(write: Write, before: Position) -> Position:
    """Where the store stands after the write's snapshot alone: an installed one takes the place of the whole log."""
    snapshot = write.snapshot
    if snapshot is None:
        if write.installs:
            raise WriteRefused(f"write {write.seq} installs a snapshot without naming one")
        return before
    index, term = snapshot.index, snapshot.term
    again = (index, term) == (before.snapshot_index, before.snapshot_term) and not write.installs
    if not (again or index > before.snapshot_index) or not max(before.snapshot_term, 1) <= term <= write.term:
        raise WriteRefused(
            f"write {write.seq} of term {write.term} has a snapshot of index {index} and term {term}, but one of index "
            f"{before.snapshot_index} and term {before.snapshot_term} is stored; snapshots only go forward"
        )
    if write.installs:
        before = replace(before, last_index=index, last_term=term)
    elif index > before.last_index:
        raise WriteRefused(
            f"write {write.seq} has a snapshot of index {index}, but the log ends at {before.last_index}"
        )
    return replace(before, snapshot_index=index, snapshot_term=term)


def _check_term_and_vote(write: Write, before: Position) -> None:
    if not before.term <= write.term <= LARGEST:
        raise WriteRefused(
            f"write {write.seq} has term {write.term}, but term {before.term} is stored; terms only grow"
        )
    if write.term == before.term and before.vote is not None and write.vote != before.vote:
        raise WriteRefused(
            f"write {write.seq} votes for {write.vote}, but in term {write.term} the vote went to {before.vote}"
        )
