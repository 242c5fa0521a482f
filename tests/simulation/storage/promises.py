"""What a store has told besides its log: who it is, whom it met, which images it keeps.

Law: *a life begins where all lives before it have ended, and never before that* (invariants I20 and I21).
"""

from rafty_core.history import InvariantViolation
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity
from rafty_transports.storage import SqliteStore

Key = tuple[int, int]


class Promises:
    """What was told in all lives of one store.

    identity  who it was in its last life; None: it was never open
    met       incarnations of the peers that it has met
    meeting   the one that it was asked to meet, and has not answered for
    """

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.met: dict[str, str] = {}
        self.meeting: dict[str, str] = {}
        self._images: dict[Key, list[bytes]] = {}  # what each image may be: more than one if a try has failed
        self._kept: set[Key] = set()

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

    def answered(self) -> None:
        """It has met whom it was asked to meet."""
        self.met.update(self.meeting)
        self.meeting = {}

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
        met = store.met()
        if met not in (self.met, {**self.met, **self.meeting}):
            raise InvariantViolation(number, f"the peers met are {met}, not {self.met}")
        self.met, self.meeting = met, {}
        for key in sorted(key for key in self._kept if key[0] >= index):
            with store.snapshots.open(*key) as file:
                image = file.read()
            if image not in self._images[key]:
                raise InvariantViolation(number, f"the image of the snapshot at {key[0]} is another one")
            self._images[key] = [image]


def _key(snapshot: Snapshot) -> Key:
    return snapshot.index, snapshot.term
