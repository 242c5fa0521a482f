"""Messages that are well-formed, and that no correct node sends to this one as it is now.

Law: *what contradicts what is known for certain is dropped without a trace*, whoever says it (invariant I27).
"""

from rafty_core.messages import InstallSnapshot, Message
from rafty_core.simulation.world import World
from rafty_core.state import State


def lie_to(state: State, message: Message, world: World) -> Message | None:
    """An offer of a snapshot that contradicts what is committed here, or comes from a second leader of the term (faults
    F55, F87); None if there is none that this node could tell. It has the sender and the place of `message`."""
    log, term = state.log, state.term
    configuration = log.configurations.at(log.commit)[1]
    if log.commit == 0 or not configuration.voters:
        return None
    sender, leader = message.sender, state.role.leader
    kind = world.random.choice(("another entry", "an older history", "a second leader"))
    if kind == "a second leader":
        if leader in (None, sender):
            return None
        return InstallSnapshot(sender, state.id, term, log.commit + 1, log.term(log.commit), configuration)
    if kind == "an older history":
        below = log.term(log.commit) - 1
        if below < 1:
            return None
        return InstallSnapshot(sender, state.id, term, log.commit + world.random.randint(1, 3), below, configuration)
    index = world.random.randint(max(1, log.base_index), log.commit)
    return None if log.term(index) == term else InstallSnapshot(sender, state.id, term, index, term, configuration)
