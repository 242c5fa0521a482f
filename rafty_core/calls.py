"""What the embedding program must not do: checked before the first effect of a step.

Law: *a wrong call raises at once and changes nothing*; a wrong message, which is somebody else's mistake, never raises.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rafty_core.changes import Change
from rafty_core.configuration import Lease
from rafty_core.entries import COMMAND, LARGEST
from rafty_core.events import (
    LOCAL_EVENT_TYPES,
    READ_MODES,
    Applied,
    ChangeMembership,
    Event,
    PeerUnreachable,
    Persisted,
    Propose,
    Read,
    SnapshotTaken,
    TransferLeadership,
)
from rafty_core.messages import MESSAGE_TYPES
from rafty_core.state import State

MESSAGES = frozenset(MESSAGE_TYPES)
LOCAL_EVENTS = frozenset(LOCAL_EVENT_TYPES)


def check(state: State, now: float, events: Sequence[Event]) -> None:
    """Raise `ValueError` or `TypeError` for a step that a correct program would not take."""
    if not now >= state.now:  # so that NaN is refused too
        raise ValueError(f"time runs backwards: {now} after {state.now}")
    applied = state.applying.applied
    for event in events:
        kind = type(event)
        if kind in MESSAGES:
            continue
        if kind not in LOCAL_EVENTS:
            raise TypeError(f"{kind.__name__} is no event")
        if isinstance(event, Applied):
            _check_applied(state, event, applied)
            applied = event.index
        elif isinstance(event, SnapshotTaken):
            _check_snapshot_taken(event, applied)
        else:
            found = CHECKS.get(kind)
            if found is not None:
                found(state, event)


def _check_propose(state: State, event: Propose) -> None:
    if not set(map(type, event.commands)) <= {bytes}:
        raise TypeError("commands are bytes")


def _check_read(state: State, event: Read) -> None:
    if event.mode not in READ_MODES:
        raise ValueError(f"a read is one of {', '.join(READ_MODES)}, not {event.mode!r:.40}")
    if type(event.index) is not int or not 0 <= event.index <= LARGEST:
        raise ValueError(f"no log has the index {event.index!r:.40}")


def _check_change(state: State, event: ChangeMembership) -> None:
    if not {type(change) for change in event.changes} <= {Change}:
        raise TypeError("a change of membership is a sequence of `Change`")
    texts = {type(text) for change in event.changes for text in (change.member.address, change.member.incarnation)}
    if not texts <= {str}:
        raise TypeError("the address and the incarnation of a member are text")
    if type(event.based_on) is not int or not 0 <= event.based_on <= LARGEST:
        raise ValueError(f"no configuration stands at index {event.based_on!r:.40}")
    if event.lease is not None and event.lease != "keep" and type(event.lease) is not Lease:
        raise TypeError('what voters promise is a `Lease`, None, or "keep"')


def _check_transfer(state: State, event: TransferLeadership) -> None:
    if event.target is not None and type(event.target) is not str:
        raise TypeError("the target of a transfer is named by its id")
    if not 0 <= event.timeout < float("inf"):
        raise ValueError(f"a transfer cannot take {event.timeout!r:.40} s")


def _check_persisted(state: State, event: Persisted) -> None:
    if type(event.seq) is not int or not 0 <= event.seq <= state.writes.last_seq:
        raise ValueError(f"write {event.seq} was never asked for, the newest is {state.writes.last_seq}")


def _check_peer(state: State, event: PeerUnreachable) -> None:
    if type(event.peer) is not str:
        raise TypeError("a peer is named by its id")


def _check_applied(state: State, event: Applied, applied: int) -> None:
    handed_out = state.applying.handed_out
    if type(event.index) is not int or not applied <= event.index <= handed_out:
        raise ValueError(
            f"applied index {event.index} is not between {applied} and {handed_out}, the last index that was handed out"
        )
    if event.results and len(event.results) != event.index - applied:  # entries of Raft's own have no results
        if applied < state.log.base_index:
            return  # a snapshot has taken the place of these entries since; nobody waits for their results
        commands = sum(entry[0] == COMMAND[0] for entry in state.log.slice(applied + 1, event.index))
        if len(event.results) != commands:
            raise ValueError(f"{len(event.results)} results for {commands} commands")


def _check_snapshot_taken(event: SnapshotTaken, applied: int) -> None:
    if type(event.index) is not int or not 0 <= event.index <= applied:
        raise ValueError(f"a snapshot of index {event.index!r:.40} cannot be taken: {applied} is applied")
    if type(event.compact_to) is not int or event.compact_to < -1:
        raise ValueError(f"no log can be compacted up to {event.compact_to!r:.40}")


CHECKS: Mapping[type[Event], Callable[[State, Any], None]] = {
    Propose: _check_propose,
    Read: _check_read,
    ChangeMembership: _check_change,
    TransferLeadership: _check_transfer,
    Persisted: _check_persisted,
    PeerUnreachable: _check_peer,
}
