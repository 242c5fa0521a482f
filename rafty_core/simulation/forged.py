"""Messages that would fit anywhere, but that no correct node can send to this one now (I27).

Law: *what contradicts what a node knows for certain is refused, however well-formed it is.*

A second leader of a term; another entry where one is committed; news of entries and rounds that do not exist. Only a
bug elsewhere, or somebody evil, says such a thing; to obey it would spread the damage.
"""

from collections.abc import Callable, Sequence

from rafty_core.entries import COMMAND, Batch
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
)
from rafty_core.roles import Leader
from rafty_core.simulation.world import World
from rafty_core.state import State

STRANGER = "n0"
"""A sender that is member of no configuration."""

Forger = Callable[[State, str, World], Message | None]


def forged(state: State, world: World) -> Message | None:
    """Such a message for this node, as it is now; None if chance finds none."""
    leader = state.role.leader
    if leader is None:
        return None  # whoever says that it leads is believed
    kinds = FOR_A_LEADER if isinstance(state.role, Leader) else FOR_A_FOLLOWER
    return world.random.choice(kinds)(state, leader, world)


def _second_leader(state: State, leader: str, world: World) -> Message:
    """Another node leads the term, or says so."""
    members = [member.id for member in state.configuration.members if member.id not in (leader, state.id)]
    sender, log = world.random.choice([STRANGER, *members, *members]), state.log
    if world.chance(0.4):
        return Heartbeat(sender, state.id, state.term, 0, 1)
    if world.chance(0.2):
        return InstallSnapshot(sender, state.id, state.term, log.last_index + 1, state.term, state.configuration)
    batch = Batch(log.last_index + 1, state.term, [COMMAND + b"?"]) if world.chance(0.5) else None
    return AppendEntries(sender, state.id, state.term, log.last_index, log.last_term, 0, batch)


def _early_commit(state: State, leader: str, world: World) -> Message:
    """A heartbeat commits what is not here, and so cannot have been acknowledged."""
    index = state.log.last_index + world.random.randint(1, 3)
    return Heartbeat(leader, state.id, state.term, index, 2**30)


def _committed(state: State, world: World) -> int:
    """The index of an entry whose term is known, and which is committed; 0 if there is none."""
    log = state.log
    if log.commit == 0:
        return 0
    if 0 < log.base_index < state.snapshot.index and world.chance(0.5):
        return world.random.randint(log.base_index, state.snapshot.index - 1)  # both in the snapshot and here
    return world.random.choice((log.commit, max(log.base_index, 1), world.random.randint(log.base_index, log.commit)))


def _another(term: int, least: int, most: int) -> int:
    """A term that is not this one; it itself if there is none."""
    return next((other for other in (term + 1, term - 1) if least <= other <= most), term)


def _another_prev(state: State, leader: str, world: World) -> Message | None:
    """An append stands behind another entry than the one that is committed here."""
    prev = _committed(state, world)
    term = _another(state.log.term(prev), 0, state.term) if prev else 0
    if prev == 0 or term == state.log.term(prev):
        return None
    batch = Batch(prev + 1, state.term, [COMMAND + b"?"]) if world.chance(0.5) else None
    return AppendEntries(leader, state.id, state.term, prev, term, 0, batch)


def _another_entry(state: State, leader: str, world: World) -> Message | None:
    """An append brings another entry than the one that is committed here."""
    index, log = _committed(state, world), state.log
    known = index - 1 >= log.base_index
    prev_term = log.term(index - 1) if known and index else 0
    term = _another(log.term(index), max(prev_term, 1), state.term) if index else 0
    if index == 0 or term == log.term(index):
        return None
    entries = [COMMAND + b"?"] * world.random.randint(1, 4)
    return AppendEntries(leader, state.id, state.term, index - 1, prev_term, 0, Batch(index, term, entries))


def _another_base(state: State, leader: str, world: World) -> Message | None:
    """An append brings another entry than the one that the log stands behind, and the right ones after it."""
    log = state.log
    base = log.base_index
    if base == 0 or base == log.commit or log.term(base + 1) == log.base_term:
        return None
    term, last = log.term(base + 1), min(log.run_end(base + 1), log.commit)
    batch = Batch(base, term, [COMMAND + b"?", *log.slice(base + 1, last)])
    return AppendEntries(leader, state.id, state.term, base - 1, 0, 0, batch)


def _another_snapshot(state: State, leader: str, world: World) -> Message | None:
    """A snapshot ends with another entry than the one that is committed here, or lacks one that is."""
    log = state.log
    if world.chance(0.5) and log.term(log.commit) > 1:
        older = log.term(log.commit) - 1
        return InstallSnapshot(leader, state.id, state.term, log.last_index + 2, older, state.configuration)
    index = _committed(state, world)
    term = _another(log.term(index), 1, state.term) if index else 0
    if index == 0 or term == log.term(index):
        return None
    return InstallSnapshot(leader, state.id, state.term, index, term, state.configuration)


def _acknowledged_too_much(state: State, leader: str, world: World) -> Message | None:
    """A follower acknowledges what does not exist."""
    sender = _follower(state, world)
    if sender is None:
        return None
    index = state.log.last_index + world.random.randint(1, 3)
    return AppendEntriesResponse(sender, state.id, state.term, True, index)


def _round_too_new(state: State, leader: str, world: World) -> Message | None:
    """A follower answers a round of heartbeats that has not begun."""
    sender = _follower(state, world)
    if sender is None or not isinstance(state.role, Leader):
        return None
    return HeartbeatResponse(sender, state.id, state.term, state.role.round + world.random.randint(1, 3))


def _follower(state: State, world: World) -> str | None:
    followers = list(state.role.progress) if isinstance(state.role, Leader) else []
    return world.random.choice(followers) if followers else None


FOR_A_LEADER: Sequence[Forger] = (_second_leader, _acknowledged_too_much, _round_too_new)
FOR_A_FOLLOWER: Sequence[Forger] = (
    _second_leader,
    _early_commit,
    _another_prev,
    _another_prev,
    _another_entry,
    _another_entry,
    _another_base,
    _another_snapshot,
)
