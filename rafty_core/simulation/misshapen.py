"""Messages that no correct node ever sends to anybody, since they say nothing that can be.

Law: *what is no message of the protocol is refused before anybody asks what it would mean* (I27).

The codec lets none of them through; a transport of somebody else's may.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import COMMAND, CONFIGURATION, Batch
from rafty_core.messages import AppendEntries, ForwardedProposal, Heartbeat, InstallSnapshot, Message
from rafty_core.roles import Leader
from rafty_core.simulation.world import World
from rafty_core.state import State
from rafty_core.violation import REQUESTS

Maker = Callable[[State, Message, World], Message | None]


def misshapen(state: State, message: Message, world: World) -> Message | None:
    """Such a message for the receiver of this one, which is as `state` says; None if chance finds none."""
    if state.term == 0 or state.role.leader not in (None, state.id, message.sender):
        return None  # it would be refused, but for another reason
    makers = ANY if isinstance(state.role, Leader) else (*ANY, *FROM_LEADER)
    return world.random.choice(makers)(state, message, world)


def _of_term_0(state: State, message: Message, world: World) -> Message:
    """A request of a term that nobody ever led, stood in or voted in (R9)."""
    if not isinstance(message, REQUESTS):
        return Heartbeat(message.sender, state.id, 0, 0, 1)
    damaged = copy(message)
    damaged.term = 0
    if isinstance(damaged, AppendEntries):
        damaged.prev_log_index = damaged.prev_log_term = 0
        damaged.batch = None
    return damaged


def _without_order(state: State, message: Message, world: World) -> Message:
    """A forwarded proposal whose commands are no list (R4)."""
    commands: Any = dict.fromkeys((b"?", b"!"))
    return ForwardedProposal(message.sender, state.id, state.term, 1, 2**40, commands)


def _append(state: State, message: Message, entries: Any) -> Message:
    log = state.log
    batch = Batch(log.last_index + 1, state.term, entries)
    return AppendEntries(message.sender, state.id, state.term, log.last_index, log.last_term, 0, batch)


def _append_without_order(state: State, message: Message, world: World) -> Message:
    """An append whose entries are no list (R4)."""
    return _append(state, message, dict.fromkeys((COMMAND + b"?", COMMAND + b"!")))


def _without_way(state: State, world: World) -> Configuration:
    """A configuration with a goal that it cannot lead to: nobody votes there, or somebody who is no member (R104)."""
    now = state.configuration if state.configuration.voters else Configuration.of("n1")
    goal = Configuration(learners=(Member("n9"),)) if world.chance(0.5) else Configuration.of(*now.voter_ids, "n9")
    return replace(now, outgoing=(), learners_next=(), goal=goal)


def _append_without_way(state: State, message: Message, world: World) -> Message:
    return _append(state, message, [CONFIGURATION + _without_way(state, world).encode()])


def _snapshot(state: State, message: Message, configuration: Configuration) -> Message:
    index = state.log.last_index + 1
    return InstallSnapshot(message.sender, state.id, state.term, index, state.term, configuration)


def _snapshot_without_way(state: State, message: Message, world: World) -> Message:
    return _snapshot(state, message, _without_way(state, world))


def _snapshot_too_early(state: State, message: Message, world: World) -> Message:
    """A snapshot that ends before its own configuration stands (R180)."""
    now = state.configuration if state.configuration.voters else Configuration.of("n1")
    ahead = state.log.last_index + world.random.randint(2, 5)
    return _snapshot(state, message, replace(now, index=ahead))


ANY: Sequence[Maker] = (_of_term_0, _without_order)
FROM_LEADER: Sequence[Maker] = (
    _append_without_order,
    _append_without_way,
    _snapshot_without_way,
    _snapshot_too_early,
)
