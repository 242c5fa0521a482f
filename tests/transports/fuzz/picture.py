"""What an attacker knows who reads along: the numbers that mean something to a node now.

Law: *a number that means nothing is refused at once; one that nearly fits is not.*
"""

import random
from typing import NamedTuple

from rafty_core.node_invariants import state_of
from rafty_core.raft import Raft
from rafty_core.roles import Leader

EDGES = (0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 2, 2**63 - 1)
"""Numbers at which something begins or ends."""


class Picture(NamedTuple):
    """A node's id, its term, its leader, the numbers that mean something to it, and the terms of its log."""

    node_id: str
    term: int
    leader: str | None
    last: int
    numbers: tuple[int, ...]
    terms: tuple[int, ...]

    def number(self, chance: random.Random) -> int:
        """A number from those, a neighbour of one, or an edge."""
        draw = chance.random()
        if draw < 0.12:
            return chance.choice(EDGES)
        number = chance.choice(self.numbers)
        return number if draw < 0.7 else max(0, number + chance.choice((-1, 1, 2)))

    def of_term(self, chance: random.Random) -> int:
        """A term: mostly the current one, or one that the log has."""
        draw = chance.random()
        if draw < 0.6:
            return self.term
        if draw < 0.75:
            return chance.choice(self.terms)
        if draw < 0.9:
            return max(0, self.term + chance.choice((-1, 1, 1, 2)))
        return chance.choice((*EDGES, self.term + 2**32, self.term + 2**32 + 1))


def picture_of(raft: Raft) -> Picture:
    """The picture of this node now."""
    state = state_of(raft)
    log, role = state.log, state.role
    numbers = [log.last_index, log.commit, log.base_index, state.snapshot.index, state.applying.applied, state.term]
    numbers += [state.writes.index, state.configuration.index]
    if isinstance(role, Leader):
        numbers.append(role.round)
        for progress in role.progress.values():
            numbers += (progress.match, progress.next)
    if state.fetching is not None:
        numbers.append(state.fetching.snapshot.index)
    terms = (log.last_term, log.base_term, log.term(log.commit))
    return Picture(state.id, state.term, role.leader, log.last_index, tuple(numbers), terms)
