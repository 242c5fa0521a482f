"""Messages of the right form whose content is none: no entries, no configuration, no outcome.

Law: *what a message holds is looked at before anything is done with it*: none of these changes anything (I27).

They are drawn by a source of chance of their own, so that what else happens in a run does not depend on them.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import COMMAND, CONFIGURATION, LARGEST, Batch
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    InstallSnapshot,
    Message,
    PreVoteResponse,
    ReadIndexRequest,
    RequestVote,
    RequestVoteResponse,
)
from rafty_core.state import State

Maker = Callable[[State, str, int, random.Random], Message]

NO_ENTRIES: Sequence[Any] = ([], {COMMAND: 1}, COMMAND, [COMMAND, b""], ["text"], [b"\x09 of no kind"], [None])
"""What stands for entries, and is none."""

NO_CONFIGURATIONS: Sequence[bytes] = (
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b"[" * 100_000,
    b"{}",
    b'{"voters":7}',
    b'{"voters":[["n1"],["n1"]]}',
    b'{"voters":[["a name with spaces"]]}',
    b'{"voters":[["n1",7]]}',
    b'{"voters":[["n1"]],"learners":[[1]]}',
    b'{"voters":[["n1"]],"newcomers":[""]}',
    b'{"voters":[["n1"]],"leaders":[["n1"]]}',
    b'{"voters":[["n1"]],"index":-1}',
    b'{"voters":[["n1"]],"lease":[0,0]}',
    b'{"voters":[["n1"]],"lease":[1,"fast"]}',
    b'{"voters":[["n1"]],"goal":{"voters":[["n1"]],"goal":{"voters":[["n1"]],"goal":{}}}}',
)
"""What stands for a configuration in an entry, and is none."""


def contentless(state: State, sender: str, draw: random.Random) -> Message:
    """Such a message of this sender for the node that is as `state` says."""
    forwarded = [(sequence, sent) for sequence, sent in state.proposals.forwarded.items() if sent.leader == sender]
    if forwarded and draw.random() < 0.3:
        return _too_many_results(state, *forwarded[0])
    return draw.choice(MAKERS)(state, sender, max(1, state.term), draw)


def _too_many_results(state: State, sequence: int, sent: Any) -> Message:
    """More results than commands that were forwarded."""
    results, boot = [b"?"] * (sent.count + 1), state.config.boot
    return ForwardedProposalResponse(sent.leader, state.id, state.term, boot, sequence, "applied", results)


def _impossible_prev(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """An entry before it that no log has: of a later term than the leader's, or before the first."""
    index, prev_term = draw.choice(((state.log.last_index + 1, term + 1), (0, 1)))
    return AppendEntries(sender, state.id, term, index, prev_term, 0)


def _no_batch(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """What should be a batch is none, or says of no place where its entries stand."""
    last = state.log.last_index
    first: Any = last + 1.0
    nothing: Any = None
    batches = (b"entries", [COMMAND], Batch(first, term, [COMMAND]), Batch(last + 1, nothing, [COMMAND]))
    batch: Any = draw.choice(batches)
    return AppendEntries(sender, state.id, term, last, min(term, state.log.last_term), 0, batch)


def _out_of_place(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """Entries that do not follow the one before, or whose term lies below its or above the leader's."""
    last, last_term = state.log.last_index, min(term, state.log.last_term)
    gap, of = draw.choice(((1, term), (-1, term), (0, term + 1), (0, last_term - 1), (0, 0)))
    return AppendEntries(sender, state.id, term, last, last_term, 0, Batch(last + 1 + gap, of, [COMMAND]))


def _no_entries(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """A batch without entries, with what is no entry, or at the end of all numbers."""
    if draw.random() < 0.2:
        return AppendEntries(sender, state.id, term, LARGEST, term, 0, Batch(LARGEST + 1, term, [COMMAND]))
    last, last_term = state.log.last_index, min(term, state.log.last_term)
    return AppendEntries(sender, state.id, term, last, last_term, 0, Batch(last + 1, term, draw.choice(NO_ENTRIES)))


def _no_configuration(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """An entry of the kind of configurations that holds none."""
    last, last_term = state.log.last_index, min(term, state.log.last_term)
    entries = [COMMAND, CONFIGURATION + draw.choice(NO_CONFIGURATIONS)]
    return AppendEntries(sender, state.id, term, last, last_term, 0, Batch(last + 1, term, entries))


def _no_snapshot(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """A snapshot of nothing, of a term to come, without a configuration, or with one in which nobody votes."""
    index, now = state.log.last_index + 1, Configuration.of("n1")
    whats: Sequence[tuple[int, int, Any]] = (
        (0, term, now),
        (index, 0, now),
        (index, term + 1, now),
        (index, term, None),
        (index, term, now.encode()),
        (index, term, Configuration()),
        (index, term, Configuration(learners=(Member("n1"),))),
    )
    what = draw.choice(whats)
    return InstallSnapshot(sender, state.id, term, *what)


def _neither_true_nor_false(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """What should be yes or no is something else."""
    answer: Any = draw.choice((1, 0, None, "yes", b"\x01"))
    to, end = state.id, (state.log.last_index, state.log.last_term)
    return draw.choice(
        (
            RequestVote(sender, to, term, *end, answer),
            RequestVoteResponse(sender, to, term, answer),
            PreVoteResponse(sender, to, term, term + 1, answer),
            AppendEntriesResponse(sender, to, term, answer, 0),
            ReadIndexRequest(sender, to, term, 1, 2**40, answer),
        )
    )


def _no_commands(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """A forwarded proposal that brings nothing, or what is no command."""
    commands: Any = draw.choice(((), ["text"], b"command", [b"command", None]))
    return ForwardedProposal(sender, state.id, term, 1, 2**40, commands)


def _no_outcome(state: State, sender: str, term: int, draw: random.Random) -> Message:
    """What should be the outcome of a proposal is none that exists."""
    what: tuple[Any, ...] = draw.choice(
        (("won",), ("applied", {b"result": 1}), ("applied", ["text"]), ("not_leader", (), None), ("unknown", (), "", 7))
    )
    return ForwardedProposalResponse(sender, state.id, term, state.config.boot, 2**40, *what)


MAKERS: Sequence[Maker] = (
    _impossible_prev,
    _no_batch,
    _out_of_place,
    _no_entries,
    _no_configuration,
    _no_snapshot,
    _neither_true_nor_false,
    _no_commands,
    _no_outcome,
)
