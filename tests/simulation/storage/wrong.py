"""Writes that no correct node asks for.

Law: *a store refuses them before anything is changed, with all that was to be written beside them* (faults F1, F6,
F80, F82, F86, F112).
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, LARGEST, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from tests.simulation.storage.model import Model

Wrong = tuple[str, Write]
"""What is wrong, and the write."""


def wrong_write(draw: random.Random, model: Model, seq: int, stored: Sequence[Snapshot]) -> Wrong:
    """One of the writes that would be wrong now; `stored` are the snapshots that the store has."""
    return draw.choice(
        [*_of_order(draw, model, seq), *_of_entries(draw, model, seq), *_of_snapshots(model, seq, stored)]
    )


def _vote(model: Model, term: int) -> str | None:
    return model.vote if term == model.term else None


def _of_order(draw: random.Random, model: Model, seq: int) -> Iterator[Wrong]:
    term, vote = model.term, model.vote
    for other in (seq - 1, seq + 1, seq + draw.randint(2, 99)):
        yield f"write {other} comes in place of {seq}", Write(other, term, vote)
    if term > 0:
        yield "the term falls", Write(seq, draw.randrange(term), None)
    if vote is not None:
        yield "the vote is given again", Write(seq, term, "n9")
        yield "the vote is taken back", Write(seq, term, None)
    yield "the term is none", Write(seq, LARGEST + 1, None)


def _of_entries(draw: random.Random, model: Model, seq: int) -> Iterator[Wrong]:
    term = max(model.term, 1)
    entry = COMMAND + b"x"

    def write(*batches: Batch, compact_to: int = 0) -> Write:
        return Write(seq, term, _vote(model, term), batches, compact_to=compact_to)

    last, covered = model.last, model.snapshot.index
    yield "entries leave a gap", write(Batch(last + draw.randint(2, 9), term, [entry]))
    yield "entries begin nowhere", write(Batch(0, term, [entry]))
    if covered:
        yield "entries begin in the snapshot", write(Batch(draw.randint(1, covered), term, [entry]))
    yield "a batch is empty", write(Batch(last + 1, term, []))
    behind = draw.choice((1, 3, 4))
    first = Batch(last + 1, term, [entry, entry])
    yield "a batch does not follow the one before it", write(first, Batch(last + behind + (behind > 2), term, [entry]))
    yield "entries are of a term that is yet to come", write(Batch(last + 1, term + 1, [entry]))
    yield "entries are of no term", write(Batch(last + 1, 0, [entry]))
    if model.term_at(last) > 1:
        yield "terms fall", write(Batch(last + 1, model.term_at(last) - 1, [entry]))
        two = Batch(last + 1, model.term_at(last), [entry]), Batch(last + 2, model.term_at(last) - 1, [entry])
        yield "terms fall in one write", write(*two)
    yield "what no snapshot covers is to go", write(compact_to=covered + draw.randint(1, 9))
    yield "less than nothing is to go", write(compact_to=-1)


def _of_snapshots(model: Model, seq: int, stored: Sequence[Snapshot]) -> Iterator[Wrong]:
    term, now = max(model.term, 1), model.snapshot

    def write(snapshot: Snapshot | None, installs: bool) -> Write:
        return Write(seq, term, _vote(model, term), [], snapshot, installs)

    yield "no snapshot is installed", write(None, True)
    taken = {(one.index, one.term) for one in stored}
    unknown = Snapshot(max(model.last, now.index) + 40, max(model.term, now.term, 1), Configuration.of("n1"))
    if (unknown.index, unknown.term) not in taken:
        yield "the snapshot that is installed is not stored", write(unknown, True)
    for index in range(now.index + 1, model.last + 1):
        if (index, model.term_at(index)) not in taken:
            here = replace(unknown, index=index, term=model.term_at(index))
            yield "the snapshot is not stored", write(here, False)
            break
    if now.index:
        yield "the snapshot falls", write(replace(now, index=now.index - 1), True)
        yield "the snapshot is installed again", write(now, True)
    if now.term > 1:
        yield "the term of the snapshot falls", write(replace(now, index=now.index + 1, term=now.term - 1), True)
    yield "the snapshot is of a term that is yet to come", write(replace(unknown, term=term + 1), True)
    yield from _of_stored(model, stored, write)


def _of_stored(
    model: Model, stored: Sequence[Snapshot], write: Callable[[Snapshot | None, bool], Write]
) -> Iterator[Wrong]:
    for one in stored:
        if one.index <= model.snapshot.index or not max(model.snapshot.term, 1) <= one.term <= max(model.term, 1):
            continue
        other = replace(one, configuration=Configuration.of("n1", "n9"))
        yield "the snapshot is stored with another configuration", write(other, True)
        if one.index > model.last:
            yield "the snapshot is of more than the log", write(one, False)
        elif one.term != model.term_at(one.index):
            yield "the snapshot is of another log", write(one, False)
        else:
            yield "the snapshot is stored with another configuration", write(other, False)
