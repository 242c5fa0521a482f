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
from rafty_core.messages import ReadIndexResponse
from rafty_core.outcomes import ChangeRefused
from rafty_core.output import MembershipAnswer, Output
from rafty_core.raft import Raft
from rafty_core.roles import Leader
from rafty_core.simulation.misuse import misuse
from rafty_core.state import State


def _wrong_events(state: State) -> list[object]:
    """Events that no correct driver tells a node that is as this one is."""
    applying = state.applying
    member = Member("n9", "", "i9")
    wrong: list[object] = [
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
    if applying.applied < applying.handed_out and applying.applied >= state.log.base_index:
        count = applying.handed_out - applying.applied
        wrong.append(Applied(applying.handed_out, [b"one more"] * (count + 1)))
    return wrong


def err_as_driver(raft: Raft, state: State) -> None:
    """Tell this node all that is wrong, and let its clock run backwards. Raises `InvariantViolation` if it takes it."""
    for wrong in _wrong_events(state):
        _refused(raft, state, state.now, [wrong])  # type: ignore[list-item]
    _refused(raft, state, state.now - 1, [])
    misuse(state)


def ask_in_vain(raft: Raft, state: State) -> Output | None:
    """Ask this node, between two steps, for what changes nothing; or tell it what nobody asked for.

    Returns what is to be carried out, as of any step; None if this is no moment at which a step changes nothing.
    """
    if state.applying.handed_out < state.log.commit:
        return None  # any step may hand out more
    if isinstance(state.role, Leader):
        return _ask_for_nothing(raft, state)
    return _answer_for_another(raft, state)


def _ask_for_nothing(raft: Raft, state: State) -> Output | None:
    """A change of membership after which all is as it was: done at once, or refused; no entry comes of it."""
    if not state.configuration.at_rest or state.log.configurations.index > state.log.commit:
        return None  # any step may find that the new members suffice
    now, end = state.configuration, state.log.last_index
    output = raft.step(state.now, ChangeMembership("nothing", [Change("update", now.members[0])]))
    right = len(output.answers) == 1 and isinstance(output.answers[0], MembershipAnswer)
    answer = output.answers[0] if right else None
    if isinstance(answer, MembershipAnswer):
        right = isinstance(answer.error, ChangeRefused) if answer.error is not None else answer.configuration == now
    if not right or (output.write, output.messages, state.configuration, state.log.last_index) != (None, [], now, end):
        raise InvariantViolation("I13", f"{state.id} is asked for no change at all: {output!r:.300}")
    return output


def _answer_for_another(raft: Raft, state: State) -> Output | None:
    """Somebody answers for the leader from where on this node may read: nobody has asked him."""
    asking = state.reads.asking
    if asking is None:
        return None
    false = ReadIndexResponse("n0", state.id, state.term, state.config.boot, asking.sequence, 1)
    output = raft.step(state.now, false)
    if (output.answers, output.messages, output.write, state.reads.asking) != ([], [], None, asking):
        raise InvariantViolation("I27", f"{state.id} takes {false!r}: {output!r:.300}")
    return output


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
