"""What a store has told besides its log: who it is, whom it met, which images it keeps.

Law: *a life begins where all lives before it have ended, and never before that* (invariants I20 and I21).
"""

from rafty_core.history import InvariantViolation
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity
from rafty_transports.storage import SqliteStore
from tests.simulation.storage.acquaintances import Acquaintances

Key = tuple[int, int]


class Promises:
    """What was told in all lives of one store.

    identity  who it was in its last life; None: it was never open
    peers     whom it has met
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.peers = Acquaintances()
        self._images: dict[Key, list[bytes]] = {}  # what each image may be: more than one if a try has failed
        self._kept: set[Key] = set()

    def begin(self, identity: Identity, snapshot: Snapshot, image: bytes | None) -> None:
        """The store was made of what another one left: with this snapshot, if any."""
        self.identity = identity
        if snapshot.index and image is not None:
            self.kept(snapshot, image)

    def keeping(self, snapshot: Snapshot, image: bytes) -> None:
        """The store is asked to keep this image."""
        self._images.setdefault(_key(snapshot), []).append(image)

    def kept(self, snapshot: Snapshot, image: bytes) -> None:
        """The store says that it keeps this image."""
        self._images[_key(snapshot)] = [image]
        self._kept.add(_key(snapshot))

    def found(self, store: SqliteStore) -> list[Snapshot]:
        """Snapshots that the store says it has now, and so must have from now on."""
        snapshots = [info.snapshot for info in store.snapshots.infos()]
        self._kept = {_key(snapshot) for snapshot in snapshots}
        return snapshots

    def read(self, store: SqliteStore) -> None:
        """Raise `InvariantViolation` if the newest image is another one than was kept."""
        for key in sorted(self._kept)[-1:]:
            with store.snapshots.open(*key) as file:
                if file.read() not in self._images[key]:
                    raise InvariantViolation("I19", f"the image of the snapshot at {key[0]} is another one")

    @property
    def asked(self) -> set[Key]:
        """The images that the store was ever asked to keep."""
        return set(self._images)

    def image(self, snapshot: Snapshot) -> bytes | None:
        """The image that is kept of this snapshot, if it is known."""
        images = self._images.get(_key(snapshot), [])
        return images[0] if len(images) == 1 else None

    def check(self, store: SqliteStore, number: str, index: int) -> None:
        """Raise the violation `number` if this life of the store goes back behind an earlier one.

        `index` is that of the snapshot that its log starts behind: that image and newer ones must be there. Raises
        `StoreError` or `LookupError` if one cannot be read.
        """
        before, now = self.identity, store.identity
        if before is not None and (now.incarnation, now.cluster_id) != (before.incarnation, before.cluster_id):
            raise InvariantViolation(number, "another store was made in place of the one that was there")
        if before is not None and now.boot <= before.boot:
            raise InvariantViolation(number, f"boot {now.boot} comes after boot {before.boot}")
        self.identity = now
        if not self.peers.settle(store._peers):
            raise InvariantViolation(number, f"the peers met are {store._peers}, not {self.peers.boots}")
        for key in sorted(key for key in self._kept if key[0] >= index):
            with store.snapshots.open(*key) as file:
                image = file.read()
            if image not in self._images[key]:
                raise InvariantViolation(number, f"the image of the snapshot at {key[0]} is another one")
            self._images[key] = [image]


def _key(snapshot: Snapshot) -> Key:
    return snapshot.index, snapshot.term
