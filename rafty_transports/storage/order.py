"""Writes are done in their order, without gaps, and never take back a term or a vote.

Law: *a store refuses what no correct node would ask of it, before anything is changed.*

The core numbers its writes 1, 2, 3, ... in each boot. A store that did them in another order would bring back
overwritten entries (fault F112); one that took a lower term or a second vote in a term would let a node vote twice
(faults F1, F6).
"""

from dataclasses import dataclass

from rafty_core.entries import LARGEST, Batch
from rafty_core.output import Write
from rafty_transports.storage.errors import WriteRefused


@dataclass(frozen=True, slots=True)
class Position:
    """Where a store stands: the last write done in this boot, term, vote, and index and term of the last entry."""

    seq: int = 0
    term: int = 0
    vote: str | None = None
    last_index: int = 0
    last_term: int = 0


def position_after(write: Write, before: Position) -> Position:
    """Where the store stands after this write; raises `WriteRefused` if it must not be done."""
    if write.seq != before.seq + 1:
        raise WriteRefused(f"write {write.seq} came after write {before.seq}; writes are done in order, none left out")
    _check_term_and_vote(write, before)
    last_index, last_term = before.last_index, before.last_term
    expected: int | None = None
    for batch in write.batches:
        if not batch.entries:
            raise WriteRefused(f"write {write.seq} has an empty batch at index {batch.first}")
        if expected is not None and batch.first != expected:
            raise WriteRefused(f"write {write.seq} has a batch at index {batch.first} where {expected} must follow")
        if not 1 <= batch.first <= last_index + 1:
            raise WriteRefused(f"write {write.seq} starts at index {batch.first}, but the log ends at {last_index}")
        if not 1 <= batch.term <= write.term or (expected is not None and batch.term < last_term):
            raise WriteRefused(f"write {write.seq} of term {write.term} has entries of term {batch.term}")
        last_index, last_term = batch.last, batch.term
        expected = last_index + 1
    return Position(write.seq, write.term, write.vote, last_index, last_term)


def check_follows(batch: Batch, term: int) -> None:
    """Raise `WriteRefused` if this batch may not stand behind an entry of `term`."""
    if batch.term < term:
        raise WriteRefused(f"entries of term {batch.term} at index {batch.first} follow an entry of term {term}")


def _check_term_and_vote(write: Write, before: Position) -> None:
    if not before.term <= write.term <= LARGEST:
        raise WriteRefused(
            f"write {write.seq} has term {write.term}, but term {before.term} is stored; terms only grow"
        )
    if write.term == before.term and before.vote is not None and write.vote != before.vote:
        raise WriteRefused(
            f"write {write.seq} votes for {write.vote}, but in term {write.term} the vote went to {before.vote}"
        )
