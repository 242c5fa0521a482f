"""What a driver must not do, done: the core must refuse it at once, and be as it was.

Law: *a wrong call raises before anything happened*, whatever it is.
"""

from dataclasses import replace

from rafty_core.changes import Change
from rafty_core.configuration import Member
from rafty_core.events import (
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
from rafty_core.history import InvariantViolation
from rafty_core.raft import Raft
from rafty_core.state import State


def _wrong_events(state: State) -> list[object]:
    """Events that no correct driver tells a node that is as this one is."""
    applying = state.applying
    member = Member("n9", "", "i9")
    return [
        SnapshotTaken(applying.applied + 1, 0),
        SnapshotTaken(-1, 0),
        SnapshotTaken(applying.applied, -2),
        Applied(applying.handed_out + 1),
        Applied(applying.applied - 1),
        Applied(True),
        Persisted(state.writes.last_seq + 1),
        Persisted(-1),
        Propose("wrong", ["text"]),  # type: ignore[list-item]
        Read("wrong", "stale reading"),
        Read("wrong", "at_least", -1),
        TransferLeadership("wrong", None, float("inf")),
        TransferLeadership("wrong", 7, 0.0),  # type: ignore[arg-type]
        ChangeMembership("wrong", ["add n9"]),  # type: ignore[list-item]
        ChangeMembership("wrong", [Change("add_voter", member)], based_on=-1),
        ChangeMembership("wrong", [Change("add_voter", member)], lease=1.0),  # type: ignore[arg-type]
        ChangeMembership("wrong", [Change("add_voter", replace(member, address=7))]),  # type: ignore[arg-type]
        ChangeMembership("wrong", [Change("add_voter", replace(member, incarnation=None))]),  # type: ignore[arg-type]
        PeerUnreachable(None),  # type: ignore[arg-type]
        "an event",
    ]


def err_as_driver(raft: Raft, state: State) -> None:
    """Tell this node all that is wrong, and let its clock run backwards. Raises `InvariantViolation` if it takes it."""
    for wrong in _wrong_events(state):
        _refused(raft, state, state.now, [wrong])  # type: ignore[list-item]
    _refused(raft, state, state.now - 1, [])


def _refused(raft: Raft, state: State, now: float, events: list[Event]) -> None:
    before = (raft.status(), raft.deadline)
    text = f"{events} at {now}, behind {state.now}"
    try:
        raft.step(now, *events)
    except (ValueError, TypeError):
        if (raft.status(), raft.deadline) != before:
            raise InvariantViolation("I27", f"{state.id} refuses {text}, and is changed by it") from None
        return
    raise InvariantViolation("I27", f"{state.id} takes {text}")
