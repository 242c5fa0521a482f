"""What goes wrong, when, and how it is put right.

Law: *every fault is drawn from the seed, lasts a while, and can be undone at once.*
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import TypeVar
from zlib import crc32

from rafty_core import Campaign
from rafty_core.simulation.behind import late_appends, leave_behind, leave_behind_twice
from rafty_core.simulation.broken_promises import forget_promise, freeze_leader, keep_one_half, starve
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.intrigues import Intrigues
from rafty_core.simulation.late import LATE, Late
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.points import POINTS
from rafty_core.simulation.stories import LONGEST_LOG, Stories
from rafty_core.simulation.strikes import Strikes

MOST_STRIKES_AT_POINTS = 40
"""So many strikes at named points a run has at most: a cluster must also get on."""


Kind = TypeVar("Kind", bound=Callable[..., None])


def _name(kind: Callable[..., None]) -> str:
    return getattr(kind, "__name__", "").strip("_")


BETWEEN_STRAGGLERS = 1.2
"""Seconds, on average, until another node is left behind, where there are snapshots."""

BETWEEN_INTRIGUES = 4.0
"""Seconds, on average, until another chain of changes and faults is aimed at a leader."""


class Nemesis:
    """Breaks something every now and then, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.hand = Hand(cluster)
        self.struck: list[str] = []
        """The names of all strikes so far: what went wrong, what a client or an administrator did."""
        focus = random.Random(f"focus {cluster.options.seed}")
        self._churn = Churn(self.hand)
        self._strikes = Strikes(self.hand, self._churn)
        self._focus = {point for point in POINTS if focus.random() < 0.3}
        self._reached: Counter[tuple[str, str]] = Counter()
        self._stories = Stories(self.hand)
        self.hand.busy = lambda: self._stories.going_on
        self._intrigues = Intrigues(self.hand, self._churn, self._stories)
        self._late = Late(cluster, self.strike)
        self._left = MOST_STRIKES_AT_POINTS
        cluster.strike_at = self._strike_at

    def start(self) -> None:
        """Begin to break things, and let clients propose."""
        options, churn = self.cluster.options, self._churn
        share = 2 if self.cluster.callers.callers else 1  # callers propose and read, too
        for interval, action in (
            (options.fault_interval, self._break_something),
            (share * options.proposal_interval, self._propose),
            (share * options.read_interval, self._read),
            (options.snapshot_interval, self._take_snapshot),
            (BETWEEN_STRAGGLERS if options.snapshot_interval and self._may("leave_behind") else 0, self._leave_behind),
            (BETWEEN_INTRIGUES if self._may("intrigue") else 0, self._intrigue),
            (options.churn_interval, churn.change),
            (options.transfer_interval, churn.transfer),
        ):
            if interval:
                self._again(interval, action)

    def repair(self) -> None:
        """Undo every fault: all nodes run at full speed, and all of them reach each other."""
        self.hand.stopped = True
        self.cluster.over = True
        self.cluster.network.calm_down()
        for node in self.cluster.nodes.values():
            node.disk.calm()
            node.disk.slowness = node.slowness = 0.1
            if node.gone:
                continue
            if node.raft is None:
                node.start()
            elif node.paused:
                node.pause(False)
            node.halt_machine(False)

    # ---------------------------------------------------------------- rhythm

    def _again(self, interval: float, action: Callable[[], None]) -> None:
        name = action.__name__.strip("_")
        rhythm = random.Random(f"rhythm {self.cluster.options.seed} {name}")
        numbers = count(1)

        def act() -> None:
            if not self.hand.stopped:
                self.strike(f"{name} {next(numbers)}", action)
                self.world.after(rhythm.expovariate(1 / interval), act)

        self.world.after(rhythm.expovariate(1 / interval), act)

    def strike(self, name: str, action: Callable[[], None]) -> None:
        """Do this, unless the options keep others only. What it draws is its own, and so is its time: without it all
        others stay what they are."""
        kept = self.cluster.options.kept
        if kept is not None and name not in kept:
            return
        self.struck.append(name)
        self.world.note("nemesis", "strikes:", name)
        others = self.world.random
        self.world.random = random.Random(f"strike {self.cluster.options.seed} {name}")
        try:
            action()
        finally:
            self.world.random = others

    def _propose(self) -> None:
        node = self.world.random.choice(self.cluster.there)
        longest = max((other.raft.status().last_index for other in self.cluster.live if other.raft), default=0)
        if node.raft is not None and longest < LONGEST_LOG and not self._stories.going_on:
            self.cluster.propose(node)

    def _read(self) -> None:
        node = self.world.random.choice(self.cluster.there)
        if node.raft is not None:
            modes = ("linearizable", "linearizable", "lease", "lease", "at_least")
            self.cluster.calls.read(node, self.world.random.choice(modes))

    def _take_snapshot(self) -> None:
        node = self.world.random.choice(self.cluster.there)
        if node.raft is not None:
            node.snapshots.take(node.raft)

    def _break_something(self) -> None:
        kinds = (self._divide, self._cut_link, self._isolate, self._crash, self._crash, self._crash_all)
        more = (self._pause, self._slow, self._campaign, self._strand_leader, self._strand_leader, self._strand_leader)
        stories = (
            self._stories.succession,
            self._stories.overtaken,
            self._stories.overtaken,
            self._stories.contest,
            self._stories.lagging_disk,
            self._stories.lagging_disk,
            self._meet_stranger,
            self._err,
            self._intrigue,
            *(self._leave_behind,) * 3,
        )
        kind = self._choose((*kinds, *more, self._freeze_leader, self._freeze_leader, self._forget_promise, *stories))
        if kind is not None:
            kind()

    def _choose(self, kinds: Sequence[Kind]) -> Kind | None:
        """One of these faults, if the options allow any."""
        allowed = [kind for kind in kinds if self._allows(_name(kind))]
        return self.world.random.choice(allowed) if allowed else None

    def _allows(self, kind: str) -> bool:
        return not self.cluster.options.kinds or kind in self.cluster.options.kinds

    def _may(self, kind: str) -> bool:
        """Whether this fault may come by itself: in a perfect world none does."""
        return self.cluster.options.fault_interval > 0 and self._allows(kind)

    def _any_node(self) -> SimulatedNode:
        leaders, nodes = self.cluster.leaders, self.cluster.there
        return self.world.random.choice(leaders if leaders and self.world.chance(0.4) else nodes)

    # ------------------------------------------------------------ at a point

    def _strike_at(self, node: SimulatedNode, point: str) -> None:
        """A step of this node has just reached a named point, and nothing of it has left yet."""
        if self.hand.stopped:
            return
        self._reached[node.id, point] += 1
        name = f"{node.id} {point} {self._reached[node.id, point]}"
        if point in LATE and self._allows("late"):
            self._late.at(node, point, name, self._chance_of(f"{name}, late"))
        if point == "enters joint":
            chance = self._chance_of(f"{name}, halves")
            if chance < 0.15:
                self.strike(f"{name}, halves", partial(self._churn.part_halves, node))
            elif chance < 0.6:
                self.strike(f"{name}, halves", partial(self._keep_one_half, node))
        if point == "leaves joint" and self._chance_of(f"{name}, return") < 0.3:
            self.strike(f"{name}, return", partial(self._intrigues.return_at_once, node))
        self._aim_at_lease(node, point, name)
        if point == "forwards a proposal" and self._chance_of(f"{name}, bounce") < 0.01:
            self.strike(f"{name}, bounce", partial(self._strikes.bounce, node))
        if self._left > 0 and point in self._focus and self._chance_of(name) < self.cluster.options.striking:
            self._left -= 1
            self.strike(name, partial(self._strike_node, node, point))

    def _aim_at_lease(self, node: SimulatedNode, point: str, name: str) -> None:
        if not self.cluster.options.lease:
            return
        chance = self._chance_of(f"{name}, lease")
        if point in ("leads", "enters joint", "leaves joint") and chance < 0.2:
            self.strike(f"{name}, lease", partial(self._starve, node))
        elif point == "serves a read" and chance < 0.02:
            self.strike(f"{name}, lease", self._forget_promise)

    def _chance_of(self, name: str) -> float:
        """A number in [0, 1) that is this strike's own, whatever else happens."""
        return crc32(f"{self.cluster.options.seed} {name}".encode()) / 2**32

    def _strike_node(self, node: SimulatedNode, point: str) -> None:
        """Strike it down at once, a moment later, or leave it alive and cut off, or do to it what a client might."""
        kind = self._choose(self._strikes.kinds)
        if kind is not None:
            self.world.note(node.id, f"is struck as it {point}:", _name(kind).replace("_", " "))
            kind(node)

    # ---------------------------------------------------------------- faults

    def _divide(self) -> None:
        one_way = self.world.chance(0.3)
        side = {node: self.world.chance(0.5) for node in self.cluster.nodes}
        self.world.note("network", "divides", side)
        for a, in_a in side.items():
            for b, in_b in side.items():
                if in_a and not in_b:
                    self.cluster.network.blocked[a, b] = None
                    if not one_way:
                        self.cluster.network.blocked[b, a] = None
        self.hand.later(0.3, 2.5, self.hand.heal)

    def _cut_link(self) -> None:
        a, b = (self.world.random.choice(list(self.cluster.nodes)) for _ in range(2))
        self.world.note("network", "loses a link", (a, b))
        self.cluster.network.blocked[a, b] = None
        self.hand.later(0.3, 4, self.hand.heal)

    def _isolate(self) -> None:
        self.hand.isolate(self._any_node(), deaf=self.world.chance(0.7), mute=self.world.chance(0.7))
        self.hand.later(0.3, 2.5, self.hand.heal)

    def _strand_leader(self) -> None:
        """Leave a leader alone, or with one other node, and with more and more that is not committed."""
        leaders = self.cluster.leaders
        if not leaders:
            return
        leader = self.world.random.choice(leaders)
        if self.cluster.options.churn_interval and self.world.chance(0.3):
            self._churn.strand_with_change(leader)
            return
        others = [other for other in self.cluster.nodes if other != leader.id]
        self.world.random.shuffle(others)
        cut_off = others[self.world.random.randint(0, 1) :]
        self.world.note(leader.id, "is stranded, without", cut_off)
        for other in cut_off:
            self.cluster.network.blocked[leader.id, other] = None
            if self.world.chance(0.5):
                self.cluster.network.blocked[other, leader.id] = None
        for _ in range(self.world.random.randint(1, 6)):
            self.cluster.propose(leader)
        if self.world.chance(0.3):
            self.hand.later(0.005, 0.1, lambda: self.hand.crash_one(leader))
        if self.world.chance(0.3):
            self.hand.later(0.3, 1.0, self.cluster.network.repeat_requests)
        self.hand.later(0.5, 1.5, self.hand.heal)

    def _crash(self) -> None:
        self.hand.crash_one(self._any_node())

    def _crash_all(self) -> None:
        for node in self.cluster.live:
            self.hand.crash_one(node)

    def _pause(self) -> None:
        node = self._any_node()
        if node.raft is not None and not node.paused:
            node.pause(True)
            self.hand.later(0.05, 2.0, lambda: node.pause(False) if node.paused else None)

    def _freeze_leader(self) -> None:
        freeze_leader(self.hand)

    def _keep_one_half(self, leader: SimulatedNode) -> None:
        delay = self.world.random.choice((0.0, 0.0, 0.02))
        self.world.after(delay, lambda: None if self.hand.stopped else self._keep_one_half_now(leader))

    def _keep_one_half_now(self, leader: SimulatedNode) -> None:
        if keep_one_half(self.cluster, leader):
            self.hand.later(0.3, 1.5, self.hand.heal)

    def _starve(self, leader: SimulatedNode) -> None:
        starve(self.cluster, leader)
        self.hand.later(1.2, 1.5, self.hand.heal)

    def _meet_stranger(self) -> None:
        self._strikes.ask_as_stranger(self._any_node())

    def _err(self) -> None:
        self._strikes.err(self._any_node())

    def _intrigue(self) -> None:
        self._intrigues.begin()

    def _leave_behind(self) -> None:
        story = self.world.random.choice((leave_behind, leave_behind, leave_behind_twice, late_appends, late_appends))
        if story is not leave_behind and not self._stories.going_on:
            self._stories.keep_quiet(2.6 if story is leave_behind_twice else 1.0)
        self._begin_story(story, 3)

    def _begin_story(self, story: Callable[[Cluster], bool], attempts: int) -> None:
        """Where nobody leads, the network heals first."""
        if story(self.cluster) or attempts == 0 or self.hand.stopped:
            return
        if not self.cluster.leaders:
            self.hand.heal()
            self.world.after(0.8, lambda: self._begin_story(story, attempts - 1))

    def _forget_promise(self) -> None:
        if forget_promise(self.cluster, self._any_node()):
            self.hand.later(0.7, 1.0, self.hand.heal)

    def _slow(self) -> None:
        node = self._any_node()
        node.disk.slowness = self.world.random.choice((1, 3, 10))
        node.slowness = self.world.random.choice((1, 5, 20))
        self.hand.later(0.5, 4, lambda: self.hand.speed_up(node))

    def _campaign(self) -> None:
        node = self._any_node()
        if node.raft is not None:
            node.receive(Campaign())
