"""Snapshots of one checked store: written in pieces, taken in from another node, read, and let go.

Law: *what the store says it has is there, whole and what was announced; of everything else nothing is left* (faults
F80, F82 to F84, F110, F119, F131).
"""

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import SnapshotInfo
from rafty_transports.storage import DamagedSnapshot, SqliteStore, StoreError
from rafty_transports.storage.snapshot_files import FileReceiver, FileWriter
from rafty_transports.storage.snapshot_format import Encoder
from tests.simulation.storage.faults import PowerCut
from tests.simulation.storage.names import check_names

if TYPE_CHECKING:
    from tests.simulation.storage.lives import Lives


@dataclass
class Coming:
    """A snapshot that another node sends: what it announces, and the bytes that it sends.

    image  the state machine's image if all of it is true; None: something is not what was announced
    """

    announced: SnapshotInfo
    data: bytes
    image: bytes | None


def draw_coming(draw: random.Random, snapshot: Snapshot, image: bytes, cluster_id: str) -> Coming:
    """What another node sends of this snapshot: sometimes not what it announces."""
    file = io.BytesIO()
    encoder = Encoder(file, snapshot, cluster_id, "n2")
    encoder.body(image)
    info = encoder.end()
    data = file.getvalue()
    if draw.random() < 0.6:
        return Coming(info, data, image)
    place = draw.randrange(len(data))
    other = replace(snapshot, configuration=Configuration.of("n1", "n9"))
    lies = (
        Coming(info, data[:place] + bytes([data[place] ^ 1 << draw.randrange(8)]) + data[place + 1 :], None),
        Coming(replace(info, size=place), data[:place], None),
        Coming(replace(info, snapshot=other), data, None),
        Coming(replace(info, snapshot=replace(snapshot, index=snapshot.index + 1)), data, None),
        Coming(replace(info, snapshot=replace(snapshot, term=snapshot.term + 1)), data, None),
        Coming(replace(info, digest=draw.choice(("../../../", "/", "0")) + info.digest), data, None),
        Coming(replace(info, size=info.size + 10), data + bytes(10), None),
    )
    if draw.random() < 0.15 and not cluster_id.endswith("f"):
        return replace(draw_coming(draw, snapshot, image, cluster_id[:-1] + "f"), image=None)
    return draw.choice(lies)


class Images:
    """The snapshots of a checked store.

    writing  the image that is being written in pieces, with what it is of and its pieces so far
    """

    def __init__(self, checked: "Lives") -> None:
        self.writing: tuple[FileWriter, Snapshot, bytes] | None = None
        self._checked = checked
        self._receiver: FileReceiver | None = None
        self._announced: SnapshotInfo | None = None
        self._here = (0, 0)  # how many bytes of it are there at least, and at most
        self._overtaken = False  # whether another one has begun to come in while that one was finished

    # ------------------------------------------------------------------- written

    def keep(self, snapshot: Snapshot, image: bytes) -> None:
        """Keep this image durably. Raises `PowerCut`: the life is over; and `OSError`: it is not kept."""
        self.begin(snapshot)
        self.go_on(image)
        self.finish()

    def begin(self, snapshot: Snapshot) -> None:
        """Begin to write an image. Raises as `keep` does."""
        with self._writing() as store:
            self.give_up()
            writer = store.snapshots.create(snapshot)
            self.writing = (writer, snapshot, b"")
        self.check_names(store)

    def go_on(self, piece: bytes) -> None:
        """Write this piece. Raises as `keep` does."""
        assert self.writing is not None
        writer, snapshot, image = self.writing
        with self._writing() as store:
            writer.write(piece)
            self.writing = (writer, snapshot, image + piece)
        self.check_names(store)

    def finish(self) -> None:
        """The image is whole. Raises as `keep` does."""
        assert self.writing is not None
        writer, snapshot, image = self.writing
        promises = self._checked.promises
        promises.keeping(snapshot, image)
        with self._writing() as store:
            if self._checked.draw.random() < 0.3:
                self._checked.disk.meanwhile(self._checked.draw.randrange(3), self._meanwhile(None))
            info = writer.finish()
            self.writing = None
        if info.snapshot != snapshot:
            raise InvariantViolation("I19", f"{info} is kept in place of {snapshot}")
        promises.kept(snapshot, image)
        self._read_back(store, snapshot, image)

    def give_up(self) -> None:
        """What is being written is not wanted; called in the store's world."""
        writing, self.writing = self.writing, None
        if writing is not None:
            writing[0].abort()

    @contextmanager
    def _writing(self) -> Iterator[SqliteStore]:
        try:
            with self._working() as store:
                yield store
        except OSError:
            self.writing = None  # what raises has left nothing behind
            self.check_names(self._checked.running())
            raise

    # ------------------------------------------------------------------ taken in

    def take(self, coming: Coming, pieces: int, other: Coming | None = None) -> bool:
        """Go on with what is coming in, by so many pieces; returns whether that has come to its end.

        While it is finished, `other` may begin to come in. Raises `PowerCut`: the life is over; and `OSError`: it goes
        on another time.
        """
        checked, draw = self._checked, self._checked.draw
        before = {info.snapshot for info in checked.running().snapshots.infos()}
        snapshot, size = coming.announced.snapshot, coming.announced.size
        with self._working() as store:
            receiver = self._begin(store, coming)
        for _ in range(pieces):
            left = size - receiver.offset
            if not left:
                break
            self._take_piece(receiver, coming, draw.randint(1, left) if draw.random() < 0.7 else left)
        if receiver.offset < size and draw.random() < 0.95:
            return False
        whole = receiver.offset == size and not self._checked.torn
        if coming.image is not None:
            checked.promises.keeping(snapshot, coming.image)
        self._here, self._overtaken = (0, size), False
        try:
            with self._working() as store:
                if other is not None or draw.random() < 0.3:
                    checked.disk.meanwhile(draw.randrange(3), self._meanwhile(other))
                receiver.finish()
        except (DamagedSnapshot, ValueError) as error:
            return self._refused(coming, error, whole, before)
        except StoreError as error:
            raise InvariantViolation("I20", f"a snapshot that came in is not kept: {error}") from error
        if not self._overtaken:
            self._announced = self._receiver = None
        if coming.image is None:
            raise InvariantViolation("I19", f"what came in is not what was announced, {coming.announced}, and is kept")
        checked.promises.kept(snapshot, coming.image)
        self._read_back(store, snapshot, coming.image)
        return True

    def _begin(self, store: SqliteStore, coming: Coming) -> FileReceiver:
        announced = coming.announced
        goes_on = announced == self._announced
        least, most = self._here if goes_on else (0, 0)
        if self._checked.torn:  # or one that was announced before it is there again
            least, most = 0, announced.size
        self._announced, self._here = announced, (0, most)
        receiver = store.snapshots.receive(announced.snapshot, announced.size, announced.digest)
        if not least <= receiver.offset <= most:
            raise InvariantViolation("I20", f"{receiver.offset} bytes of {announced} are there, not {least} to {most}")
        if not receiver.offset:
            self._checked.torn = False
        self._receiver, self._here = receiver, (receiver.offset, receiver.offset)
        return receiver

    def _take_piece(self, receiver: FileReceiver, coming: Coming, count: int) -> None:
        offset, data = receiver.offset, coming.data
        self._here = (offset, offset + count)
        if self._checked.draw.random() < 0.1:
            wrong = self._checked.draw.choice((offset + 1, max(0, offset - 1), len(data) + 1))
            if wrong != offset:
                self._take_wrong(receiver, wrong, data[wrong : wrong + count])
        try:
            with self._working():
                receiver.write(offset, data[offset : offset + count])
        except OSError:
            self._here = (receiver.offset, offset + count)
            raise
        self._here = (receiver.offset, receiver.offset)
        if receiver.offset != offset + count:
            raise InvariantViolation("I20", f"{count} bytes were taken at {offset}, and that makes {receiver.offset}")

    def _take_wrong(self, receiver: FileReceiver, wrong: int, data: bytes) -> None:
        offset = receiver.offset
        with self._working():
            try:
                receiver.write(wrong, data or b"x")
            except ValueError:
                if receiver.offset == offset:
                    return
        raise InvariantViolation("I27", f"bytes at {wrong} are taken, and {offset} are there")

    def _refused(self, coming: Coming, error: Exception, whole: bool, before: set[Snapshot]) -> bool:
        """What came in is refused: rightly so, and nothing of it is left."""
        store = self._checked.running()
        if isinstance(error, ValueError):
            if not self._overtaken:
                raise InvariantViolation("I20", f"a snapshot that came in is refused: {error}") from error
            return True
        if coming.image is not None and whole:
            raise InvariantViolation("I20", f"a snapshot that came in is refused: {error}") from error
        if not self._overtaken:
            self._announced = self._receiver = None
            self._checked.torn = False
        if {info.snapshot for info in store.snapshots.infos()} - before:
            raise InvariantViolation("I19", "what was refused is kept") from error
        self.check_names(store, coming=self._overtaken)
        return True

    # ----------------------------------------------------------------- meanwhile

    def _meanwhile(self, coming: Coming | None) -> Callable[[], bool]:
        """What another thread does in between: it begins to take in this snapshot, or reads one, or lets some go."""
        checked = self._checked
        store = checked.running()

        def call() -> bool:
            if store._lock.locked() or store.snapshots._lock.locked():
                return False
            try:
                if coming is not None:
                    self._overtaken = True
                    self._begin(store, coming)
                elif checked.draw.random() < 0.5:
                    checked.promises.read(store)
                else:
                    store.snapshots.retain(1)
                    checked.promises.found(store)
            except (OSError, LookupError):
                pass
            return True

        return call

    # -------------------------------------------------------------------- checks

    def check_names(self, store: SqliteStore, *, coming: bool = True) -> None:
        """Nothing lies in the data directory without a reason."""
        kept = [(info.snapshot.index, info.snapshot.term) for info in store.snapshots.infos()]
        checked = self._checked
        if not checked.damaged:
            asked = checked.promises.asked
            check_names(checked.disk, checked.path, kept, asked, writing=self.writing is not None, coming=coming)

    def check_begun(self, store: SqliteStore) -> None:
        """A life has begun: what the one before was writing is gone."""
        self.writing = self._receiver = None
        self.check_names(store, coming=(store.snapshots.path / "announced").exists())

    def check_closed(self, store: SqliteStore) -> None:
        """A store that is closed takes nothing more, and nothing that was begun is left; called in its world."""
        writing, self.writing = self.writing, None
        receiver, self._receiver = self._receiver, None
        calls: list[tuple[str, Callable[[], object]]] = [
            ("begins an image", lambda: store.snapshots.create(Snapshot(9, 9))),
            ("takes in an image", lambda: store.snapshots.receive(Snapshot(9, 9), 9, "9")),
            ("lets images go", lambda: store.snapshots.retain(1)),
        ]
        if writing is not None:
            calls.append(("goes on with an image", lambda: writing[0].write(b"x")))
            calls.append(("finishes an image", writing[0].finish))
        if receiver is not None:
            calls.append(("takes in more of an image", lambda: receiver.write(receiver.offset, b"x")))
        for what, call in calls:
            try:
                call()
            except (StoreError, ValueError, OSError):
                continue
            raise InvariantViolation("I27", f"a store that is closed {what}")
        self.check_names(store)

    def _read_back(self, store: SqliteStore, snapshot: Snapshot, image: bytes) -> None:
        try:
            with self._checked.quietly(), store.snapshots.open(snapshot.index, snapshot.term) as file:
                found = file.read()
        except (StoreError, LookupError) as error:
            raise InvariantViolation("I20", f"an image that was kept cannot be read: {error}") from error
        if found != image:
            raise InvariantViolation("I19", f"another image is kept of {snapshot}")
        self.check_names(store)

    @contextmanager
    def _working(self) -> Iterator[SqliteStore]:
        """In this block the store works; what fails on the disk may be told, and the store goes on without it."""
        checked = self._checked
        store, faults = checked.running(), checked.disk.faults
        first = not store.snapshots.path.exists()  # what is done for the first time is tried more
        if checked.worse and checked.draw.random() < (0.6 if first else checked.worse):
            checked.disk.faults = replace(faults, sync_failing=0.3, full=0.1, cutting=max(faults.cutting, 0.4))
        try:
            with checked.working():
                yield store
        except PowerCut:
            self.writing = self._receiver = None
            raise
        finally:
            checked.disk.faults = faults
            checked.goes_on()
