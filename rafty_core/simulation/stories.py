"""Chains of faults that lead where chance alone seldom does: logs that differ by several terms, and disks that lag.

Law: *each story is a strike like any other: it is drawn from the seed, and ends by itself.*
"""

from rafty_core import Campaign
from rafty_core.invariants import state_of
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.node import SimulatedNode

LONGEST_LOG = 120
"""Clients stop when a log is this long: what is to be found needs no longer ones, and small windows are slow."""

STALLED = 100.0
"""How much slower a disk is that hardly works."""


class Stories:
    """The stories that a nemesis may begin."""

    def __init__(self, hand: Hand) -> None:
        self.cluster, self.world = hand.cluster, hand.world
        self._isolate, self._heal, self._later = hand.isolate, hand.heal, hand.later
        self._end = 0.0

    @property
    def going_on(self) -> bool:
        """Whether a story goes on that nothing else must heal before its end."""
        return self.world.time < self._end

    def keep_quiet(self, seconds: float) -> None:
        """For so long clients propose nothing, and nothing is healed."""
        self._end = max(self._end, self.world.time + seconds)

    def succession(self) -> None:
        """One leader after the other is left alone with what nobody else has, and then the next; what they hold differs
        by several terms when they meet (faults F31 to F34, F42, F53)."""
        if self.going_on:
            return
        rounds = self.world.random.randint(1, 3)
        self._end = self.world.time + (rounds + 1) * (self.cluster.options.silence + 1.0) + 2.0
        self._strand_next(rounds)

    def overtaken(self) -> None:
        """A leader is left alone with what only it has; while clients are quiet, several others lead in turn, so that
        what they append stands where it has something else (paper, Figure 7)."""
        leaders, live = self.cluster.leaders, self.cluster.live
        if self.going_on or not leaders or len(live) < 3:
            return
        options, silence = self.cluster.options, 1.03 * self.cluster.options.silence
        leader = max(leaders, key=_term)
        others = [node for node in live if node is not leader]
        pause = 0.2 + 6 * (options.latency + options.sync_time)
        turns = self.world.random.randint(1, 3)
        self._end = self.world.time + silence + (turns + 2) * pause
        self.cluster.network.blocked.clear()
        self._isolate(leader, deaf=True, mute=True)
        self._propose(leader, self.world.random.randint(2, 5))
        first = self.world.random.choice(others)
        self._later(silence, silence, lambda: first.receive(Campaign()))
        for turn in range(1, turns + 1):
            at = silence + turn * pause
            self._later(at, at, lambda: self._hand_over(leader))
        at = silence + (turns + 1) * pause
        self._later(at, at, self._meet_again)

    def _hand_over(self, but: SimulatedNode) -> None:
        """Whoever leads now lets another lead, but not this one."""
        leaders = [node for node in self.cluster.leaders if node is not but]
        if leaders:
            leader = max(leaders, key=_term)
            others = [node.id for node in self.cluster.live if node not in (leader, but)]
            if others:
                self.cluster.calls.transfer(leader, self.world.random.choice(others), 0.0)

    def contest(self) -> None:
        """The leader falls silent, and several stand for election at the same moment (faults F13, F19)."""
        leaders = self.cluster.leaders
        for leader in leaders:
            self._isolate(leader, deaf=True, mute=True)
        silence = self.cluster.options.silence
        again = self.world.random.randint(1, 3)
        for number in range(again):
            wait = silence * self.world.random.uniform(1.02, 1.3) + 0.2 * number
            self._later(wait, wait, self._all_campaign)
        self._later(silence + 0.3, silence + 1.0, self._heal)

    def lagging_disk(self) -> None:
        """One disk lags behind the others, while clients go on: the leader's (faults F38, F46, F118), or that of a
        follower, and the others take snapshots and have another leader before it has caught up (fault R5)."""
        leaders, silence = self.cluster.leaders, self.cluster.options.silence
        if not leaders:
            return
        leader = self.world.random.choice(leaders)
        followers = [node for node in self.cluster.live if node is not leader]
        node = self.world.random.choice(followers) if followers and self.world.chance(0.4) else leader
        node.disk.slowness = STALLED
        for number in range(10):
            self._later(0.04 * number, 0.04 * number + 0.02, lambda: self._propose(leader, 2))
        if node is leader:
            self._later(0.2, 0.5, lambda: self._speed_up(node))
            return
        for number in range(3):
            at = 0.1 + 0.15 * number
            self._later(at, at, self._take_snapshots)
        self._later(0.3, 0.6, lambda: self._hand_over(node))
        self._later(0.4, 2 * silence, lambda: self._speed_up(node))

    def _take_snapshots(self) -> None:
        if self.cluster.options.snapshot_interval:
            for node in self.cluster.live:
                if node.raft is not None:
                    node.snapshots.take(node.raft)

    def _strand_next(self, left: int) -> None:
        """The newest leader is left alone, all others are together; so that who was left alone before meets them."""
        leaders = self.cluster.leaders
        self.cluster.network.blocked.clear()
        if leaders:
            leader = max(leaders, key=lambda node: _term(node))
            self._isolate(leader, deaf=self.world.chance(0.8), mute=True)
            if self.world.chance(0.4):
                leader.disk.slowness = STALLED  # what it writes now is durable when it has been replaced
                self._later(0.3, 1.5, lambda: self._speed_up(leader))
            self._propose(leader, self.world.random.randint(1, 5))
            self._hurry(leader)
        next_one = self.cluster.options.silence + 0.3
        if left:
            self._later(next_one, next_one + 0.7, lambda: self._strand_next(left - 1))
        else:
            self._later(next_one, next_one + 0.7, self._meet_again)

    def _meet_again(self) -> None:
        """All that is blocked is open again; before that, those who got on may forget their logs."""
        options = self.cluster.options
        if options.snapshot_interval and self.world.chance(0.6):
            self._take_snapshots()
            self._later(8 * options.sync_time, 8 * options.sync_time + 0.1, self._finish)
        else:
            self._finish()

    def _finish(self) -> None:
        self._end = 0.0
        self._heal()

    def _hurry(self, old: SimulatedNode) -> None:
        """The others do not wait longer for a new leader than they must, and it has something to do."""
        others = [node for node in self.cluster.live if node is not old]
        if others:
            one = self.world.random.choice(others)
            silence = self.cluster.options.silence * 1.03
            self._later(silence, silence + 0.05, lambda: one.receive(Campaign()))
            self._later(silence + 0.1, silence + 0.3, lambda: self._propose(one, 3))

    def _all_campaign(self) -> None:
        for node in self.cluster.live:
            if self.world.chance(0.8):
                node.receive(Campaign())

    def _propose(self, node: SimulatedNode, count: int) -> None:
        for _ in range(count):
            if node.raft is not None and node.raft.status().last_index < LONGEST_LOG:
                self.cluster.propose(node)

    def _speed_up(self, node: SimulatedNode) -> None:
        node.disk.slowness = 1.0


def _term(node: SimulatedNode) -> int:
    return state_of(node.raft).term if node.raft is not None else 0
