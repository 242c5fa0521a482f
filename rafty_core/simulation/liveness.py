"""What must come to pass once nothing goes wrong any more (invariants I24, I25, I26).

Law: *a bare majority that works is enough*: for a leader, for writes and reads, and to end what was begun.

When all of it agrees, and is quiet, every node loses its power and starts again: what was committed is still there, and
the machines come to the same state once more.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from rafty_core import Configuration, Propose
from rafty_core.configuration_invariants import is_quorum
from rafty_core.invariants import InvariantViolation, state_of
from rafty_core.roles import Leader
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.long_chains import LONG_CHAINS
from rafty_core.simulation.nemesis import Nemesis
from rafty_core.simulation.newcomers import Newcomers
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import ELECTION_TIMEOUT, HEARTBEAT_INTERVAL
from rafty_core.simulation.trials import LENGTH, MOST, Trials
from rafty_core.waiting import PATIENCE

SLOWEST = 1.25
"""Simulated clocks and deadlines differ by at most this factor."""

SETTLING = 3.0
"""What the disks and machines are slow at when the faults stop is done by then, in seconds."""

BLACKOUT = 0.3
"""Seconds within which nodes that have all lost their power start again."""

FLOOD = 17_000
"""More commands than are handed out at once."""

GIVING_UP = 60.0
"""Seconds after which a change of membership is done, or given up."""


class Liveness:
    """The second phase of a run, and the third: `core` is what must work."""

    def __init__(self, cluster: Cluster, nemesis: Nemesis) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.nemesis = nemesis
        self.core: list[SimulatedNode] = []

    def check(self) -> None:
        """Raise `InvariantViolation` for what does not come to pass."""
        self.world.run_until(self.world.time + 0.1)
        self._choose_core()
        self.world.run_until(self.world.time + SETTLING / 3)
        self.cluster.callers.finish()
        self.world.run_until(self.world.time + 2 * SETTLING / 3)
        self._expect_leader()
        self._expect_rest()
        self._expect_newcomers()
        self._expect_writes()
        self._expect_reads()
        self._lose_a_wish()
        self._expect_flood()
        self._expect_callers()
        for number in range(MOST):
            self._try(f"trial {number}", Trials.begin)
        for name, chain in LONG_CHAINS.items() if self.cluster.options.long_chains else ():
            self._try(f"long chain {name}", partial(Trials.begin_long, chain=chain))
        if self.cluster.options.long_chains:
            self._expect_too_slow()
        self._expect_answers()
        self._expect_agreement()
        self._expect_quiet()
        if self._restart_all():
            self._expect_leader()
            self._expect_agreement()
        self.cluster.callers.check()

    # --------------------------------------------------------------------- core

    def _configurations(self) -> list[Configuration]:
        """All that may decide now or soon: what is committed, what is in force anywhere, and where it leads."""
        ghost = self.cluster.invariants.ghost
        found = [ghost.configurations[-1][1]]
        for node in self.cluster.live:
            if node.raft is not None:
                log = state_of(node.raft).log
                newer = log.configurations.index > ghost.configurations[-1][0]
                if newer or log.configurations.newest == found[0]:
                    found.append(log.configurations.newest)
        return found + [configuration.goal for configuration in found if configuration.goal is not None]

    def _choose_core(self) -> None:
        """I25: half of the runs go on with a bare majority; the others stay dead, deaf, mute, or both."""
        configurations = self._configurations()
        names = {member.id for configuration in configurations for member in configuration.members}
        nodes = [node for name, node in self.cluster.nodes.items() if name in names and node.raft is not None]
        draw = self.world.random
        if draw.random() < 0.5:
            self.core = nodes
            return
        draw.shuffle(nodes)
        core = list(nodes)
        for node in nodes:
            ids = [other.id for other in core if other is not node]
            if all(is_quorum(configuration, ids) for configuration in configurations) and self._somebody_can_win(ids):
                core.remove(node)
        self.core = core
        for node in nodes:
            if node not in core:
                fate = draw.choice(("dead", "deaf", "mute", "cut off"))
                if fate == "dead":
                    node.crash()
                else:
                    self.nemesis.hand.isolate(node, deaf=fate != "mute", mute=fate != "deaf")

    def _somebody_can_win(self, ids: list[str]) -> bool:
        """Whether one of these is a voter by its own log, whose log is as up-to-date as those of a majority there.

        A majority alone is not enough (seed 9270, a limit of joint consensus): the newest log may be that of a learner,
        which never stands for election, and who holds a configuration that never was committed may need just that
        one's vote. `test_election.py` has it as a short story.
        """
        states = [state_of(self.cluster.nodes[name].raft) for name in ids]  # type: ignore[arg-type]
        ends = {state.id: (state.log.last_term, state.log.last_index) for state in states}
        return any(
            state.may_campaign
            and is_quorum(state.configuration, [name for name, end in ends.items() if end <= ends[state.id]])
            for state in states
        )

    def _leader(self) -> SimulatedNode | None:
        """The one of the core that leads, if all of the core that it calls members know it."""
        for node in self.core:
            state = state_of(node.raft) if node.raft is not None else None
            if state is None or not isinstance(state.role, Leader):
                continue
            members = {member.id for member in state.configuration.members}
            others = [state_of(other.raft) for other in self.core if other.raft is not None and other.id in members]
            if all((other.role.leader, other.term) == (node.id, state.term) for other in others):
                return node
        return None

    def _expect(self, holds: bool, number: str, text: str) -> None:
        if not holds:
            ghost = self.cluster.invariants.ghost.configurations[-1]
            core = f"core {[node.id for node in self.core]}, configuration {ghost}"
            raise InvariantViolation(number, "\n  ".join([text, core, *(_picture(node) for node in self.cluster.live)]))

    # ------------------------------------------------------------- expectations

    def _expect_leader(self) -> None:
        seconds = 10 * self.cluster.options.silence * SLOWEST
        found = self.world.run_while(lambda: self._leader() is None, seconds)
        self._expect(found, "I25", "no leader within ten election timeouts")

    def _expect_rest(self) -> None:
        """A change that was begun ends, and who is no member afterwards is not waited for any more."""
        ghost = self.cluster.invariants.ghost

        def restless() -> bool:
            index, settled = ghost.configurations[-1]
            if not settled.at_rest:
                return True
            members = {member.id for member in settled.members}
            states = [state_of(node.raft) for node in self.core if node.raft is not None and node.id in members]
            return any(state.configuration != settled or state.log.commit < index for state in states)

        self._expect(self.world.run_while(restless, GIVING_UP), "I25", "a change of membership does not come to an end")
        members = {member.id for member in ghost.configurations[-1][1].members}
        self.core = [node for node in self.core if node.id in members]
        found = self.world.run_while(lambda: self._leader() is None, 10 * self.cluster.options.silence * SLOWEST)
        self._expect(found, "I25", "no leader after the last change of membership")

    def _expect_newcomers(self) -> None:
        """Who can join does, and who cannot is given up, in time."""
        leader = self._leader()
        if self.cluster.options.churn_interval and leader is not None and self.world.chance(0.7):
            self._expect_decision(partial(Newcomers.ask, leader=leader))

    def _expect_too_slow(self) -> None:
        leader, options = self._leader(), self.cluster.options
        if options.churn_interval and not options.kinds and leader is not None:
            self._expect_decision(partial(Newcomers.ask_too_slow, leader=leader))

    def _expect_decision(self, ask: Callable[[Newcomers], None]) -> None:
        newcomers = Newcomers(self.cluster)
        ask(newcomers)
        found = self.world.run_while(lambda: newcomers.undecided, GIVING_UP)
        self._expect(found, "I25", "a change that brings nodes in is not answered")
        self.core.extend(newcomers.end())
        self._expect_rest()

    def _expect_writes(self) -> None:
        """A new write of every node is answered, that of the leader by its result, and is applied on all the core."""
        fates, cluster = self.cluster.clients.fates, self.cluster
        tokens = {node.id: cluster.propose(node) for node in self.core}

        def waiting() -> bool:
            outcomes = {name: fates.get(token, "open") for name, token in tokens.items()}
            for node in self.core:
                if outcomes[node.id] not in ("open", "applied", "OutcomeUnknown"):
                    tokens[node.id] = cluster.propose(node)  # it was refused, and a client asks again
            if set(outcomes.values()) == {"OutcomeUnknown"}:  # each was on its way while something went wrong
                tokens.update({node.id: cluster.propose(node) for node in self.core})
            if "applied" not in outcomes.values() or not set(outcomes.values()) <= {"applied", "OutcomeUnknown"}:
                return True
            goal = cluster.invariants.ghost.last
            return any(node.raft is None or node.raft.applied_index < goal for node in self.core)

        self._expect(self.world.run_while(waiting, 30), "I25", "a new write is not committed and applied by all")

    def _lose_a_wish(self) -> None:
        """The one who is told to campaign does not hear it in time; the leader leads on, and serves reads (F138)."""
        leader, cluster = self._leader(), self.cluster
        others = [node.id for node in self.core if node is not leader]
        if leader is None or leader.raft is None or not others or not self.world.chance(0.7):
            return
        way = leader.id, self.world.random.choice(others)
        if way in cluster.network.blocked:
            return
        cluster.network.blocked[way] = None
        cluster.calls.transfer(leader, way[1], 0.1)
        self.world.run_until(self.world.time + 0.2)
        cluster.calls.read(leader, "lease")
        self.world.run_until(self.world.time + 0.05)
        cluster.network.blocked.pop(way, None)
        self._expect_leader()

    def _expect_reads(self) -> None:
        """Every node serves a read, whether the leader's lease may be used or not."""
        calls = self.cluster.calls
        modes = {node.id: mode for node, mode in zip(self.core, ("linearizable", "lease") * 4, strict=False)}
        tokens = {node.id: calls.read(node, modes[node.id]) for node in self.core}

        def waiting() -> bool:
            for node in self.core:
                if calls.fates.get(tokens[node.id], "done") != "done":
                    tokens[node.id] = calls.read(node, modes[node.id])
            return any(token in calls.open for token in tokens.values())

        self._expect(self.world.run_while(waiting, 10), "I25", "a read is not served")

    def _expect_flood(self) -> None:
        """Very many commands at once are carried out, a portion after the other (R8)."""
        clients, leader = self.cluster.clients, self._leader()
        if not self.cluster.options.floods or self.cluster.parts.machine is not None or leader is None:
            return
        token, commands = clients.together(leader.id, FLOOD)
        leader.receive(Propose(token, commands))
        self._expect(self.world.run_while(lambda: token in clients.open, 30), "I25", "a flood is not answered")

    def _try(self, name: str, begin: Callable[[Trials, SimulatedNode], None]) -> None:
        """After a chain of faults that nothing else has disturbed, all is well again."""
        cluster, leader, ghost = self.cluster, self._leader(), self.cluster.invariants.ghost
        members = {member.id for member in ghost.configurations[-1][1].members}
        everybody = {node.id for node in self.core} == members and not cluster.network.blocked
        if leader is None or not everybody or not cluster.options.fault_interval or cluster.options.kinds:
            return
        trials = Trials(cluster)
        self.nemesis.strike(name, lambda: begin(trials, leader))
        self.world.run_until(self.world.time + LENGTH)
        trials.end()
        self.nemesis.repair()
        members = {member.id for configuration in self._configurations() for member in configuration.members}
        self.core = [node for name, node in cluster.nodes.items() if name in members and node.raft is not None]
        self._expect_leader()
        self._expect_rest()

    def _expect_callers(self) -> None:
        """Every caller comes to an end with what it does, and one of them reads everything."""
        callers = self.cluster.callers
        self._expect(self.world.run_while(lambda: callers.busy, 30), "I25", "the callers do not come to an end")

    def _expect_answers(self) -> None:
        """Every request has its answer, within its deadline."""
        seconds = self.cluster.options.forward_timeout * SLOWEST + 2
        names = {node.id for node in self.core}

        def left() -> list[object]:
            proposals = [(token, where) for token, (where, _) in self.cluster.clients.open.items() if where in names]
            calls = [(token, where) for token, (where, _, _) in self.cluster.calls.open.items() if where in names]
            return [*proposals, *calls]

        self._expect(
            self.world.run_while(lambda: bool(left()), seconds), "I25", f"requests without an answer: {left()[:5]}"
        )

    def _expect_agreement(self) -> None:
        def differing() -> bool:
            pictures = [node.raft.status() for node in self.core if node.raft is not None]
            ends = {(p.commit_index, p.applied_index, p.last_index, p.durable_index, p.term) for p in pictures}
            return len(ends) != 1 or pictures[0].applied_index != pictures[0].last_index

        self._expect(self.world.run_while(differing, 5), "I25", "the logs of the core do not become equal")
        rafts = [node.raft for node in self.core if node.raft is not None]
        first = max(raft.status().first_index for raft in rafts)
        logs = [raft.entries(first, raft.status().last_index) for raft in rafts]
        self._expect(all(log == logs[0] for log in logs), "I3", "logs of equal length and term differ")
        replay, last = self.cluster.replay, self.cluster.invariants.ghost.last
        self._expect(all(node.machine == replay.states[last] for node in self.core), "I5", "the states differ")
        if replay.reference is not None:
            replay.reference.check_end(last, [node.application for node in self.core])

    def _expect_quiet(self) -> None:
        """I26: nothing but heartbeats and their answers. I25: no other leader for a while; whoever is
        deaf, or no member any more, talks in vain (I15)."""
        cluster = self.cluster
        self.world.run_until(self.world.time + 1)
        if cluster.options.churn_interval:  # removed members that never answer are told for a while
            self.world.run_until(self.world.time + PATIENCE * ELECTION_TIMEOUT * SLOWEST)
        leaders, before = len(cluster.invariants.leaders), cluster.network.sent
        seconds = cluster.options.quiet * ELECTION_TIMEOUT
        self.world.run_until(self.world.time + seconds)
        self._expect(
            len(cluster.invariants.leaders) == leaders, "I25", "the leader changes, though nothing is wrong (or I15)"
        )
        members = cluster.invariants.ghost.configurations[-1][1].members
        if len(self.core) != len(cluster.live) or len(self.core) != len(members):
            return
        rate = (cluster.network.sent - before) / (seconds / HEARTBEAT_INTERVAL)
        one_more = HEARTBEAT_INTERVAL / seconds  # both ends of the time may see a round
        most = 2 * (len(members) - 1) * (1 + cluster.options.clock_drift + 0.03 + one_more)
        text = f"{rate:.2f} messages per heartbeat interval, at most {most:.2f} expected"
        self._expect(rate <= most, "I26", text)
        pictures = [node.raft.status() for node in self.core if node.raft is not None]
        left = [(p.pending_proposals, p.pending_reads, p.fetching_snapshot, p.transferring_to) for p in pictures]
        self._expect(set(left) == {(0, 0, 0, None)}, "I24", f"something is pending in quiescence: {left}")

    # -------------------------------------------------------------------- restart

    def _restart_all(self) -> bool:
        """Every node loses its power and starts again, soon, with all that was durable (I20). Returns whether the core
        is still a majority: a disk may turn out to be damaged (I21)."""
        configuration, live = self.cluster.invariants.ghost.configurations[-1][1], self.cluster.live
        durable = {node.id: node.raft.status().durable_index for node in live if node.raft is not None}
        for node in live:
            node.crash()
        for node in live:
            self.world.after(self.world.random.uniform(0, BLACKOUT), node.start)
        self.world.run_until(self.world.time + BLACKOUT)
        for node in live:
            last = node.raft.status().last_index if node.raft is not None else durable[node.id]
            self._expect(last >= durable[node.id], "I20", f"{node.id} had {durable[node.id]}, and has {last}")
        members = {(member.id, member.incarnation) for member in configuration.members}
        late = [node for node in live if node not in self.core and (node.id, node.incarnation) in members]
        self.core += [node for node in late if self._is_reached(node)]  # who was down when it was chosen may lead now
        self.core = [node for node in self.core if node.raft is not None]
        return is_quorum(configuration, [node.id for node in self.core])

    def _is_reached(self, node: SimulatedNode) -> bool:
        blocked = self.cluster.network.blocked
        return not any(way in blocked for other in self.core for way in ((node.id, other.id), (other.id, node.id)))


def _picture(node: SimulatedNode) -> str:
    if node.raft is None:
        return f"{node.id} is down"
    picture = asdict(node.raft.status())
    del picture["configuration"]
    return ", ".join(f"{name} {value}" for name, value in picture.items())
