"""A state machine whose whole state is one number, and the snapshots of it.

Law: *a snapshot at k is the state after the entries 1 to k, whoever took it, whoever restores it* (invariant I19).

The number is a chained hash of all that was applied, so that any difference shows at once. It never enters a trace.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from rafty_core import Fetch, Raft, Snapshot, SnapshotFailed, SnapshotReceived, SnapshotTaken, Write
from rafty_core.entries import COMMAND
from rafty_core.invariants import InvariantViolation
from rafty_core.simulation.application import Application, Reference

if TYPE_CHECKING:
    from rafty_core.simulation.node import SimulatedNode

LAST_ATTEMPT = 2.0
"""After so many seconds a peer that is not reached is given up."""


def result_of(ordinal: int) -> bytes:
    """The result of the command that is the `ordinal`-th in the log."""
    return b"result %d" % ordinal


class MachineState(NamedTuple):
    """What was applied: up to which index, its chained hash, and how many commands."""

    applied: int = 0
    value: int = 0
    ordinal: int = 0

    def after(self, entry: bytes) -> "MachineState":
        """The state after one more entry."""
        return MachineState(self.applied + 1, hash((self.value, entry)), self.ordinal + (entry[:1] == COMMAND))


class Replay:
    """The states that every machine must go through, by index; `reference` is the application, if there is one.

    watch  is told of each committed entry, when `reference` has just applied it
    """

    def __init__(self, reference: Reference | None, watch: Callable[[int, bytes], None]) -> None:
        self.states = [MachineState()]
        self.reference = reference
        self._watch = watch

    def see(self, committed: list[bytes]) -> None:
        """Follow what was committed since the last call."""
        for entry in committed[len(self.states) - 1 :]:
            self.states.append(self.states[-1].after(entry))
            if self.reference is not None:
                self.reference.see(len(self.states) - 1, entry)
                self._watch(len(self.states) - 1, entry)

    def result(self, ordinal: int) -> bytes:
        """The result of the command that is the `ordinal`-th in the log."""
        return result_of(ordinal) if self.reference is None else self.reference.ordered[ordinal - 1]

    def check(self, node: str, state: MachineState, application: Application | None) -> None:
        """I5 and I19: this is the state of everybody at that index."""
        if state.applied >= len(self.states) or state != self.states[state.applied]:
            raise InvariantViolation("I5", f"{node}: the state machine at {state.applied} is in another state")
        if self.reference is not None and application is not None:
            self.reference.check_state(state.applied, application)


class Image(NamedTuple):
    """A snapshot that is whole and durable: its term, the state there, and the application's image."""

    term: int
    state: MachineState
    application: bytes = b""


class Snapshots:
    """The snapshots of one node that are whole and durable, by index."""

    def __init__(self, node: "SimulatedNode") -> None:
        self.node = node
        self.images: dict[int, Image] = {0: Image(0, MachineState())}
        self.held = False
        """Whether the fetch that begins next hangs until it is let go."""
        self._hanging: list[tuple[Fetch, int]] = []

    def take(self, raft: Raft, everything: bool = False) -> None:
        """Begin to take a snapshot of what is applied; it is durable some time later, if the node lives on. The log may
        go then, `everything` of it or all but a tail."""
        node = self.node
        try:
            snapshot = raft.snapshot()
        except LookupError:
            if not raft.is_behind_snapshot:
                raise
            return  # the state machine is being restored
        if snapshot.index == 0:
            return  # nothing is applied
        if snapshot.configuration.voters:  # whoever joins is told at the end of the log who the members are
            node.cluster.invariants.ghost.check_snapshot(snapshot, node.id)
        application = node.application
        if application is not None and (not application.can_snapshot or node.machine.applied != snapshot.index):
            return  # no way to write it down, or the machine is ahead of what the core knows
        write_down = application.snapshot() if application is not None else bytes
        state, boot = node.states[snapshot.index], node.boot
        delay = node.options.sync_time * node.world.random.uniform(0, 5)

        def done() -> None:
            if boot == node.boot and node.raft is not None and node.raft.applied_index >= snapshot.index:
                if not self._keep(snapshot, Image(snapshot.term, state, write_down())):
                    return
                kept = snapshot.index if everything else self._start_of_tail(node.raft, snapshot.index)
                node.receive(SnapshotTaken(snapshot.index, kept))

        node.world.after(delay, done)

    def _start_of_tail(self, raft: Raft, last: int) -> int:
        """Up to where the log may go: as many entries stay as two bounds allow, not one more and not one less (R71)."""
        draw, entries = self.node.world.random, self.node.cluster.invariants.committed
        most, most_bytes = draw.randint(0, self.node.options.trailing), draw.choice((30, 300, 1 << 20))
        start, first = raft.start_of_tail(last, most, most_bytes), raft.status().first_index

        def fits(start: int) -> bool:
            return last - start <= most and sum(map(len, entries[start:last])) <= most_bytes

        if start > last or not fits(start) or (start >= first and fits(start - 1)):
            text = f"keeps what is behind {start} of {last} entries, within {most} entries and {most_bytes} bytes"
            raise InvariantViolation("I24", f"{self.node.id} {text}")
        return start

    def written(self, write: Write) -> None:
        """A write with a snapshot is durable: its image was before, and older ones may go (fault F82)."""
        snapshot = write.snapshot
        if snapshot is None:
            return
        if snapshot.index not in self.images or self.images[snapshot.index].term != snapshot.term:
            raise InvariantViolation("I9", f"{self.node.id} stores the snapshot at {snapshot.index}, and has no image")
        for index in [index for index in self.images if index < snapshot.index]:
            if index not in self.node.restoring and self.node.world.chance(0.5):
                del self.images[index]

    def fetch(self, fetch: Fetch) -> None:
        """Fetch this snapshot from a peer: it arrives, or it fails, or this life of the node ends."""
        if self.held:
            self._hanging.append((fetch, self.node.boot))
        else:
            self._attempt(fetch, self.node.boot, self.node.world.time + LAST_ATTEMPT)

    def let_go(self, *, failing: bool = False) -> None:
        """What hangs comes to its end now, by failing if so asked."""
        self.held, hanging, self._hanging = False, self._hanging, []
        for fetch, boot in hanging:
            if not failing:
                self._try(fetch, boot, self.node.world.time + LAST_ATTEMPT)
            elif boot == self.node.boot and self.node.raft is not None:
                self.node.receive(SnapshotFailed(fetch.snapshot.index, fetch.snapshot.term))

    def _attempt(self, fetch: Fetch, boot: int, until: float) -> None:
        node, world = self.node, self.node.world
        delay = node.options.fetch_time * world.random.uniform(0.3, 2)
        world.after(delay, lambda: self._try(fetch, boot, until))

    def _try(self, fetch: Fetch, boot: int, until: float) -> None:
        node, snapshot = self.node, fetch.snapshot
        if boot != node.boot or node.raft is None:
            return
        peer = node.cluster.nodes.get(fetch.peer)
        if peer is None or not node.reaches(peer):
            if node.world.time < until:
                self._attempt(fetch, boot, until)
            else:
                node.receive(SnapshotFailed(snapshot.index, snapshot.term))
            return
        image = peer.snapshots.images.get(snapshot.index)
        failing = not node.cluster.network.calm and node.world.chance(node.options.fetch_failing)
        if failing or image is None or image.term != snapshot.term:
            node.receive(SnapshotFailed(snapshot.index, snapshot.term))
        else:
            kept = self._keep(snapshot, image)
            node.receive((SnapshotReceived if kept else SnapshotFailed)(snapshot.index, snapshot.term))

    def _keep(self, snapshot: Snapshot, image: Image) -> bool:
        """Whether it is durable; the disk may not take it, and this life may end by that."""
        content = image.application or b"image of %d " % snapshot.index * 40
        try:
            self.node.disk.keep_image(snapshot, content)
        except OSError as error:
            self.node.world.note(self.node.id, "keeps no snapshot:", error)
            return False
        self.images[snapshot.index] = image
        return True
