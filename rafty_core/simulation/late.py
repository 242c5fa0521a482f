"""What comes late, at the moment when it hurts most: the end of a fetch, an offer, word on another fetch.

Law: *what a node waited for may come when it is something else by then.*

A fetch that hangs ends as its node asks for pre-votes, stands for election or leads; an offer of a snapshot comes once
more as its receiver stands for election (faults F84, F77).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from rafty_core import (
    Campaign,
    Change,
    InstallSnapshot,
    InstallSnapshotResponse,
    SnapshotFailed,
    SnapshotReceived,
    TimeoutNow,
)
from rafty_core.invariants import state_of
from rafty_core.roles import Leader
from rafty_core.simulation.broken_promises import keep_only
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.node import SimulatedNode

ROLES = ("asks for pre-votes", "stands for election", "leads")
LATE = ("begins to fetch", "offers a snapshot", "installs a snapshot", "compacts", "acknowledges", *ROLES)
"""The points at which something may come late."""

LONGEST = 3.0
"""Seconds after which a fetch that hangs goes on."""


class Late:
    """Holds things back, and lets them go. `strike` runs an action as a strike of the nemesis."""

    def __init__(self, cluster: Cluster, strike: Callable[[str, Callable[[], None]], None]) -> None:
        self.cluster, self.world = cluster, cluster.world
        self._strike = strike
        self._held: dict[str, str] = {}  # by node: at which point its fetch goes on

    def at(self, node: SimulatedNode, point: str, name: str, chance: float) -> None:
        """A node has reached this point; `chance` is a number in [0, 1) drawn for it."""
        if point == "begins to fetch":
            kinds = [
                self._hold,
                self._hold,
                self._campaign,
                self._misreport,
                self._repeat_appends,
                *(self._overtake,) * 2,
            ]
            self._strike(f"{name}, late", partial(kinds[int(chance * len(kinds))], node))
        elif point == "offers a snapshot":
            if chance < 0.5:
                act = self._reach_receivers if chance < 0.3 else self._fail_earlier
                self._strike(f"{name}, late", partial(act, node))
        elif point in ROLES:
            if self._held.get(node.id) == point:
                self._let_go(node)
            if chance < 0.3:
                self._strike(f"{name}, late", partial(self._surprise, node))
        elif point == "acknowledges":
            if node.raft is not None and not state_of(node.raft).configuration.voters and chance < 0.5:
                self._strike(f"{name}, late", partial(self._snapshot_early, node))
        elif chance < 0.1:
            self._strike(f"{name}, late", partial(self.cluster.network.repeat_latest, InstallSnapshot, node.id))

    def _surprise(self, node: SimulatedNode) -> None:
        """Whatever a node that stands for election may be told."""
        draw, network = self.world.random, self.cluster.network
        network.repeat_latest(draw.choice((InstallSnapshot, TimeoutNow)), node.id)
        if draw.random() < 0.3 and node.raft is not None:
            target = draw.choice(list(self.cluster.nodes))
            self.cluster.calls.transfer(node, target, 0.1)
            members = state_of(node.raft).configuration.members
            if self.cluster.options.churn_interval and members:
                member = draw.choice(members)
                moved = replace(member, address=f"{member.id} since {self.world.time}")
                self.cluster.calls.change(node, [Change("update", moved)])

    def _snapshot_early(self, node: SimulatedNode) -> None:
        """Who joins takes a snapshot before it has been told who the members are (R51)."""
        if node.raft is not None:
            node.snapshots.take(node.raft)

    def _overtake(self, node: SimulatedNode) -> None:
        """What it lacks comes late, just before the snapshot, and nobody has said yet that it is committed (F78)."""
        fetching = state_of(node.raft).fetching if node.raft is not None else None
        if fetching is not None:
            node.snapshots.held = True
            self.cluster.network.repeat_appends(node.id, fetching.snapshot.index)
            self.world.after(0.006, node.snapshots.let_go)

    def _repeat_appends(self, node: SimulatedNode) -> None:
        self.cluster.network.repeat_appends(node.id)

    def _hold(self, node: SimulatedNode) -> None:
        """The fetch hangs; who offered the snapshot falls silent, and this node is asked to lead."""
        self._held[node.id] = self.world.random.choice(ROLES)
        node.snapshots.held = True
        self.world.note(node.id, "fetches slowly, until it", self._held[node.id])
        self.world.after(LONGEST, lambda: self._let_go(node))
        if self.world.chance(0.5):
            self.cluster.network.repeat_appends(node.id)
        if self.world.chance(0.5):
            for leader in self.cluster.leaders:
                keep_only(self.cluster, leader, [])
            self.world.after(self.world.random.uniform(0.8, 1.5), self._heal)
        for _ in range(3):
            self.world.after(self.world.random.uniform(0, 2.5), lambda: self._press_to_lead(node))

    def _heal(self) -> None:
        if not self.cluster.over:  # who is cut off afterwards stays so
            self.cluster.network.blocked.clear()

    def _let_go(self, node: SimulatedNode) -> None:
        self._held.pop(node.id, None)
        node.snapshots.let_go()

    def _press_to_lead(self, node: SimulatedNode) -> None:
        if node.raft is None or self.cluster.over:
            return
        if self._held.get(node.id) == ROLES[0] or self.world.chance(0.3):
            node.receive(Campaign())
        else:
            for leader in self.cluster.leaders:
                self.cluster.calls.transfer(leader, node.id, 1.0)

    def _campaign(self, node: SimulatedNode) -> None:
        node.receive(Campaign())

    def _reach_receivers(self, leader: SimulatedNode) -> None:
        """Who is offered a snapshot stands for election as the offer comes, or gets the missing entries before it."""
        state = state_of(leader.raft) if leader.raft is not None else None
        for peer, progress in state.role.progress.items() if state and isinstance(state.role, Leader) else ():
            if progress.pending_snapshot and peer in self.cluster.nodes:
                if self.world.chance(0.4):
                    self.cluster.nodes[peer].receive(Campaign())
                else:
                    self.cluster.network.repeat_appends(peer)

    def _fail_earlier(self, leader: SimulatedNode) -> None:
        """Word comes that a snapshot could not be had which was offered before this one (F85)."""
        state = state_of(leader.raft) if leader.raft is not None else None
        for peer, progress in state.role.progress.items() if state and isinstance(state.role, Leader) else ():
            if progress.pending_snapshot > 1 and state is not None:
                index = self.world.random.randint(1, progress.pending_snapshot - 1)
                leader.receive(InstallSnapshotResponse(peer, leader.id, state.term, index))

    def _misreport(self, node: SimulatedNode) -> None:
        """A driver's word on a fetch that it began before this one."""
        fetching = state_of(node.raft).fetching if node.raft is not None else None
        if fetching is None:
            return
        index, term = fetching.snapshot.index, fetching.snapshot.term
        kind = self.world.random.choice((SnapshotReceived, SnapshotFailed))
        node.receive(self.world.random.choice((kind(index, term - 1), kind(index - 1, term))))
