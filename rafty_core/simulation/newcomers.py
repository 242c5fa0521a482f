"""Nodes that are to join a cluster that is well, and are not well themselves.

Law: *a learner that is hopeless is given up in time, and one that was close must still be close when all are.*

While other faults last, a leader seldom leads for as long as it takes to give a learner up (thesis 4.2.1). So this is
tried when they have stopped.
"""

from collections.abc import Callable, Sequence

from rafty_core import Change, Configuration, Member
from rafty_core.invariants import state_of
from rafty_core.quorum import majority
from rafty_core.roles import Leader
from rafty_core.simulation.churn import NAMES
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.disk import STANDING_STILL, Disk
from rafty_core.simulation.node import SimulatedNode

NORMAL, STANDING = 0.05, 1e9
"""Seconds that a disk of a node that joins takes for a write."""

SLOW = ((0.0, 1.0), (15.0, NORMAL))
LAGGING, LATE = ((0.0, NORMAL), (0.7, STANDING)), ((2.0, NORMAL),)

Fate = Sequence[tuple[float, float]]
"""From when on the disk of a node that is to join takes how long. Nothing: it is never started."""

FATES: Sequence[Sequence[Fate]] = (
    (((0.0, STANDING),),),
    ((),),
    ((),),
    (SLOW,),
    (SLOW, ((0.0, NORMAL),)),
    (LAGGING, LATE),
    (LAGGING, LATE),
)
"""The fate of each node that is to join together with others."""

WHILE = 6.0
"""Seconds that a fetch takes which takes its time: more than a leader waits for one that takes no entries."""

WRITING = 15.0
"""Seconds in which clients go on to write, so that there is something to catch up with."""

LARGE_BATCH = 1000
"""Bytes of a batch from which on few of them bring a new node all that it lacks."""

LONG = 40.0
TOO_SLOW = ((0.0, 2.0), (LONG, NORMAL))
"""The fate of one whose disk takes longer for each write than an election timeout, but where `sync_time` is 0: about a
second, so that ten rounds are over by then, or nearly so."""


class Newcomers:
    """Asks a leader to take some nodes in, and lets things happen to them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.world = cluster, cluster.world
        self.nodes: list[SimulatedNode] = []
        self.token = ""
        self.over = False

    def ask(self, leader: SimulatedNode) -> None:
        """Ask this leader to take in some nodes as voters."""
        cluster = self.cluster
        if leader.raft is None:
            return
        now = state_of(leader.raft).configuration
        taken = {member.id for member in now.members}
        free = [name for name in NAMES if name not in taken]
        fates = self.world.random.choice(FATES)
        stands = any(seconds == STANDING for fate in fates for _, seconds in fate)
        if stands and (cluster.parts.storage is not Disk or not self._suffices(leader, now, len(fates))):
            return  # another storage may get on, however slow it is
        if cluster.options.snapshot_interval and self.world.chance(0.4):
            leader.snapshots.take(leader.raft, everything=True)
            self.world.run_until(self.world.time + 0.7)  # it is durable, and the log begins behind it
            if leader.raft is not None and free:
                self._ask_fetching(leader, free)
            return
        self._bring(leader, free, fates, "new")
        self._write_on(leader, WRITING, 0.25)

    def ask_too_slow(self, leader: SimulatedNode) -> None:
        """Ask this leader to take in one that is too slow in each of its rounds, all of which are short (F67): there
        is always one write to catch up with, and seldom more."""
        whole = self.cluster.options.max_batch_bytes >= LARGE_BATCH
        if leader.raft is not None and self.cluster.parts.storage is Disk and whole:
            taken = {member.id for member in state_of(leader.raft).configuration.members}
            free = [name for name in NAMES if name not in taken]
            self._bring(leader, free, (TOO_SLOW,), "too slow")
            if self.nodes:
                self._keep_behind(leader, self.nodes[-1].id, [])

    def _bring(self, leader: SimulatedNode, free: Sequence[str], fates: Sequence[Fate], port: str) -> None:
        """Ask for one voter for each of these fates, as far as there are names."""
        changes = []
        for name, fate in zip(free, fates, strict=False):
            node = self.cluster.join(name)
            self.nodes.append(node)
            node.gone = not fate
            node.disk.calm()
            for delay, seconds in fate:
                self.world.after(delay, self._with_disk(node, seconds))
            changes.append(Change("add_voter", Member(name, f"{name}:{port}", node.incarnation)))
        if changes:
            self.token = self.cluster.calls.change(leader, changes)

    def _suffices(self, leader: SimulatedNode, now: Configuration, coming: int) -> bool:
        """Whether those that work are a majority even with so many more voters that do not: one may be promoted, and
        its disk stand still a moment later."""
        working = [name for name in now.voter_ids if name == leader.id or leader.reaches(self.cluster.nodes[name])]
        return len(working) >= majority(len(now.voter_ids) + coming)

    def _ask_fetching(self, leader: SimulatedNode, free: Sequence[str]) -> None:
        """Ask for one that falls silent while it fetches a snapshot (F67), or for two, of which the one takes its time
        for that, while nobody writes and the other lacks nothing (R170)."""
        silent = self.world.chance(0.5)
        changes = []
        for name in free[: 1 if silent else 2]:
            node = self.cluster.join(name)
            self.nodes.append(node)
            node.disk.calm()
            self.world.after(0.0, self._with_disk(node, NORMAL))
            changes.append(Change("add_voter", Member(name, f"{name}:new", node.incarnation)))
        slow = self.nodes[-1]
        slow.snapshots.held = True
        self.token = self.cluster.calls.change(leader, changes)
        if silent:
            self._fall_silent(slow, 300)
        else:
            self.world.after(WHILE, slow.snapshots.let_go)
        for number in range(int(WRITING / 0.25)):
            if 0.25 * number > WHILE - 0.5:
                self.world.after(0.25 * number, lambda: self._write(leader))

    def _fall_silent(self, node: SimulatedNode, attempts: int) -> None:
        """It ends for ever a moment after it has begun to fetch (F67)."""
        state = state_of(node.raft) if node.raft is not None else None
        if state is not None and state.fetching is not None:
            self.world.after(0.15, lambda: node.shut_down(node.boot))
        elif attempts and self.undecided:
            self.world.after(0.02, lambda: self._fall_silent(node, attempts - 1))

    @property
    def undecided(self) -> bool:
        """Whether the change is still open."""
        return self.token in self.cluster.calls.open

    def end(self) -> list[SimulatedNode]:
        """The nodes that are members now, at full speed; the others are gone. One that has become a member and whose
        disk stood still soon afterwards starts again: it would never answer."""
        self.over = True
        members = self.cluster.invariants.ghost.configurations[-1][1].members
        known = {(member.id, member.incarnation) for member in members}
        for node in self.nodes:
            if node.raft is not None and node.disk.slowness >= STANDING_STILL:
                node.crash()
                node.start()
            node.slowness = node.disk.slowness = 0.1
            node.snapshots.let_go()
            if (node.id, node.incarnation) not in known:
                node.shut_down(node.boot)
        return [node for node in self.nodes if (node.id, node.incarnation) in known and node.raft is not None]

    def _with_disk(self, node: SimulatedNode, seconds: float) -> Callable[[], None]:
        def act() -> None:
            if self.over:
                return
            node.disk.slowness = seconds / max(self.cluster.options.sync_time, 1e-3)
            if node.raft is None and node.boot == 0:
                node.start()

        return act

    def _keep_behind(self, leader: SimulatedNode, name: str, ends: list[int]) -> None:
        """Write on as soon as this node lacks less than two writes; `ends` are the ends of the log that were seen."""
        state = state_of(leader.raft) if leader.raft is not None else None
        if self.over or not self.undecided or state is None or not isinstance(state.role, Leader):
            return
        last, match = state.log.last_index, state.role.progress[name].match if name in state.role.progress else 0
        ends = sorted({end for end in (*ends, last) if end > match})
        if len(ends) < 2:
            self._write(leader)
        self.world.after(0.05, lambda: self._keep_behind(leader, name, ends))

    def _write_on(self, leader: SimulatedNode, seconds: float, pause: float) -> None:
        for number in range(int(seconds / pause) if self.token else 0):
            self.world.after(pause * number, lambda: self._write(leader))

    def _write(self, leader: SimulatedNode) -> None:
        if self.undecided and leader.raft is not None:
            self.cluster.propose(leader)
