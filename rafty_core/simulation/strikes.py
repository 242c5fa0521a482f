"""What strikes one node at a named point: as a failing machine would, as a network, or as its clients.

Law: *each strike is small, and ends by itself.*
"""

from collections.abc import Callable, Sequence

from rafty_core import Campaign, PreVote, RequestVote
from rafty_core.invariants import state_of
from rafty_core.messages import (
    MESSAGE_TYPES,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    HeartbeatResponse,
    ReadIndexRequest,
    ReadIndexResponse,
)
from rafty_core.sessions import Sessions
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.mistakes import ask_in_vain, err_as_driver
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.stories import LONGEST_LOG
from rafty_core.simulation.wrong_sessions import err_with_sessions


class Strikes:
    """All that may strike a node; `kinds` names them, some more than once."""

    def __init__(self, hand: Hand, churn: Churn) -> None:
        self.hand, self._churn = hand, churn
        self.cluster, self.world = hand.cluster, hand.world
        self.kinds: Sequence[Callable[[SimulatedNode], None]] = (
            hand.crash_one,
            self._crash_soon,
            self._crash_soon,
            self._cut_off,
            self._cut_off,
            self._divide_from,
            self._freeze,
            self._press,
            self._hand_over,
            self._change_something,
            self._let_other_campaign,
            self._snapshot_here,
            self._repeat_to,
            self._stall_disk,
            self._hold_back,
            self.bounce,
            self._relive,
            self.ask_as_stranger,
            self.err,
        )

    def _crash_soon(self, node: SimulatedNode) -> None:
        """What left with this step is on its way, what it writes may be on the disk or not."""
        delay = self.world.random.choice((0.0, 0.0, 0.001, 0.02)) * self.world.random.uniform(0.5, 1.5)
        self.world.after(delay, lambda: None if self.hand.stopped else self.hand.crash_one(node))

    def _cut_off(self, node: SimulatedNode) -> None:
        both = self.world.chance(0.5)
        deaf = both or self.world.chance(0.5)
        self.hand.isolate(node, deaf=deaf, mute=both or not deaf)
        self.hand.later(0.3, 2.0, self.hand.heal)

    def _divide_from(self, node: SimulatedNode) -> None:
        """It keeps one neighbour, in one direction or both."""
        others = [other for other in self.cluster.nodes if other != node.id]
        if not others:
            return
        friend = self.world.random.choice(others)
        self.world.note(node.id, "is left with", friend)
        for one in (node.id, friend):
            for other in others:
                if other not in (node.id, friend):
                    self.cluster.network.blocked[one, other] = None
                    if self.world.chance(0.7):
                        self.cluster.network.blocked[other, one] = None
        self.hand.later(0.3, 2.0, self.hand.heal)

    def _freeze(self, node: SimulatedNode) -> None:
        if not node.paused:
            node.pause(True)
            self.hand.later(0.05, 1.5, lambda: node.pause(False) if node.paused else None)

    def _press(self, node: SimulatedNode) -> None:
        """Clients come to this node, all at once."""
        for _ in range(self.world.random.randint(1, 6)):
            if self.world.chance(0.5) and node.raft is not None and node.raft.status().last_index < LONGEST_LOG:
                self.cluster.propose(node)
            else:
                self.cluster.calls.read(node, self.world.random.choice(("linearizable", "lease", "at_least")))

    def _hand_over(self, node: SimulatedNode) -> None:
        leaders = self.cluster.leaders
        if leaders:
            timeout = self.world.random.choice((0.0, 0.1))
            self.cluster.calls.transfer(self.world.random.choice(leaders), node.id, timeout)

    def _change_something(self, node: SimulatedNode) -> None:
        if self.cluster.options.churn_interval:
            self._churn.change()

    def _let_other_campaign(self, node: SimulatedNode) -> None:
        others = [other for other in self.cluster.live if other is not node]
        if others:
            self.world.random.choice(others).receive(Campaign())

    def _snapshot_here(self, node: SimulatedNode) -> None:
        if node.raft is not None and self.cluster.options.snapshot_interval:
            node.snapshots.take(node.raft)

    def _repeat_to(self, node: SimulatedNode) -> None:
        """What was said to this node before is said again, now or in its next life."""
        if self.world.chance(0.5):
            self.hand.crash_one(node)
        self.cluster.network.repeat_to(node.id)

    def _hold_back(self, node: SimulatedNode) -> None:
        """Messages of one kind, from or to this node, take a while longer than all others."""
        kind = self.world.random.choice(MESSAGE_TYPES)
        self.cluster.network.hold(kind, node.id, self.world.random.uniform(0.1, 1.5))

    def bounce(self, node: SimulatedNode) -> None:
        """Leadership goes from the leader to another and back, while something that was sent to it is on its way."""
        leaders = self.cluster.leaders
        others = [other.id for other in self.cluster.live if other not in leaders]
        if not leaders or not others:
            return
        leader, other = self.world.random.choice(leaders), self.world.random.choice(others)
        for kind in (ForwardedProposal, ReadIndexRequest, HeartbeatResponse, AppendEntriesResponse):
            if self.world.chance(0.6):
                self.cluster.network.hold(kind, leader.id, self.world.random.uniform(0.2, 0.8))
        self.cluster.calls.transfer(leader, other, 0.0)
        back = self.world.random.uniform(0.05, 0.4)

        def go_back() -> None:
            self.cluster.calls.transfer(self.cluster.nodes[other], leader.id, 0.0)

        self.hand.later(back, back, go_back)

    def _relive(self, node: SimulatedNode) -> None:
        """It ends with open questions, and asks as many in its next life before the answers come (fault F140)."""
        if node.raft is None:
            return
        longest = self.world.random.uniform(0.12, 0.4)
        for kind in (ForwardedProposalResponse, ReadIndexResponse):
            self.cluster.network.hold(kind, node.id, longest)
        node.crash()
        node.start()
        for number in range(8):
            self.hand.later(0.03 * number, 0.05 * number, lambda: self._press(node))

    def ask_as_stranger(self, node: SimulatedNode) -> None:
        """Somebody whom this node's configuration does not name asks for its vote, as a newer one might (F141)."""
        if node.raft is None:
            return
        picture = node.raft.status()
        log = state_of(node.raft).log
        index, term = picture.last_index, log.term(picture.last_index)
        end = self.world.random.choice(((index, term), (index, term), (index + 5, max(0, term - 1)), (index - 1, term)))
        if end[0] >= end[1]:
            transfer = self.world.chance(0.5)
            node.receive(PreVote("stranger", node.id, picture.term + 1, *end))
            node.receive(RequestVote("stranger", node.id, picture.term + 1, *end, transfer))

    def err(self, node: SimulatedNode) -> None:
        """Its driver tells it what cannot be (fault F82)."""
        if node.raft is not None and not node.paused:
            self.world.note(node.id, "is told something wrong by its driver")
            err_as_driver(node.raft, state_of(node.raft))
            machine = node.application.machine if node.application is not None else None
            if isinstance(machine, Sessions) and hasattr(machine, "snapshot"):
                err_with_sessions(machine, node.id, self.world.wrong)
            self.world.after(0.0, lambda: self._ask_in_vain(node))  # what this step has said is carried out by then

    def _ask_in_vain(self, node: SimulatedNode) -> None:
        if node.raft is not None and not node.paused:
            output = ask_in_vain(node.raft, state_of(node.raft))
            if output is not None:
                self.cluster.invariants.stepped(node.raft, output)
                node.carry_out(output)

    def _stall_disk(self, node: SimulatedNode) -> None:
        node.disk.slowness = 100.0
        self.hand.later(0.3, 1.0, lambda: self.hand.speed_up(node))
