"""Administrators who change the members, hand leadership over, and do not wait for each other.

Law: *whatever is asked for, and whoever dies meanwhile, the cluster stays one*: what a change must not do, the core
refuses.
"""

from collections.abc import Callable
from functools import partial

from rafty_core import Campaign, Change, Configuration, Member, TimeoutNow
from rafty_core.invariants import state_of
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.node import SimulatedNode

NAMES = [f"n{number}" for number in range(1, 8)]
"""Who may ever be a member: small enough that all sets of them can be looked at."""


class Churn:
    """Asks for changes that make sense, and for some that do not."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.cluster, self.world = hand.cluster, hand.world

    def change(self) -> None:
        """Ask a node, most often the leader, for some change; another may follow at once, or a crash."""
        node = self._somebody()
        if node is not None:
            self.change_at(node)
        if self.world.chance(0.4):
            self.world.after(self.world.random.uniform(0, 0.02), self._again)
        if self.world.chance(0.3):
            self.world.after(self.world.random.uniform(0, 0.3), self._kill_leader)

    def change_at(self, node: SimulatedNode, force: float = 0.4) -> None:
        """Ask this node for some change; `force` is how often it is forced."""
        if node.raft is None:
            return
        draw, state = self.world.random, state_of(node.raft)
        changes = self._some_changes(state.configuration)
        if changes:
            options: dict[str, object] = {"force": self.world.chance(force)}
            if self.world.chance(0.3):
                options["based_on"] = state.log.configurations.index if self.world.chance(0.7) else draw.randint(1, 9)
            if self.cluster.options.lease and self.world.chance(0.3):
                options["lease"] = self.cluster.options.promise if self.world.chance(0.8) else None
            self.cluster.calls.change(node, changes, **options)

    def transfer(self) -> None:
        """Ask a node to hand over, to somebody or to anybody."""
        node = self._somebody()
        if node is not None and self.world.chance(0.5):
            self._tell_too_late(node)
        elif node is not None:
            target = self.world.random.choice([None, *self.cluster.nodes])
            self.cluster.calls.transfer(node, target, self.world.random.choice((0.0, 0.0, 0.1, 2.0)))

    def _tell_too_late(self, leader: SimulatedNode) -> None:
        """A transfer whose `TimeoutNow` arrives when the leader leads on, and has new entries; or leads no more (F27,
        F138). The target does not hear of the entries before."""
        others = [other.id for other in self.cluster.live if other is not leader]
        if not others:
            return
        draw, target, late = self.world.random, self.world.random.choice(others), self.world.random.uniform(0.3, 0.55)
        self.cluster.network.hold(TimeoutNow, leader.id, late)
        self.cluster.calls.transfer(leader, target, 0.2)
        self._later(0.19, lambda: self.cluster.network.blocked.update({(leader.id, target): None}))
        self._later(late - 0.01, lambda: self.cluster.network.blocked.pop((leader.id, target), None))
        for _ in range(draw.randint(2, 5)):
            self._later(draw.uniform(0.21, late), lambda: self._propose(leader))
            self._later(draw.uniform(0.21, late + 0.2), lambda: self.cluster.calls.read(leader, "lease"))
        if self.world.chance(0.4):
            self.cluster.network.hold(TimeoutNow, leader.id, draw.uniform(0.5, 2.5))
            self._later(0.21, lambda: self.hand.crash_one(leader))

    def part_halves(self, node: SimulatedNode) -> None:
        """While the configuration is joint, only the one half of it is reached, or most of both halves together."""
        state = state_of(node.raft) if node.raft is not None else None
        if state is None or not state.configuration.is_joint:
            return
        draw, cluster, now = self.world.random, self.cluster, state.configuration
        kept = set(draw.choice((now.voter_ids, now.outgoing_ids)))
        if self.world.chance(0.3):
            kept = set(draw.sample(now.all_voter_ids, len(now.all_voter_ids) // 2 + 1))
        kept.update(leader.id for leader in cluster.leaders)
        self.world.note("network", "is left with", sorted(kept))
        for one in cluster.nodes:
            for other in cluster.nodes:
                if one not in kept and other in kept:
                    cluster.network.blocked[one, other] = cluster.network.blocked[other, one] = None
        for leader in cluster.leaders:
            for wait in (0.05, 0.3):
                self._later(wait, partial(self._propose, leader))
                self._later(wait, partial(cluster.calls.read, leader, "linearizable"))
        if self.world.chance(0.4):
            wait = draw.uniform(0, 0.1)
            self._later(wait, self._kill_leader)
            for name in sorted(kept):
                self._later(wait + draw.uniform(0.4, 0.9), partial(cluster.nodes[name].receive, Campaign()))
        self._later(draw.uniform(0.7, 1.8), cluster.network.blocked.clear)

    def strand_with_change(self, leader: SimulatedNode) -> None:
        """A leader alone has a change behind other entries, and what comes instead it gets as a snapshot (F59)."""
        cluster = self.cluster
        for other in cluster.nodes:
            if other != leader.id:
                cluster.network.blocked[leader.id, other] = cluster.network.blocked[other, leader.id] = None
        for _ in range(self.world.random.randint(2, 6)):
            self._propose(leader)
        if self.world.chance(0.6):
            moved = self.world.random.choice(list(cluster.nodes))
            self._later(0.05, lambda: cluster.calls.change(leader, [self._made("update", moved)]))
        else:
            self._later(0.05, lambda: self.change_at(leader, 1.0))

        def press() -> None:
            for other in cluster.leaders:
                if other is not leader:
                    self._propose(other)

        def compact() -> None:
            for other in cluster.live:
                if other is not leader and other.raft is not None:
                    other.snapshots.take(other.raft, everything=True)

        heal = self.world.random.uniform(1.0, 1.8)
        self._later(heal - 0.2, press)
        self._later(heal - 0.1, compact)
        self._later(heal, cluster.network.blocked.clear)

    def _propose(self, node: SimulatedNode) -> None:
        if node.raft is not None:
            self.cluster.propose(node)

    def _later(self, delay: float, action: Callable[[], object]) -> None:
        def act() -> None:
            if not self.hand.stopped:
                action()

        self.world.after(delay, act)

    def _again(self) -> None:
        if not self.hand.stopped:
            self.change()

    def _kill_leader(self) -> None:
        leaders = self.cluster.leaders
        if leaders and not self.hand.stopped:
            self.hand.crash_one(self.world.random.choice(leaders))

    def _somebody(self) -> SimulatedNode | None:
        """A leader, most often."""
        nodes = self.cluster.leaders if self.world.chance(0.85) else self.cluster.live
        return self.world.random.choice(nodes) if nodes else None

    # ------------------------------------------------------------------ changes

    def _some_changes(self, now: Configuration) -> list[Change]:
        draw = self.world.random
        members = [member.id for member in now.members] or NAMES[:1]
        a_member = draw.choice(members)
        kind = draw.choice(("add", "add", "remove", "replace", "swap", "demote", "promote", "update", "nobody"))
        if self.world.chance(0.25):
            kind = draw.choice(("impostor", "return"))
        if kind == "remove" and len(now.voters) < 3 and self.world.chance(0.8):
            kind = "add"
        if kind in ("add", "replace", "swap"):
            changes = [self._addition(now, "add_voter" if self.world.chance(0.8) else "add_learner")]
            if kind == "swap":
                changes.append(self._addition(now, "add_voter"))
            if kind != "add":
                changes.insert(draw.randint(0, 1), self._made("remove", a_member))
            return [change for change in changes if change is not None]
        if kind == "promote" and now.learners:
            return [self._made("add_voter", draw.choice(now.learners).id)]
        if kind == "nobody":
            return [self._made("remove", draw.choice(NAMES))]
        known = [member.id for member in now.members if member.incarnation]
        if kind == "impostor" and known:
            return [self._made("add_voter", draw.choice(known), "another")]
        if kind == "return" and now.removed:
            gone = draw.choice(now.removed[-5:])
            return [self._made("add_voter", gone.id, gone.incarnation)]
        if kind in ("impostor", "return"):
            kind = "update"
        return [self._made({"demote": "add_learner", "promote": "add_voter"}.get(kind, kind), a_member)]

    def _made(self, kind: str, node_id: str, incarnation: str = "") -> Change:
        """A change that leaves its mark in the address, so that it can be told from all others."""
        self.cluster.calls.addresses += 1
        address = "" if kind == "remove" else f"{node_id}:{self.cluster.calls.addresses}"
        return Change(kind, Member(node_id, address, incarnation))  # type: ignore[arg-type]

    def _addition(self, now: Configuration, kind: str) -> Change | None:
        """A node that is no member anywhere; one of that name that was removed comes back with an empty directory."""
        ghost = self.cluster.invariants.ghost
        taken = {member.id for member in [*now.members, *ghost.configurations[-1][1].members]}
        for node in self.cluster.live:
            if node.raft is not None:
                taken.update(member.id for member in _members(state_of(node.raft).configuration))
        free = [name for name in NAMES if name not in taken]
        if not free:
            return None
        name = self.world.random.choice(free)
        joining = self.cluster.nodes.get(name)
        removed = {(gone.id, gone.incarnation) for gone in ghost.configurations[-1][1].removed}
        if joining is None or joining.gone or (joining.id, joining.incarnation) in removed:
            joining = self.cluster.join(name)
            joining.slowness = self.world.random.choice((1.0, 1.0, 20.0))
            delay = self.world.random.choice((0.0, 0.0, 0.5, 8.0))
            if self.world.chance(0.15):
                joining.gone = True  # nobody ever starts it
            self.world.after(delay, lambda: self._start(joining))
        return self._made(kind, name, joining.incarnation)

    def bring_back(self, leader: SimulatedNode, name: str, kind: str = "add_voter") -> None:
        """Ask this leader to take in a node of this name, one that begins anew; if that is no member any more."""
        now = state_of(leader.raft).configuration if leader.raft is not None else None
        settled = leader.raft.committed_configuration if leader.raft is not None else None
        if now is None or settled is not now or not now.at_rest or now.member(name) is not None:
            return
        joining = self.cluster.join(name)
        self._start(joining)
        self.cluster.calls.change(leader, [self._made(kind, name, joining.incarnation)], force=True)

    def _start(self, node: SimulatedNode) -> None:
        if node.raft is None and not node.gone and not self.hand.stopped:
            node.start()


def _members(configuration: Configuration) -> list[Member]:
    goal = configuration.goal
    return [*configuration.members, *(goal.members if goal is not None else ())]
