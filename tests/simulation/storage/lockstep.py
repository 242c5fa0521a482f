"""The memory store beside the durable one: the same calls, and what is loaded must be the same.

Law: *two stores keep one contract* (invariants I7 and I20); the model is a third opinion.
"""

from collections.abc import Sequence

from rafty_core.history import InvariantViolation
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity, Refused, SnapshotInfo
from rafty_transports.storage import DamagedSnapshot, MemoryStore, WriteRefused
from tests.simulation.storage.model import Model


class Lockstep:
    """A `MemoryStore` that is given what the durable store is given."""

    def __init__(self, node_id: str, initial: Snapshot, join: str | None) -> None:
        configuration = initial.configuration if initial.configuration.voters else None
        self.store = MemoryStore(node_id, configuration, join=join)

    def write(self, writes: Sequence[Write], model: Model) -> None:
        """These are durable, and make `model` of what was there."""
        if writes:
            self.store.write(writes)
        self.check(model)

    def refuse(self, writes: Sequence[Write], why: str, model: Model) -> None:
        """The last one of these is wrong."""
        try:
            self.store.write(writes)
        except WriteRefused:
            self.store = self.store.restarted()
            return self.check(model)
        raise InvariantViolation("I27", f"the memory store does a write though {why}")

    def restart(self, survivors: Sequence[Write], model: Model) -> None:
        """A life has ended; of the writes that were not answered these are durable."""
        self.write(survivors, model)
        self.store = self.store.restarted()
        self.check(model)

    def check(self, model: Model) -> None:
        """Raise `InvariantViolation` if what is loaded is something else than what was written."""
        difference = model.differs(self.store.load())
        if difference:
            raise InvariantViolation("I20", f"the memory store holds something else: {difference}")

    def keep(self, snapshot: Snapshot, image: bytes) -> None:
        """Keep this image."""
        writer = self.store.snapshots.create(snapshot)
        writer.write(image)
        info = writer.finish()
        self._check_kept(info, image)

    def take(self, announced: SnapshotInfo, data: bytes, image: bytes | None) -> None:
        """Take in what another node sends; `image` is None if it is not what was announced."""
        receiver = self.store.snapshots.receive(announced.snapshot, announced.size, announced.digest)
        before = self.store.snapshots.infos()
        try:
            receiver.write(receiver.offset, data[receiver.offset :])
            info = receiver.finish()
        except (DamagedSnapshot, ValueError) as error:
            receiver.abort()
            if image is not None:
                raise InvariantViolation("I20", f"the memory store refuses a snapshot: {error}") from error
            if self.store.snapshots.infos() != before:
                raise InvariantViolation("I19", "the memory store keeps what it has refused") from error
            return
        if image is None:
            raise InvariantViolation("I19", f"the memory store takes what is not {announced}")
        self._check_kept(info, image)

    def meet(self, peer: Identity, refused: bool) -> None:
        """Meet this peer."""
        mine = self.store.identity
        try:
            self.store.meet(peer)
        except Refused as error:
            if not refused:
                raise InvariantViolation("I18", f"the memory store refuses {peer}: {error}") from error
            return
        if refused:
            raise InvariantViolation("I21", f"the memory store of {mine} meets {peer}")

    def _check_kept(self, info: SnapshotInfo, image: bytes) -> None:
        snapshot = info.snapshot
        with self.store.snapshots.open(snapshot.index, snapshot.term) as file:
            if file.read() != image:
                raise InvariantViolation("I19", f"the memory store keeps another image of {snapshot}")
