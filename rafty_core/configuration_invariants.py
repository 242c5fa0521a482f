"""I13: configurations follow each other so that no two of them can decide without each other.

Law: *two configurations that may both decide have no two quorums without a common voter.*

Which may both decide? One configuration and the next one in a log; and all that follow the same one, in the logs of
different leaders, of which one at most is ever committed. An older one decides nothing more once its successor is
committed, for every quorum of it has a member that holds the successor. So each is compared with the one before it and
with its rivals, when it first appears in any log.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations

from rafty_core.configuration import Configuration
from rafty_core.history import Ghost, History, InvariantViolation
from rafty_core.quorum import majority


def is_quorum(configuration: Configuration, nodes: Sequence[str]) -> bool:
    """Whether these nodes decide: a majority of the voters, and of the outgoing ones if there are any."""
    halves = [half for half in (configuration.voter_ids, configuration.outgoing_ids) if half]
    return bool(halves) and all(sum(voter in nodes for voter in half) >= majority(len(half)) for half in halves)


def intersect(one: Configuration, other: Configuration) -> bool:
    """Whether every quorum of the one shares a voter with every quorum of the other, tried out for all sets."""
    return _intersect(one.voter_ids, one.outgoing_ids, other.voter_ids, other.outgoing_ids)


@lru_cache(maxsize=4096)
def _intersect(voters: tuple[str, ...], out: tuple[str, ...], voters2: tuple[str, ...], out2: tuple[str, ...]) -> bool:
    one = Configuration.of(*voters), Configuration.of(*out)
    other = Configuration.of(*voters2), Configuration.of(*out2)
    everyone = sorted({*voters, *out, *voters2, *out2})

    def decide(halves: tuple[Configuration, Configuration], nodes: Sequence[str]) -> bool:
        return all(is_quorum(half, nodes) for half in halves if half.voters)

    for size in range(len(everyone) + 1):
        for nodes in combinations(everyone, size):
            rest = [node for node in everyone if node not in nodes]
            if decide(one, nodes) and decide(other, rest):
                return False
    return True


class ConfigurationInvariants:
    """Looks at each configuration when it first stands in anybody's log."""

    def __init__(self, ghost: Ghost) -> None:
        self._ghost = ghost
        self._seen: set[tuple[int, int]] = set()
        self._successors: dict[int, list[tuple[int, int, Configuration]]] = {}

    def check(self, node_id: str, history: History, configurations: Sequence[tuple[int, Configuration]]) -> None:
        """Look at the configurations that stand in this node's log, the newest first, down to one that is known."""
        for position in range(len(configurations) - 1, 0, -1):
            index, configuration = configurations[position]
            term = history.term(index)
            if index <= history.base or (index, term) in self._seen:
                return
            self._check_appended(node_id, history, configurations[position - 1], index, configuration)
            self._seen.add((index, term))

    def _check_appended(
        self, node_id: str, history: History, before: tuple[int, Configuration], index: int, now: Configuration
    ) -> None:
        ghost, (at, previous), term = self._ghost, before, history.term(index)
        what = f"{node_id}: the configuration at {index} of term {term}"
        if term not in ghost.committed_terms:
            raise InvariantViolation("I13", f"{what} is appended before any entry of that term is committed")
        known = ghost.hash(at)
        if known is None or known != ghost.hash_in(history, at):
            raise InvariantViolation("I13", f"{what} is appended while the one at {at} is not committed")
        if previous.is_joint and (now.is_joint or now.voter_ids != previous.voter_ids):
            raise InvariantViolation("I13", f"{what} does not leave the joint configuration at {at} to its new half")
        if now.is_joint and now.outgoing_ids != previous.voter_ids:
            raise InvariantViolation("I13", f"{what} is joint with another configuration than the one at {at}")
        if not now.is_joint and not previous.is_joint and now.voter_ids != previous.voter_ids:
            raise InvariantViolation("I13", f"{what} has other voters than the one at {at} and is not joint")
        position = next(p for p in range(len(ghost.configurations) - 1, -1, -1) if ghost.configurations[p][0] <= at)
        rivals = self._successors.setdefault(position, [])
        for other, other_term, rival in [(at, 0, previous), *rivals]:
            if not intersect(now, rival):
                raise InvariantViolation("I13", f"{what} can decide without that at {other} of term {other_term}")
        rivals.append((index, term, now))
