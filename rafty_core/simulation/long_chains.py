"""Chains whose end chance reaches once in some hundred thousand runs, and which a part of all runs tries to its end.

Law: *what was found by luck is found by design from then on.*

They are tried like `trials`: when other faults have stopped, one after the other.
"""

from collections.abc import Callable, Mapping

from rafty_core import AppendEntries, Campaign, PeerUnreachable, Propose
from rafty_core.invariants import state_of
from rafty_core.roles import Candidate, Follower, Leader
from rafty_core.simulation.broken_promises import keep_only
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.intrigues import Intrigues
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.stories import Stories
from rafty_core.simulation.trials import LENGTH

LOOK = 0.0002
"""Seconds from one look at what has arrived to the next."""

SMALL_BATCH = 60
"""Bytes of a batch up to which two commands do not go together."""

APPENDS_LATE = 1.6
"""Seconds that appends are late: a snapshot is offered meanwhile."""

FETCH_ENDS = LENGTH - 0.4
"""Seconds after which a fetch that hangs ends in any case, and before the chain does."""


class Chain:
    """What all of them need. `heir` is who shall lead next."""

    heir: SimulatedNode

    def __init__(self, hand: Hand, leader: SimulatedNode) -> None:
        self._hand, self._leader = hand, leader
        self.cluster, self.world = hand.cluster, hand.world

    def others(self) -> list[SimulatedNode]:
        """The nodes that the leader reaches."""
        return [node for node in self.cluster.live if node is not self._leader and self._leader.reaches(node)]

    def look(self, act: Callable[[], bool], attempts: int) -> None:
        """Try this again and again, until it was done."""
        if not self._hand.stopped and attempts and not act():
            self.world.after(LOOK, lambda: self.look(act, attempts - 1))

    def campaign(self) -> None:
        """The heir stands for election as soon as the others have missed their leader for long enough."""
        silence = self.cluster.options.silence
        for number in range(20):
            self.world.after((0.9 + 0.02 * number) * silence, self._campaign_once)

    def _campaign_once(self) -> None:
        raft = self.heir.raft
        if not self._hand.stopped and raft is not None and isinstance(state_of(raft).role, Follower):
            self.heir.receive(Campaign())


class CutInTwo(Chain):
    """Of what a follower asks for the first part reaches one other, who leads next; the rest is lost (R177)."""

    def begin(self) -> None:
        """Begin it, if there are enough nodes and batches are small."""
        cluster, leader, others = self.cluster, self._leader, self.others()
        if len(others) < 2 or leader.raft is None or cluster.options.max_batch_bytes > SMALL_BATCH:
            return
        asking, self.heir = self.world.random.sample(others, 2)
        self._end = state_of(leader.raft).log.last_index
        for other in cluster.nodes:
            if other not in (leader.id, self.heir.id):
                cluster.network.blocked[leader.id, other] = None
        self.world.note(asking.id, "asks for something that is cut in two")
        asking.receive(Propose(*cluster.clients.together(asking.id, 2, b"." * SMALL_BATCH)))
        self.look(self._cut, 2000)

    def _cut(self) -> bool:
        """From when the first part has arrived on, nothing of the leader arrives anywhere."""
        state = state_of(self.heir.raft) if self.heir.raft is not None else None
        if state is None or state.log.last_index == self._end:
            return False
        self.cluster.network.blocked[self._leader.id, self.heir.id] = None
        self.campaign()
        self.world.after(0.9 * self.cluster.options.silence, lambda: self.look(self._let_back, 6000))
        return True

    def _propose(self) -> None:
        self.cluster.propose(self.heir)

    def _let_back(self) -> bool:
        """The one who led hears of its successor at once, and says what has become of the proposal."""
        if self.heir not in self.cluster.leaders:
            return False
        self.world.note(self.heir.id, "leads, with the first part alone")
        self.cluster.network.blocked.clear()
        for number in range(8):
            self.world.after(0.01 * number, self._propose)
        return True


class FetchEndsLate(Chain):
    """What a node lacks comes late, when it is fetching a snapshot of that already; and the fetch ends, in whatever
    way, when that node stands for election, or leads: when it has this `role` (faults F78, F84)."""

    def begin(self, role: type[Candidate | Leader]) -> None:
        """Begin it, if there are snapshots, and enough voters to elect another leader."""
        leader, network = self._leader, self.cluster.network
        if leader.raft is None or not self.cluster.options.snapshot_interval:
            return
        voters = state_of(leader.raft).configuration.voter_ids
        others = [node for node in self.others() if node.id in voters]
        if len(others) < 2:
            return
        self._role, self.heir, self._fails = role, self.world.random.choice(others), self.world.chance(0.5)
        self.world.note(self.heir.id, "gets its appends late, and fetches slowly")
        self.heir.snapshots.held = True
        network.hold(AppendEntries, self.heir.id, APPENDS_LATE)
        network.blocked[self.heir.id, leader.id] = None
        self.cluster.propose(leader)
        self.world.after(0.003, lambda: network.hold(AppendEntries, self.heir.id, APPENDS_LATE + 0.3))  # the commit
        self.world.after(0.1, lambda: self.look(self._forget, 7000))
        self.world.after(FETCH_ENDS, self.heir.snapshots.let_go)

    def _forget(self) -> bool:
        """When the leader has missed the heir for long enough, it does not keep what that one needs (F88)."""
        state = state_of(self._leader.raft) if self._leader.raft is not None else None
        progress = state.role.progress if state is not None and isinstance(state.role, Leader) else {}
        if self._leader.raft is None or self.heir.id not in progress or progress[self.heir.id].reachable:
            return False
        self._leader.snapshots.take(self._leader.raft, everything=True)
        self.look(self._let_offer, 5000)
        return True

    def _let_offer(self) -> bool:
        """When the log is gone, the heir is heard again, and what it was sent is taken for lost."""
        log = state_of(self._leader.raft).log if self._leader.raft is not None else None
        if log is None or log.base_index < log.last_index:
            return False
        self.cluster.network.blocked.clear()
        self._leader.receive(PeerUnreachable(self.heir.id))
        self.look(self._strand_leader, 15000)
        return True

    def _strand_leader(self) -> bool:
        """As soon as the heir has what it fetches, and does not know that it is committed, the leader is cut off."""
        state = state_of(self.heir.raft) if self.heir.raft is not None else None
        snapshot = state.fetching.snapshot if state is not None and state.fetching is not None else None
        if state is None or snapshot is None or not state.log.matches(snapshot.index, snapshot.term):
            return False
        keep_only(self.cluster, self._leader, [])
        self.campaign()
        self.look(self._end_fetch, 20000)
        return True

    def _end_fetch(self) -> bool:
        raft = self.heir.raft
        if raft is None or not isinstance(state_of(raft).role, self._role):
            return False
        self.world.note(self.heir.id, "ends its fetch late, as a", self._role.__name__)
        self.cluster.network.blocked.clear()
        self.heir.snapshots.let_go(failing=self._fails)
        return True


def cut_in_two(hand: Hand, leader: SimulatedNode) -> None:
    """A proposal of two commands, of which the second is lost."""
    CutInTwo(hand, leader).begin()


def fetch_ends_for_candidate(hand: Hand, leader: SimulatedNode) -> None:
    """A fetch that ends when its node stands for election."""
    FetchEndsLate(hand, leader).begin(Candidate)


def fetch_ends_for_leader(hand: Hand, leader: SimulatedNode) -> None:
    """A fetch that ends when its node leads already."""
    FetchEndsLate(hand, leader).begin(Leader)


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
    "fetch ends for a candidate": fetch_ends_for_candidate,
    "fetch ends for a leader": fetch_ends_for_leader,
}
"""All of them. Each does nothing where the options do not allow it."""
