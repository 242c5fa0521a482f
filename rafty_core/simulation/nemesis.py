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
from rafty_core.simulation.behind import late_appends, leave_behind, leave_behind_twice
from rafty_core.simulation.broken_promises import forget_promise, keep_one_half, starve
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.late import LATE, Late
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.points import POINTS
from rafty_core.simulation.stories import LONGEST_LOG, Stories

MOST_STRIKES_AT_POINTS = 40
"""So many strikes at named points a run has at most: a cluster must also get on."""


Kind = TypeVar("Kind", bound=Callable[..., None])


def _name(kind: Callable[..., None]) -> str:
    return getattr(kind, "__name__", "").strip("_")


BETWEEN_STRAGGLERS = 1.2
"""Seconds, on average, until another node is left behind, where there are snapshots."""


class Nemesis:
    """Breaks something every now and then, until it is told to stop."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.stopped = False
        self.struck: list[str] = []
        """The names of all strikes so far: what went wrong, what a client or an administrator did."""
        focus = random.Random(f"focus {cluster.options.seed}")
        self._churn = Churn(self)
        self._focus = {point for point in POINTS if focus.random() < 0.3}
        self._reached: Counter[tuple[str, str]] = Counter()
        self._stories = Stories(cluster, self.isolate, self._heal, self._undo_later)
        self._late = Late(cluster, self._strike)
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
            (BETWEEN_STRAGGLERS if options.snapshot_interval else 0, self._leave_behind),
            (options.churn_interval, churn.change),
            (options.transfer_interval, churn.transfer),
        ):
            if interval:
                self._again(interval, action)

    def repair(self) -> None:
        """Undo every fault: all nodes run at full speed, and all of them reach each other."""
        self.stopped = True
        network = self.cluster.network
        network.blocked.clear()
        network.calm = True
        for node in self.cluster.nodes.values():
            node.disk.calm()
            node.disk.slowness = node.slowness = 0.1
            if node.gone:
                continue
            if node.raft is None:
                node.start()
            elif node.paused:
                node.pause(False)

    def isolate(self, node: SimulatedNode, *, deaf: bool, mute: bool) -> None:
        """Cut what this node hears, or what it says, or both."""
        self.world.note(node.id, "is cut off", ("deaf", deaf, "mute", mute))
        for other in self.cluster.nodes:
            if deaf:
                self.cluster.network.blocked[other, node.id] = None
            if mute:
                self.cluster.network.blocked[node.id, other] = None

    # ---------------------------------------------------------------- rhythm

    def _again(self, interval: float, action: Callable[[], None]) -> None:
        name = action.__name__.strip("_")
        rhythm = random.Random(f"rhythm {self.cluster.options.seed} {name}")
        numbers = count(1)

        def act() -> None:
            if not self.stopped:
                self._strike(f"{name} {next(numbers)}", action)
                self.world.after(rhythm.expovariate(1 / interval), act)

        self.world.after(rhythm.expovariate(1 / interval), act)

    def _strike(self, name: str, action: Callable[[], None]) -> None:
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

    def _undo_later(self, least: float, most: float, undo: Callable[[], None]) -> None:
        """`repair` has undone everything already when the faults are over."""
        self.world.after(self.world.random.uniform(least, most), lambda: None if self.stopped else undo())

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

    def _any_node(self) -> SimulatedNode:
        leaders, nodes = self.cluster.leaders, self.cluster.there
        return self.world.random.choice(leaders if leaders and self.world.chance(0.4) else nodes)

    # ------------------------------------------------------------ at a point

    def _strike_at(self, node: SimulatedNode, point: str) -> None:
        """A step of this node has just reached a named point, and nothing of it has left yet."""
        if self.stopped:
            return
        self._reached[node.id, point] += 1
        name = f"{node.id} {point} {self._reached[node.id, point]}"
        if point in LATE and self._allows("late"):
            self._late.at(node, point, name, self._chance_of(f"{name}, late"))
        if point == "enters joint":
            chance = self._chance_of(f"{name}, halves")
            if chance < 0.15:
                self._strike(f"{name}, halves", partial(self._churn.part_halves, node))
            elif chance < 0.6:
                self._strike(f"{name}, halves", partial(self._keep_one_half, node))
        self._aim_at_lease(node, point, name)
        if self._left > 0 and point in self._focus and self._chance_of(name) < self.cluster.options.striking:
            self._left -= 1
            self._strike(name, partial(self._strike_node, node, point))

    def _aim_at_lease(self, node: SimulatedNode, point: str, name: str) -> None:
        if not self.cluster.options.lease:
            return
        chance = self._chance_of(f"{name}, lease")
        if point in ("leads", "enters joint", "leaves joint") and chance < 0.2:
            self._strike(f"{name}, lease", partial(self._starve, node))
        elif point == "serves a read" and chance < 0.02:
            self._strike(f"{name}, lease", self._forget_promise)

    def _chance_of(self, name: str) -> float:
        """A number in [0, 1) that is this strike's own, whatever else happens."""
        return crc32(f"{self.cluster.options.seed} {name}".encode()) / 2**32

    def _strike_node(self, node: SimulatedNode, point: str) -> None:
        """Strike it down at once, a moment later, or leave it alive and cut off, or do to it what a client might."""
        kinds: Sequence[Callable[[SimulatedNode], None]] = (
            self.crash_one,
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
            self._bounce,
            self._relive,
            self._ask_as_stranger,
        )
        kind = self._choose(kinds)
        if kind is not None:
            self.world.note(node.id, f"is struck as it {point}:", _name(kind).replace("_", " "))
            kind(node)

    def _crash_soon(self, node: SimulatedNode) -> None:
        """What left with this step is on its way, what it writes may be on the disk or not."""
        delay = self.world.random.choice((0.0, 0.0, 0.001, 0.02)) * self.world.random.uniform(0.5, 1.5)
        self.world.after(delay, lambda: None if self.stopped else self.crash_one(node))

    def _cut_off(self, node: SimulatedNode) -> None:
        both = self.world.chance(0.5)
        deaf = both or self.world.chance(0.5)
        self.isolate(node, deaf=deaf, mute=both or not deaf)
        self._undo_later(0.3, 2.0, self._heal)

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
        self._undo_later(0.3, 2.0, self._heal)

    def _freeze(self, node: SimulatedNode) -> None:
        if not node.paused:
            node.pause(True)
            self._undo_later(0.05, 1.5, lambda: node.pause(False) if node.paused else None)

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
            self.crash_one(node)
        self.cluster.network.repeat_to(node.id)

    def _hold_back(self, node: SimulatedNode) -> None:
        """Messages of one kind, from or to this node, take a while longer than all others."""
        kind = self.world.random.choice(MESSAGE_TYPES)
        self.cluster.network.hold(kind, node.id, self.world.random.uniform(0.1, 1.5))

    def _bounce(self, node: SimulatedNode) -> None:
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

        self._undo_later(back, back, go_back)

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
            self._undo_later(0.03 * number, 0.05 * number, lambda: self._press(node))

    def _ask_as_stranger(self, node: SimulatedNode) -> None:
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

    def _stall_disk(self, node: SimulatedNode) -> None:
        node.disk.slowness = 100.0
        self._undo_later(0.3, 1.0, lambda: self._speed_up(node))

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
        self._undo_later(0.3, 2.5, self._heal)

    def _cut_link(self) -> None:
        a, b = (self.world.random.choice(list(self.cluster.nodes)) for _ in range(2))
        self.world.note("network", "loses a link", (a, b))
        self.cluster.network.blocked[a, b] = None
        self._undo_later(0.3, 4, self._heal)

    def _isolate(self) -> None:
        self.isolate(self._any_node(), deaf=self.world.chance(0.7), mute=self.world.chance(0.7))
        self._undo_later(0.3, 2.5, self._heal)

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
            self._undo_later(0.005, 0.1, lambda: self.crash_one(leader))
        if self.world.chance(0.3):
            self._undo_later(0.3, 1.0, self.cluster.network.repeat_requests)
        self._undo_later(0.5, 1.5, self._heal)

    def _heal(self) -> None:
        if self._stories.going_on:
            return
        self.world.note("network", "heals")
        self.cluster.network.blocked.clear()

    def _crash(self) -> None:
        self.crash_one(self._any_node())

    def crash_one(self, node: SimulatedNode) -> None:
        """End the life of this node; another follows, sooner or later."""
        if node.raft is not None:
            if self.world.chance(0.3):
                self.cluster.network.repeat_requests()
            node.crash()
            longest = self.world.random.choice((0.001, 0.3, 2))
            self._undo_later(0.0, longest, lambda: node.start() if node.raft is None and not node.gone else None)

    def _crash_all(self) -> None:
        for node in self.cluster.live:
            self.crash_one(node)

    def _pause(self) -> None:
        node = self._any_node()
        if node.raft is not None and not node.paused:
            node.pause(True)
            self._undo_later(0.05, 2.0, lambda: node.pause(False) if node.paused else None)

    def _freeze_leader(self) -> None:
        """Stop a leader that has old answers in its inbox, let others lead, and let it go on with reads and nothing
        that tells it of them (faults F91, F93)."""
        leaders = [leader for leader in self.cluster.leaders if not leader.paused]
        if not leaders:
            return
        leader = self.world.random.choice(leaders)
        leader.pause(True)
        deaf_in, longest = self.world.random.uniform(0, 0.05), self.world.random.uniform(0.3, 2.5)

        def go_on() -> None:
            if leader.paused and leader.raft is not None:
                for _ in range(self.world.random.randint(1, 3)):
                    self.cluster.calls.read(leader, self.world.random.choice(("linearizable", "lease")))
                leader.pause(False)

        self._undo_later(deaf_in, deaf_in, lambda: self.isolate(leader, deaf=True, mute=False))
        self._undo_later(longest, longest, go_on)
        self._undo_later(longest + 0.05, longest + 0.2, self._heal)

    def _keep_one_half(self, leader: SimulatedNode) -> None:
        delay = self.world.random.choice((0.0, 0.0, 0.02))
        self.world.after(delay, lambda: None if self.stopped else self._keep_one_half_now(leader))

    def _keep_one_half_now(self, leader: SimulatedNode) -> None:
        if keep_one_half(self.cluster, leader):
            self._undo_later(0.3, 1.5, self._heal)

    def _starve(self, leader: SimulatedNode) -> None:
        starve(self.cluster, leader)
        self._undo_later(1.2, 1.5, self._heal)

    def _leave_behind(self) -> None:
        story = (leave_behind, leave_behind, leave_behind_twice, late_appends, late_appends)
        self._begin_story(self.world.random.choice(story), 3)

    def _begin_story(self, story: Callable[[Cluster], bool], attempts: int) -> None:
        """Where nobody leads, the network heals first."""
        if story(self.cluster) or attempts == 0 or self.stopped:
            return
        if not self.cluster.leaders:
            self._heal()
            self.world.after(0.8, lambda: self._begin_story(story, attempts - 1))

    def _forget_promise(self) -> None:
        if forget_promise(self.cluster, self._any_node()):
            self._undo_later(0.7, 1.0, self._heal)

    def _slow(self) -> None:
        node = self._any_node()
        node.disk.slowness = self.world.random.choice((1, 3, 10))
        node.slowness = self.world.random.choice((1, 5, 20))
        self._undo_later(0.5, 4, lambda: self._speed_up(node))

    def _speed_up(self, node: SimulatedNode) -> None:
        node.disk.slowness = node.slowness = 1.0

    def _campaign(self) -> None:
        node = self._any_node()
        if node.raft is not None:
            node.receive(Campaign())
