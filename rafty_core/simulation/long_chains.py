"""Chains whose end chance reaches once in some hundred thousand runs, and which a part of all runs tries to its end.

Law: *what was found by luck is found by design from then on.*

They are tried like `trials`: when other faults have stopped, one after the other.
"""

from collections.abc import Callable, Mapping

from rafty_core import Campaign, Propose
from rafty_core.invariants import state_of
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.intrigues import Intrigues
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.stories import Stories

LOOK = 0.0002
"""Seconds from one look at what has arrived to the next."""

SMALL_BATCH = 60
"""Bytes of a batch up to which two commands do not go together."""


class CutInTwo:
    """Of what a follower asks for the first part reaches one other, who leads next; the rest is lost (R177)."""

    def __init__(self, hand: Hand, leader: SimulatedNode) -> None:
        self._hand, self._leader = hand, leader
        self.cluster, self.world = hand.cluster, hand.world

    def begin(self) -> None:
        """Begin it, if there are enough nodes and batches are small."""
        cluster, leader = self.cluster, self._leader
        others = [node for node in cluster.live if node is not leader and leader.reaches(node)]
        if len(others) < 2 or leader.raft is None or cluster.options.max_batch_bytes > SMALL_BATCH:
            return
        asking, self._heir = self.world.random.sample(others, 2)
        self._end = state_of(leader.raft).log.last_index
        for other in cluster.nodes:
            if other not in (leader.id, self._heir.id):
                cluster.network.blocked[leader.id, other] = None
        self.world.note(asking.id, "asks for something that is cut in two")
        asking.receive(Propose(*cluster.clients.together(asking.id, 2, b"." * SMALL_BATCH)))
        self._look(self._cut, 2000)

    def _look(self, act: Callable[[], bool], attempts: int) -> None:
        """Try this again and again, until it was done."""
        if not self._hand.stopped and attempts and not act():
            self.world.after(LOOK, lambda: self._look(act, attempts - 1))

    def _cut(self) -> bool:
        """From when the first part has arrived on, nothing of the leader arrives anywhere."""
        state = state_of(self._heir.raft) if self._heir.raft is not None else None
        if state is None or state.log.last_index == self._end:
            return False
        self.cluster.network.blocked[self._leader.id, self._heir.id] = None
        silence = self.cluster.options.silence
        for number in range(20):
            self.world.after((0.9 + 0.02 * number) * silence, self._campaign)
        self.world.after(0.9 * silence, lambda: self._look(self._let_back, 6000))
        return True

    def _campaign(self) -> None:
        if not self._hand.stopped and self._heir not in self.cluster.leaders:
            self._heir.receive(Campaign())

    def _propose(self) -> None:
        self.cluster.propose(self._heir)

    def _let_back(self) -> bool:
        """The one who led hears of its successor at once, and says what has become of the proposal."""
        if self._heir not in self.cluster.leaders:
            return False
        self.cluster.network.blocked.clear()
        for number in range(8):
            self.world.after(0.01 * number, self._propose)
        return True


def cut_in_two(hand: Hand, leader: SimulatedNode) -> None:
    """A proposal of two commands, of which the second is lost."""
    CutInTwo(hand, leader).begin()


def replace_remembered(hand: Hand, leader: SimulatedNode) -> None:
    """Who remembers a node that is gone leads again, and is asked by that one's successor (R102)."""
    if hand.cluster.options.churn_interval:
        _intrigues(hand).replace_unheard(leader, leads_again=True)


def demote_two(hand: Hand, leader: SimulatedNode) -> None:
    """Who is no voter any more wins, in the midst of a change of others (R179)."""
    if hand.cluster.options.churn_interval:
        _intrigues(hand).demote_two(leader)


def _intrigues(hand: Hand) -> Intrigues:
    return Intrigues(hand, Churn(hand), Stories(hand))


LONG_CHAINS: Mapping[str, Callable[[Hand, SimulatedNode], None]] = {
    "cut in two": cut_in_two,
    "replace remembered": replace_remembered,
    "demote two": demote_two,
}
"""All of them. Each does nothing where the options do not allow it."""
