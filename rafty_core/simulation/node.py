"""One node over all its lives: a real core, simulated everything else.

Law: *a driver has four rules*, and `SimulatedNode.carry_out` is nothing but them.
"""

import random
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rafty_core import (
    Applied,
    Config,
    Configuration,
    Event,
    Output,
    PeerUnreachable,
    Persisted,
    Raft,
    Removed,
    Restore,
    Snapshot,
    Stable,
    Write,
)
from rafty_core.entries import COMMAND
from rafty_core.invariants import InvariantViolation, state_of
from rafty_core.output import Committed
from rafty_core.simulation.application import COMPARED_EVERY, Application
from rafty_core.simulation.contracts.before import CountedRandom
from rafty_core.simulation.contracts.life import Contracts
from rafty_core.simulation.duties import Duties
from rafty_core.simulation.machine import Image, MachineState, Snapshots, result_of
from rafty_core.simulation.parts import StorageRefused

if TYPE_CHECKING:
    from rafty_core.simulation.cluster import Cluster

GRAIN = 1e-6
"""Timers are late by at least this much, in seconds: clocks that drift are compared in floating point."""


class SimulatedNode:
    """A node over all its lives: its disk, its clock, what waits for it, and the core while it is up.

    `gone`: it was shut down for ever, since it was removed, or its disk is damaged. `halted`: its machine stands still.
    """

    def __init__(self, cluster: "Cluster", node_id: str, configuration: Configuration, incarnation: str = "") -> None:
        self.cluster = cluster
        self.id = node_id
        self.incarnation = incarnation
        self.world, self.options = cluster.world, cluster.options
        self.disk = cluster.parts.storage(self.world, self.options, Snapshot(configuration=configuration), self)
        self.snapshots = Snapshots(self)
        self.raft: Raft | None = None
        self.boot = 0
        self.deadline = float("inf")  # as of the last step
        self.paused = self.gone = self.halted = False
        self.slowness = 1.0
        self.machine = MachineState()
        make, check = cluster.parts.machine, cluster.parts.check
        self.application = Application(make, check, node_id) if make is not None else None
        self.duties = Duties(self)
        self.states: dict[int, MachineState] = {}  # that the machine went through in this life
        self._met: dict[str, dict[str, bool]] = {}  # incarnations of peers, durable, and whether they were met
        self._followed = Configuration()
        self._rate, self._offset = 1.0, 0.0
        self._inbox: list[Event] = []
        self._wake_at = float("inf")
        self._to_apply: deque[tuple[int, bytes] | Restore] = deque()
        self._applying = self._new = False
        self.contracts: Contracts
        self.restoring: list[int] = []  # snapshots that the machine is to be restored from

    # ------------------------------------------------------------------ lives

    def start(self) -> None:
        """Begin a life, with what the disk holds and with a clock that has nothing to do with the last one's."""
        self.boot += 1
        draw, drift = self.world.random, self.options.clock_drift
        self._rate, self._offset = 1 + draw.uniform(-drift, drift), draw.uniform(0, 1000)
        self._inbox, self._wake_at = [], float("inf")
        self._to_apply.clear()
        self.restoring.clear()
        self._applying = self.paused = self.halted = False
        try:
            stable = self.disk.load()
        except StorageRefused as error:
            self.world.note(self.id, "never starts again, for its disk is damaged:", error)
            self.gone = True
            return
        applied: int | None = None
        if self.options.machine != "durable":
            self._restore(0)
        if self.options.machine == "from the snapshot":
            self._restore(stable.snapshot.index)
        else:
            applied = self.machine.applied
        self.states = {self.machine.applied: self.machine}
        chance = CountedRandom(f"{self.options.luck} {self.id} {self.incarnation} {self.boot}")
        config = self.options.config(self.id, self.boot, self.incarnation)
        self._check_refusals(config, stable)
        self.raft = Raft(config, stable, random=chance, now=self.clock, applied=applied)
        self.world.note(self.id, "starts", self.boot)
        self.deadline = self.raft.deadline
        self.cluster.invariants.started(self.raft, stable)
        self.contracts = Contracts(self.raft, chance, self.clock, stable.term, self.cluster.invariants)
        self.duties.begin()
        self._new = True
        self._wake_after(0.0)

    def _check_refusals(self, config: Config, stable: Stable) -> None:
        """I20: no life begins with a log that has lost what the machine has applied, or with a term that went back."""
        last = max(stable.batches[-1].last if stable.batches else 0, stable.snapshot.index)
        last_term = stable.batches[-1].term if stable.batches else 0
        lost = Stable(last_term - 1, None, stable.snapshot, stable.batches)
        for what, applied in ((stable, last + 1), (lost, None)):
            if what is lost and last_term == 0:
                continue
            try:
                Raft(config, what, random=random.Random(1), now=self.clock, applied=applied)
            except ValueError:
                continue
            raise InvariantViolation("I20", f"{self.id} starts with {what!r:.200}, and applied {applied}")

    def crash(self) -> None:
        """End this life, with everything that was not synced."""
        self.world.note(self.id, "crashes")
        self.raft = None
        self.disk.crash()
        self.cluster.crashed(self.id)

    def pause(self, paused: bool) -> None:
        """Stop or continue, as a stopped process does: nothing is lost, time goes on."""
        self.world.note(self.id, "pauses" if paused else "continues")
        self.paused = paused
        self._wake_after(0.0)

    @property
    def clock(self) -> float:
        """What this node's clock shows."""
        return self._offset + self.world.time * self._rate

    def knows(self, other: "SimulatedNode") -> bool:
        """Whether this node would talk to that one: a configuration named it so, an earlier one too (who joins is told
        of all), or it met no other of its name."""
        if self.raft is not None and state_of(self.raft).configuration is not self._followed:
            self._followed = state_of(self.raft).configuration
            for member in self._followed.members:
                if member.incarnation:
                    self._met.setdefault(member.id, {}).setdefault(member.incarnation, False)
        known = self._met.setdefault(other.id, {})
        if other.incarnation not in known and any(known.values()):
            return False
        known[other.incarnation] = True
        return True

    def reaches(self, other: "SimulatedNode") -> bool:
        """Whether a connection between the two works now, both ways."""
        blocked = self.cluster.network.blocked
        open_ways = (self.id, other.id) not in blocked and (other.id, self.id) not in blocked
        return other.raft is not None and not other.paused and open_ways and self.knows(other) and other.knows(self)

    # ----------------------------------------------------------------- events

    def receive(self, event: Event) -> None:
        """Something happens to this node; it will step soon, with whatever else has come by then."""
        if self.raft is not None:
            self._inbox.append(event)
            self._wake_after(self.world.random.uniform(0, 0.001) * self.slowness)

    def _wake_after(self, delay: float) -> None:
        time = self.world.time + delay
        if time < self._wake_at:
            self._wake_at = time
            boot = self.boot
            self.world.after(delay, lambda: self._wake(boot, time))

    def _wake(self, boot: int, time: float) -> None:
        if self.raft is None or boot != self.boot or time != self._wake_at:
            return
        self._wake_at = float("inf")
        if self.paused:
            return
        if self._inbox or self._new or self.clock >= self.deadline:
            self._step(self.raft)
        if self.raft is not None:
            self._set_timer()
            if self._inbox:
                self._wake_after(self.world.random.uniform(0, 0.0002) * self.slowness)

    def _set_timer(self) -> None:
        if self.deadline < float("inf"):
            self._wake_after(max(0.0, (self.deadline - self.clock) / self._rate) + GRAIN)

    def _step(self, raft: Raft) -> None:
        count = len(self._inbox) if self.world.chance(self.options.gathering) else 1
        events, self._inbox, self._new = self._inbox[:count], self._inbox[count:], False
        for event in events:
            self.world.note(self.id, "<-", event)
        self.world.steps += 1
        now = self.clock
        self.contracts.before(raft, now, events)
        if events:
            self.cluster.cells[type(state_of(raft).role).__name__, type(events[0]).__name__] += 1
        output = raft.step(now, *events)
        self.cluster.check(self, raft, output)
        self.contracts.after(raft, events, output)
        self.duties.noticed(raft, output.notices)
        self.cluster.reached(self, raft, output)
        if self.raft is raft:  # nothing has struck it down before anything left
            self.carry_out(output)

    def carry_out(self, output: Output) -> None:
        """The driver's four rules."""
        if output.write is not None:
            self.world.note(self.id, "writes", output.write)
            self.disk.submit(output.write, self._persisted)
        for message in output.messages:
            self.world.note(self.id, "->", message)
            if not self.cluster.network.send(message) and self.world.chance(self.options.reporting):
                self.receive(PeerUnreachable(message.to))
        for item in output.apply:
            if isinstance(item, Restore):
                self.world.note(self.id, "is to restore", item)
                self._to_apply.append(item)
                self.restoring.append(item.index)
            else:
                self.world.note(self.id, "is to apply", (item.first, item.last))
                self._check_commands(item)
                self._to_apply.extend(enumerate(item.entries, item.first))
        if self._to_apply and not self._applying:
            self._apply_some()
        if output.fetch is not None:
            self.world.note(self.id, "is to fetch", output.fetch)
            self.snapshots.fetch(output.fetch)
        for answer in output.answers:
            self.world.note(self.id, "answers", answer)
        for notice in output.notices:
            self.world.note(self.id, "notices", notice)
        if any(isinstance(notice, Removed) for notice in output.notices):
            self._leave()

    def _check_commands(self, item: Committed) -> None:
        """A driver is told where the commands begin, and which they are."""
        commands, first = item.commands(), item.first_command
        others = len(item.entries) - len(commands)
        head = item.entries[: first - item.first]
        if any(entry[:1] == COMMAND for entry in head) or (not commands) != (first > item.last) or others < len(head):
            raise InvariantViolation("I5", f"{self.id} is to apply {item!r:.200}, with {commands!r:.200} from {first}")

    def _leave(self) -> None:
        """It was removed: it stops now or soon, or lingers on for ever."""
        self.world.note(self.id, "was removed")
        if not self.world.chance(self.options.lingering):
            self.world.after(self.world.random.uniform(0, 0.5), lambda: self.shut_down(self.boot))

    def shut_down(self, boot: int) -> None:
        """Stop for ever, if this is still the life in which it was said."""
        if self.raft is not None and boot == self.boot:
            self.gone = True
            self.crash()

    # ------------------------------------------------- disk and state machine

    def durable(self, write: Write) -> None:
        """This write is on the disk, whether the core knows it or not."""
        self.world.note(self.id, "has on disk", write.seq)
        self.snapshots.written(write)
        self.cluster.invariants.persisted(self.id, write)

    def failed(self, error: Exception) -> None:
        """The disk has failed, and so this life ends (faults F108, F109)."""
        self.world.note(self.id, "stops, for the disk failed:", error)
        if self.raft is not None:
            self.crash()
            self.world.after(self.world.random.uniform(0, 1), lambda: None if self.raft or self.gone else self.start())

    def _persisted(self, seq: int) -> None:
        self.receive(Persisted(seq))

    def halt_machine(self, halted: bool) -> None:
        """Let the state machine stand still, or go on."""
        self.halted = halted
        if self._to_apply and not self._applying and self.raft is not None:
            self._apply_some()

    def _apply_some(self) -> None:
        if self.halted:
            return
        self._applying = True
        boot = self.boot
        delay = self.options.apply_time * self.slowness * self.world.random.uniform(0.3, 2)
        first = self._to_apply[0]
        if isinstance(first, Restore):
            self._to_apply.popleft()
            self.world.after(delay, lambda: self._restored(boot, first))
            return
        entries: list[bytes] = []
        limit = self.world.random.randint(1, len(self._to_apply))
        if self.application is not None:
            limit = min(limit, COMPARED_EVERY - self.machine.applied % COMPARED_EVERY)
        for _ in range(limit):
            item = self._to_apply[0]
            if isinstance(item, Restore):
                break
            entries.append(item[1])
            self._to_apply.popleft()
        self.world.after(delay, lambda: self._applied(boot, entries))

    def _restore(self, index: int) -> None:
        image = self.snapshots.images[index] if index else Image(0, MachineState())
        self.machine = image.state
        if self.application is not None:
            self.application.restore(index, image.application)

    def _restored(self, boot: int, restore: Restore) -> None:
        if boot == self.boot and self.raft is not None:
            self._restore(restore.index)
            self.restoring.remove(restore.index)
            self._confirm([])

    def _applied(self, boot: int, entries: Sequence[bytes]) -> None:
        if boot != self.boot or self.raft is None:
            return
        results: list[bytes] = []
        reference, first = self.cluster.replay.reference, self.machine.applied + 1
        for entry in entries:
            self.machine = self.machine.after(entry)
            if entry[:1] == COMMAND and reference is None:
                results.append(result_of(self.machine.ordinal))
        if reference is not None and self.application is not None:
            results = self.application.apply(first, entries)
            reference.check_results(self.application, first, entries, results)
        self._confirm(results)

    def _confirm(self, results: list[bytes]) -> None:
        self.cluster.replay.check(self.id, self.machine, self.application)
        self.states[self.machine.applied] = self.machine
        self.receive(Applied(self.machine.applied, results if self.options.with_results else ()))
        self.duties.applied()
        self._applying = False
        if self._to_apply:
            self._apply_some()
