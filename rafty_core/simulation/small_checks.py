"""What must hold between the nodes of a small world.

Law: *what is judged on one world must hold whichever way led there*; what the past must tell stands in the `Ghost`.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rafty_core.history import InvariantViolation
from rafty_core.simulation.small_node import Logged, Node


class Ghost(NamedTuple):
    """What is remembered of the past of a world, and is part of it.

    leaders    who led each term: (term, id), sorted
    committed  each entry ever committed anywhere: (term, entry, term of the leader that committed it first)
    crashes    how many there were
    """

    leaders: tuple[tuple[int, str], ...] = ()
    committed: tuple[tuple[int, bytes, int], ...] = ()
    crashes: int = 0

    def crashed(self) -> "Ghost":
        """The same, and one crash more."""
        return self._replace(crashes=self.crashes + 1)

    def renamed(self, names: Mapping[str, str]) -> "Ghost":
        """The same, if nodes had these names."""
        return self._replace(leaders=tuple((term, names[leader]) for term, leader in self.leaders))


def check_pair(one: Node, other: Node) -> None:
    """What holds between two nodes: I3, I11, I12. Raises `InvariantViolation`."""
    for mine in (one.log, one.disk.log):
        for theirs in (other.log, other.disk.log):
            _check_log_matching(one, mine, other, theirs)
    for leader, follower in ((one, other), (other, one)):
        if leader.leads:
            _check_follower(leader, follower)


def _check_log_matching(one: Node, mine: Logged, other: Node, theirs: Logged) -> None:
    """I3, paper 5.3: "if two logs contain an entry with the same index and term, then the logs are identical in all
    entries up through the given index"."""
    if mine == theirs:
        return
    for index in range(min(len(mine), len(theirs)), 0, -1):
        if mine[index - 1][0] == theirs[index - 1][0]:
            if mine[:index] != theirs[:index]:
                text = f"{one.id} and {other.id} agree on the term of entry {index} and not on what leads up to it"
                raise InvariantViolation("I3", text)
            return


def _check_follower(leader: Node, follower: Node) -> None:
    """I12: what a leader takes for replicated is on that disk, unless a later term came between. I11: what a follower
    has committed is in the log of its leader."""
    match = leader.matches.get(follower.id, 0)
    if follower.disk.term <= leader.term and follower.disk.log[:match] != leader.log[:match]:
        text = f"{leader.id}: match of {follower.id} is {match}, its disk differs"
        raise InvariantViolation("I12", text)
    commit = follower.commit
    if follower.term == leader.term and follower.log[:commit] != leader.log[:commit]:
        raise InvariantViolation("I11", f"{follower.id} commits {commit}, which its leader {leader.id} has not")


def remember(nodes: Sequence[Node], changed: Node, ghost: Ghost) -> Ghost:
    """What is to be remembered when this one of the nodes has changed. Raises `InvariantViolation` if that is against
    what is remembered already: I1, I4, I5, I10."""
    leaders, committed, crashes = ghost
    if changed.leads:
        leaders = _elected(nodes, changed, leaders)
        _check_complete(changed, committed)
    new = changed.log[: changed.commit]
    known = min(len(new), len(committed))
    if new[:known] != tuple(entry[:2] for entry in committed[:known]):
        text = f"{changed.id} commits up to {changed.commit}, and something else was committed before"
        raise InvariantViolation("I5", text)
    if len(new) > len(committed):
        _check_durable(nodes, changed, new)
        committed += tuple((*entry, changed.term) for entry in new[len(committed) :])
        for node in nodes:
            if node.leads:
                _check_complete(node, committed)
    return Ghost(leaders, committed, crashes)


def _elected(nodes: Sequence[Node], leader: Node, leaders: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
    """I1, Election Safety: one leader in each term, with durable votes of a majority."""
    known = dict(leaders).get(leader.term)
    if known == leader.id:
        return leaders
    if known is not None:
        raise InvariantViolation("I1", f"{leader.id} and {known} both lead term {leader.term}")
    voted = (leader.term, leader.id)
    votes = [node.id for node in nodes if node.disk.term > leader.term or (node.disk.term, node.disk.vote) == voted]
    if 2 * len(votes) <= len(nodes):
        raise InvariantViolation("I1", f"{leader.id} leads term {leader.term} with the votes of {votes} at most")
    return tuple(sorted((*leaders, voted)))


def _check_complete(leader: Node, committed: tuple[tuple[int, bytes, int], ...]) -> None:
    """I4, Leader Completeness: what was committed in a term is in the logs of the leaders of all later ones."""
    for index, (term, entry, committed_in) in enumerate(committed, 1):
        if committed_in < leader.term and leader.log[index - 1 : index] != ((term, entry),):
            text = f"{leader.id} leads term {leader.term} without entry {index}, committed in term {committed_in}"
            raise InvariantViolation("I4", text)


def _check_durable(nodes: Sequence[Node], node: Node, new: Logged) -> None:
    """I10: what is committed is on the disks of a majority."""
    holding = [other.id for other in nodes if other.disk.log[: len(new)] == new]
    if 2 * len(holding) <= len(nodes):
        raise InvariantViolation("I10", f"{node.id} commits {len(new)}, which is on the disks of {holding} alone")
