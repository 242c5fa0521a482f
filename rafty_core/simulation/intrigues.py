"""Chains of changes and faults that are aimed at one node: what it does not hear of, and what it hears too late.

Law: *who was away must not guess what happened meanwhile.*

Each is short, begins only where it can lead somewhere, and keeps clients quiet where what they do would hide the end.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from rafty_core import Campaign, Change, Member
from rafty_core.invariants import state_of
from rafty_core.messages import ForwardedProposalResponse, HeartbeatResponse
from rafty_core.roles import Leader
from rafty_core.simulation.behind import forget, let_back
from rafty_core.simulation.broken_promises import starve
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import ELECTION_TIMEOUT
from rafty_core.simulation.stories import Stories

LONGEST_WAIT = 1.0
"""Seconds of `forward_timeout` up to which it is waited until reads are given up."""


class Intrigues:
    """All of them: `kinds` names them. Each is told of a leader."""

    def __init__(self, hand: Hand, churn: Churn, stories: Stories) -> None:
        self.hand, self._churn, self._stories = hand, churn, stories
        self.cluster, self.world = hand.cluster, hand.world
        self._addresses: set[str] = set()  # each is given once, so that a change can be told from all others
        options, kinds = self.cluster.options, [self._answer_no_rounds, self._stall_and_freeze]
        if options.lease and options.churn_interval:
            kinds.append(self._promise_anew)
        if options.churn_interval:
            kinds += [self._change_unheard, self._replace_unheard, self._demote_and_promote]
        self.kinds: Sequence[Callable[[SimulatedNode], None]] = kinds

    def begin(self) -> None:
        """Begin one of them, if somebody leads and nothing else is told."""
        leaders = [node for node in self.cluster.leaders if not node.paused]
        if leaders and not self._stories.going_on:
            self.world.random.choice(self.kinds)(self.world.random.choice(leaders))

    def _later(self, delay: float, action: Callable[[], object]) -> None:
        def act() -> None:
            if not self.hand.stopped:
                action()

        self.world.after(delay, act)

    def _propose(self, node: SimulatedNode) -> None:
        if node.raft is not None:
            self.cluster.propose(node)

    def _start(self, node: SimulatedNode) -> None:
        if node.raft is None and not node.gone:
            node.start()

    def _others(self, node: SimulatedNode) -> list[SimulatedNode]:
        return [other for other in self.cluster.live if other is not node]

    # ------------------------------------------------------ rounds, disks, leases

    def _answer_no_rounds(self, leader: SimulatedNode) -> None:
        """Entries are acknowledged, rounds of heartbeats are not answered, and somebody wants to read (R106)."""
        timeout = self.cluster.options.forward_timeout
        if timeout > LONGEST_WAIT:
            return
        seconds = 2 * timeout + 0.6
        self._stories.keep_quiet(seconds)
        self.world.note(leader.id, "gets no answers to heartbeats")
        self.cluster.network.hold(HeartbeatResponse, leader.id, seconds)
        for _ in range(2):
            self._later(0.1, partial(self.cluster.calls.read, leader, "linearizable"))
        for number in range(int(seconds / 0.2)):
            self._later(0.2 * number, partial(self._propose, leader))

    def _stall_and_freeze(self, leader: SimulatedNode) -> None:
        """A leader stops while its disk does nothing, and goes on with answers of its followers (R11)."""
        leader.disk.slowness = 1e5
        self._propose(leader)
        wait = self.world.random.uniform(0.02, 0.05)
        until = wait + ELECTION_TIMEOUT * self.world.random.uniform(1.05, 1.6)
        self._later(wait, lambda: None if leader.paused or leader.raft is None else leader.pause(True))
        self._later(until, lambda: leader.pause(False) if leader.paused else None)
        self._later(until + 0.1, partial(self.hand.speed_up, leader))

    def _promise_anew(self, leader: SimulatedNode) -> None:
        """Some voters do not get the newest configuration; those that have it fall silent (F93)."""
        self._stories.keep_quiet(1.5)
        starve(self.cluster, leader)
        self._change(leader, self._moved(leader))
        self.hand.later(1.5, 1.6, self.hand.heal)

    # ------------------------------------------------------------------- changes

    def _change(self, node: SimulatedNode, changes: Sequence[Change]) -> None:
        if node.raft is not None and changes:
            self.cluster.calls.change(node, changes, force=True)

    def _moved(self, node: SimulatedNode) -> list[Change]:
        """A change that touches no voter: one of the members has another address."""
        members = state_of(node.raft).configuration.members if node.raft is not None else ()
        if not members:
            return []
        member = self.world.random.choice(members)
        address = f"{member.id} since {self.world.time}"
        if address in self._addresses:  # two leaders are asked at once, and one may refuse what the other does
            address += " by another"
        self._addresses.add(address)
        return [Change("update", replace(member, address=address))]

    def _leave_alone(self, leader: SimulatedNode) -> float:
        """A leader hears nothing more, and a moment later nobody hears it; the others elect another. Returns when they
        have, in seconds from now."""
        silence = 1.05 * self.cluster.options.silence
        heard = 0.05 + 5 * (self.cluster.options.latency + self.cluster.options.sync_time)
        self.cluster.network.blocked.clear()
        self.hand.isolate(leader, deaf=True, mute=False)
        self._later(heard, lambda: self.hand.isolate(leader, deaf=True, mute=True))
        for number in range(3):
            self._later(heard + silence + 0.2 * number, lambda: self._let_one_campaign(leader))
        return heard + silence + 0.3

    def _let_one_campaign(self, but: SimulatedNode) -> None:
        others = self._others(but)
        if others and all(leader is but for leader in self.cluster.leaders):
            self.world.random.choice(others).receive(Campaign())

    def _new_leaders(self, old: SimulatedNode) -> list[SimulatedNode]:
        return [leader for leader in self.cluster.leaders if leader is not old]

    def _change_unheard(self, leader: SimulatedNode) -> None:
        """What becomes of a change its leader does not hear: it was done, and another one followed (R13)."""
        if len(self.cluster.live) < 3:
            return
        self._stories.keep_quiet(self.cluster.options.silence + 2.5)
        self._change(leader, self._moved(leader))
        elected = self._leave_alone(leader)

        def move() -> None:
            for other in self._new_leaders(leader):
                self._change(other, self._moved(other))

        for wait in (0.0, 0.3, 0.6):
            self._later(elected + wait, move)
        self._later(elected + 0.8, partial(forget, self.cluster, leader))
        self._later(elected + 1.3, partial(let_back, self.cluster, leader))
        self._later(elected + 1.4, self.hand.heal)

    def _replace_unheard(self, leader: SimulatedNode) -> None:
        self.replace_unheard(leader)

    def replace_unheard(self, leader: SimulatedNode, *, leads_again: bool = False) -> None:
        """A leader that remembers what somebody asked hears at once that this one is gone, and has a successor of the
        same name; which may ask it for something, when it `leads_again` (R102)."""
        others = [other for other in self._others(leader) if not other.paused]
        if len(others) < 2:
            return
        replaced = self.world.random.choice(others)
        self._stories.keep_quiet(self.cluster.options.silence + 3.0)
        self.cluster.network.hold(ForwardedProposalResponse, leader.id, 0.5)
        self._propose(replaced)
        self._propose(replaced)

        def remove() -> None:
            for other in self._new_leaders(leader):
                self._change(other, [Change("remove", Member(replaced.id))])

        def bring_back() -> None:
            for other in self._new_leaders(leader):
                self._churn.bring_back(other, replaced.id, "add_learner")

        def begin() -> None:
            elected = self._leave_alone(leader)
            self._later(elected, remove)
            self._later(elected + 0.6, bring_back)
            self._later(elected + 1.0, bring_back)
            self._later(elected + 1.5, partial(let_back, self.cluster, leader))
            self._later(elected + 1.6, self.hand.heal)
            if leads_again and self.cluster.options.snapshot_interval:
                self._later(elected + 1.4, partial(forget, self.cluster, leader))  # it hears of all at once
            if leads_again:
                self._later(elected + 1.8, partial(self._hand_over_to, leader))
                for number in range(5):
                    self._later(elected + 2.1 + 0.1 * number, partial(self._ask_who_remembers, replaced.id, leader))

        self._later(0.1, begin)

    def _hand_over_to(self, node: SimulatedNode) -> None:
        for leader in self._new_leaders(node):
            self.cluster.calls.transfer(leader, node.id, 0.5)

    def _ask_who_remembers(self, name: str, leader: SimulatedNode) -> None:
        node = self.cluster.nodes[name]
        if leader in self.cluster.leaders and node.incarnation:
            self.world.note(name, "asks a leader that remembers its predecessor")
        self._propose(node)

    def remove_and_return(self, leader: SimulatedNode) -> None:
        """A member is removed, and is back at once as another node of its name (R15)."""
        state = state_of(leader.raft) if leader.raft is not None else None
        names = [member.id for member in state.configuration.members if member.id != leader.id] if state else []
        if len(names) < 2:
            return
        self._change(leader, [Change("remove", Member(self.world.random.choice(names)))])
        self._wait_for_removal(leader, 100)

    def _wait_for_removal(self, leader: SimulatedNode, attempts: int) -> None:
        state = state_of(leader.raft) if leader.raft is not None else None
        progress = state.role.progress if state is not None and isinstance(state.role, Leader) else {}
        if any(one.removed_at > 0 for one in progress.values()):
            self.return_at_once(leader)
        elif attempts:
            self._later(0.001, lambda: self._wait_for_removal(leader, attempts - 1))

    def return_at_once(self, leader: SimulatedNode) -> None:
        """Who has just been dropped falls silent, and comes back anew while its leader still tells it (R15)."""
        state = state_of(leader.raft) if leader.raft is not None else None
        progress = state.role.progress if state is not None and isinstance(state.role, Leader) else {}
        dropped = [peer for peer in progress if progress[peer].removed_at > 0 and peer in self.cluster.nodes]
        if not dropped:
            return
        node = self.cluster.nodes[self.world.random.choice(dropped)]
        if node.raft is not None:
            node.crash()
        for wait in (0.1, 0.25, 0.5, 1.0):
            self._later(wait, partial(self._churn.bring_back, leader, node.id))

    # ----------------------------------------------------------- one's own learner

    def _demote_and_promote(self, leader: SimulatedNode) -> None:
        """A voter is made a learner, and is to be a voter again; with that in all logs everybody restarts, and it is
        the first to stand for election, by a configuration of before (R103)."""
        state = state_of(leader.raft) if leader.raft is not None else None
        voters = [voter for voter in state.configuration.voter_ids if voter != leader.id] if state is not None else []
        if len(voters) < 2:
            return
        name = self.world.random.choice(voters)
        self._stories.keep_quiet(3.0)
        self._change(leader, [Change("add_learner", Member(name))])
        self._later(0.02, lambda: self._promote(leader, name, name, 60))

    def demote_two(self, leader: SimulatedNode) -> None:
        """As before with two voters; the one is to be a voter again, and the other stands for election (R179)."""
        state = state_of(leader.raft) if leader.raft is not None else None
        voters = [voter for voter in state.configuration.voter_ids if voter != leader.id] if state is not None else []
        if len(voters) < 3:
            return
        promoted, name = self.world.random.sample(voters, 2)
        self._change(leader, [Change("add_learner", Member(demoted)) for demoted in (promoted, name)])
        self._later(0.02, lambda: self._promote(leader, promoted, name, 60))

    def _promote(self, leader: SimulatedNode, promoted: str, name: str, attempts: int) -> None:
        """Ask for the promotion as soon as the demotion is done."""
        state = state_of(leader.raft) if leader.raft is not None else None
        if state is None or not isinstance(state.role, Leader) or attempts == 0:
            return
        now, settled = state.configuration, state.log.configurations.index <= state.log.commit
        if now.at_rest and settled and name not in now.voter_ids:
            self._change(leader, [Change("add_voter", Member(promoted))])
            self._restart_with(name, 200, in_haste=promoted != name)
        else:
            self._later(0.02, lambda: self._promote(leader, promoted, name, attempts - 1))

    def _restart_with(self, name: str, attempts: int, *, in_haste: bool = False) -> None:
        """When it has the goal on its disk, all of them lose their power. It stands for election soon; `in_haste` as
        soon as it may, and what is on its way is lost."""
        node = self.cluster.nodes[name]
        state = state_of(node.raft) if node.raft is not None else None
        if state is None or attempts == 0:
            return
        if state.configuration.goal is None or state.writes.index < state.log.configurations.index:
            self._later(0.002, lambda: self._restart_with(name, attempts - 1, in_haste=in_haste))
            return
        if in_haste:
            self.world.note(name, "is to lead, and is no voter")
        silence, dark = self.cluster.options.silence, 0.05 if in_haste else 0.001
        for other in self.cluster.live:
            other.crash()
            self._later(dark, partial(self._start, other))
        waits = [silence * 1.12 + wait for wait in (0.01, 0.03, 0.1)]
        if in_haste:
            waits = [dark + silence * (1 + 0.005 * number) for number in range(40)]
        for wait in waits:
            self._later(wait, lambda: node.receive(Campaign()))
