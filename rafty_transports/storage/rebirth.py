"""A new cluster goes on from what an old one left: from a backup, or from one survivor's data directory.

Law: *what goes on is a new cluster with an id that never was, and what it was made from stays as it is.*

The members of the old cluster may still be somewhere, with votes and entries that the new one knows nothing of; by the
new id both refuse each other (so that no second half of a cluster comes back). Terms go on, so that no term is used
twice. A backup is nothing but a snapshot file. A survivor's log is kept, entry by entry, but for the configurations in
it, which name members of the old cluster: they become no-ops, and the new configuration holds from the beginning.

A new data directory is built beside the old one and takes its place by two renames; the old one is kept under another
name. Whatever a crash leaves in between is recognised and finished by the next attempt.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import CONFIGURATION, NO_OP, Batch
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Identity, SnapshotInfo, SnapshotStore
from rafty_transports.storage.connection import disk_errors
from rafty_transports.storage.datadir import DataDirectory, is_taken, put_in_place, sync_directory, written_anew
from rafty_transports.storage.errors import CorruptStore, DataDirectoryUnusable, UnknownFormat
from rafty_transports.storage.examine import Contents, build, examine
from rafty_transports.storage.identity import Birth, reborn
from rafty_transports.storage.snapshot_files import name_of
from rafty_transports.storage.snapshot_format import PIECE, Encoder, SnapshotFile, body_of, verify


@dataclass(frozen=True, slots=True)
class Report:
    """What a data directory holds, for a person who decides what to do with it.

    `damage` is "" or the sentence that opening it would be refused with; everything else is empty then. `configuration`
    is the one in force at the end of the log, and stands at `configuration_index`; whether it was committed is unknown.
    """

    path: Path
    damage: str = ""
    identity: Identity | None = None
    joined: bool = False
    term: int = 0
    vote: str | None = None
    last_index: int = 0
    last_term: int = 0
    snapshot: Snapshot = field(default_factory=Snapshot)
    configuration: Configuration = field(default_factory=Configuration)
    configuration_index: int = 0


def inspect(path: str | Path) -> Report:
    """Look at a data directory that no process uses, and change nothing in it.

    Damage is in the report. Raises `DataDirectoryInUse`, `DataDirectoryUnusable` and `UnknownFormat`.

    Not promised: that what is seen is durable, for who wrote it may have been killed before that. Opening the store
    makes it durable.
    """
    directory = DataDirectory(Path(path))
    with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
        try:
            directory.exists()
        except CorruptStore as error:
            return Report(directory.path, str(error))
    with looked_at(path) as report:
        return report


@contextmanager
def looked_at(path: str | Path) -> Iterator[Report]:
    """Look at a data directory as `inspect` does. In this block no other process uses it."""
    directory = DataDirectory(Path(path))
    with _locked(directory):
        try:
            with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
                report = _report(directory.path, _contents(directory))
        except CorruptStore as error:
            report = Report(directory.path, str(error))
        yield report


def survivor_of(path: str | Path) -> Path:
    """Where a survivor's directory is now: under its other name if a recovery ended before the last rename (R125).

    Raises kinds of `StoreError` for what is neither a store nor empty.
    """
    directory = DataDirectory(Path(path))
    with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
        return directory.kept if directory.is_half_recovered() else directory.path


def check_snapshot_file(path: str | Path) -> SnapshotFile:
    """Verify a snapshot file or backup wherever it lies; returns what it is.

    Raises `DamagedSnapshot`, `UnknownFormat`, or `OSError`.
    """
    with Path(path).open("rb") as file:
        return verify(file, path)


@contextmanager
def open_snapshot_file(path: str | Path) -> Iterator[tuple[SnapshotFile, BinaryIO]]:
    """Verify a snapshot file or backup; gives what it is, and the state machine's image, to be read once.

    Raises as `check_snapshot_file` does.
    """
    with Path(path).open("rb") as file:
        found = verify(file, path)
        yield found, body_of(file, found)


def export_snapshot(snapshots: SnapshotStore, index: int, term: int, target: str | Path) -> SnapshotInfo:
    """Copy a stored snapshot into the file `target`; when this returns it is there for good.

    Whatever ends this, what has the name `target` is whole and verified. After an `OSError` it may be there and not be
    durable: call again. A kill leaves at most a file with ".new" behind its name, which the next call writes anew.

    Raises `FileExistsError` if something is there, whatever it is, and its name is durable then; or if another process
    is writing it. Raises `PermissionError`, before anything is written, if the directory of `target` must not be read:
    a name in it could not be made durable. Raises `LookupError` if the snapshot is not stored, `DamagedSnapshot`, and
    other kinds of `OSError`.
    """
    target = Path(target)
    sync_directory(target.parent)  # what is there may be of a call that was killed before it was durable (R183)
    if is_taken(target):
        raise FileExistsError(f"{target} is there already; give another name")
    with written_anew(target) as temporary:
        with temporary.open("wb") as file:
            while data := snapshots.read(index, term, file.tell(), PIECE):
                file.write(data)
        return check_snapshot_file(temporary).info


def create_from_snapshot(
    path: str | Path, *, node_id: str, cluster: str, snapshot: Snapshot, image: BinaryIO, term: int = 0
) -> Identity:
    """Create the data directory of the first node of a new cluster, whose log starts behind this snapshot.

    cluster   the new cluster's name; its id is this name, a dot, and digits that are drawn
    snapshot  index and term go on from the old cluster; the configuration is the new one, and names this node
    image     the state machine's image: the body of the old snapshot, say
    term      the term that the node is in; at least the snapshot's

    Returns whose it is now. Raises `ValueError`, and `DataDirectoryUnusable` if something is there; if that is a store,
    it is durable, but for its name where the directory above must not be read.
    """
    birth = reborn(node_id, cluster, snapshot.configuration)
    return _create(Path(path), birth, snapshot, image, (), max(term, snapshot.term))


def recover(
    path: str | Path,
    *,
    cluster: str | None = None,
    members: Configuration | None = None,
    into: str | Path | None = None,
) -> Identity:
    """Make a survivor's data directory that of the first node of a new cluster, with everything that it holds.

    cluster  the new cluster's name; None: the old one's
    members  the new configuration, which names the survivor; None: the survivor alone, as voter
    into     the new data directory. None: it takes the place of the old one, which is then kept beside it under the
             same name with ".before-recovery" behind it; where that cannot be, for it is a mount point, say, give
             another path

    Entries that the survivor holds become part of the new cluster's history though they may not have been committed;
    what it does not hold is lost, committed or not. What lies under the name with ".recovered" behind it is removed
    if no node has used it, once all is verified that takes its place.

    Returns whose the directory is now. Raises `ValueError` for a name or members that cannot be, and kinds of
    `StoreError`; the old directory is then as it was, or beside it under the name that ends with ".before-recovery":
    the next call goes on then, and no node begins anew meanwhile.
    """
    directory = DataDirectory(Path(path))
    built = directory.recovered if into is None else Path(into)
    with disk_errors(f"{directory.path} cannot be recovered", DataDirectoryUnusable):
        if into is None and directory.is_half_recovered():
            return _finish(directory)
        with _locked(directory):
            if into is None:
                _refuse_kept(directory)  # not before: another one may be recovering (R189)
            old = _contents(directory)
            birth = _reborn(old, cluster, members)
            batches = list(_without_configurations(old))
            with _image_of(directory, old.snapshot) as image:
                if into is None and built.exists():
                    _remove_unused(built)  # not before all is verified that takes its place (R184)
                identity = _create(built, birth, old.snapshot, image, batches, old.state.term)
            if into is not None:
                return identity
            return _take_place(directory, moving=True)


def _finish(directory: DataDirectory) -> Identity:
    """Do the last rename of an earlier recovery, if nobody else does it: who moved the old one has its lock (R196)."""
    old = DataDirectory(directory.kept)
    old.lock()
    try:
        if not directory.is_half_recovered():
            _refuse_kept(directory)
        return _take_place(directory, moving=False)
    except (CorruptStore, UnknownFormat) as error:
        raise DataDirectoryUnusable(
            f"what a recovery has built is damaged ({str(error).partition('; ')[0]}); rename {old.path}, which is as "
            f"it was, to {directory.path}, then move {directory.recovered} elsewhere, and begin again"
        ) from error
    finally:
        old.release()


def _take_place(directory: DataDirectory, *, moving: bool) -> Identity:
    """What was built takes its place; the old directory, whose lock is held, is moved before, or was."""
    path, built = directory.path, DataDirectory(directory.recovered)
    with _locked(built):
        found = _contents(built)
        if moving:
            path.rename(directory.kept)
        elif path.exists():
            _clear(directory)
        sync_directory(path.parent)  # or the second rename may survive the first, and the old directory be gone (R182)
        built.path.rename(path)
        sync_directory(path.parent)
    return _identity(found.birth, found.state.boot)


def _clear(directory: DataDirectory) -> None:
    """Remove a directory without a store, which somebody made where another one belongs."""
    directory.lock()
    try:
        if not directory.is_half_recovered():
            _refuse_kept(directory)
            raise DataDirectoryUnusable(f"{directory.path} has just come to hold a store; look again")
        directory.remove()
    finally:
        directory.release()


def _refuse_kept(directory: DataDirectory) -> None:
    if directory.kept.exists():
        sync_directory(directory.path.parent)  # or it is moved, and the new one has not its place for good (R185)
        raise DataDirectoryUnusable(f"{directory.kept} is there from an earlier recovery; move it elsewhere first")


def _remove_unused(built: Path) -> None:
    """Remove what an earlier attempt built, if it ended before that took anything's place, and nobody used it since.

    In this order, so that the next attempt sees what it is if this one breaks off (R176); and under its lock, so that
    nobody begins to use it meanwhile (R195).
    """
    directory = DataDirectory(built)
    directory.exists()  # raises for what is none
    directory.lock()
    try:
        if directory.exists():
            if not _is_unused(directory):
                raise DataDirectoryUnusable(f"{built} is in the way, and was used or is damaged; move it elsewhere")
            directory.database.unlink()
        sync_directory(built)  # even if it was gone before: who removed it may have been killed before this sync (R181)
        directory.remove()
    finally:
        directory.release()


def _is_unused(directory: DataDirectory) -> bool:
    try:
        return examine(directory, None).state.boot == 0
    except CorruptStore:
        return False


def _reborn(old: Contents, cluster: str | None, members: Configuration | None) -> Birth:
    node_id = old.birth.node_id
    if members is None:
        _, configuration = _configuration(old)
        itself = configuration.member(node_id) or Member(node_id)
        members = Configuration(voters=(itself,), lease=configuration.lease)
    return reborn(node_id, cluster or old.birth.cluster, members)


@contextmanager
def _image_of(directory: DataDirectory, snapshot: Snapshot) -> Iterator[BinaryIO | None]:
    """The verified image of the snapshot that a log starts behind; None if it starts at the beginning."""
    if snapshot.index == 0:
        yield None
        return
    with open_snapshot_file(directory.snapshots / name_of(snapshot)) as (_, image):
        yield image


def _create(
    path: Path, birth: Birth, snapshot: Snapshot, image: BinaryIO | None, batches: list[Batch] | tuple[()], term: int
) -> Identity:
    directory = DataDirectory(path)
    snapshot = replace(snapshot, configuration=birth.initial)
    with disk_errors(f"{path} cannot be created", DataDirectoryUnusable):
        _refuse_store(directory)
        directory.make()
        directory.lock()
        try:
            _refuse_store(directory)  # somebody may have made it meanwhile (R188)
            database = directory.begin_creation()
            if image is not None:
                _write_snapshot(directory, birth, snapshot, image)
            build(directory, database, birth, snapshot, batches, term)
        finally:
            directory.release()
    return _identity(birth, 0)


def _refuse_store(directory: DataDirectory) -> None:
    if directory.exists():
        directory.sync_name()
        sync_directory(directory.path)  # it may be of a call that was killed before it was durable (R186)
        raise DataDirectoryUnusable(f"{directory.path} holds a store already; give an empty directory")


def _write_snapshot(directory: DataDirectory, birth: Birth, snapshot: Snapshot, image: BinaryIO) -> None:
    directory.snapshots.mkdir()
    sync_directory(directory.path)
    temporary = directory.snapshots / "1.new"
    with temporary.open("wb", buffering=PIECE) as file:
        encoder = Encoder(file, snapshot, birth.cluster_id, birth.node_id)
        while data := image.read(PIECE):
            encoder.body(data)
        encoder.end()
    put_in_place(temporary, directory.snapshots / name_of(snapshot))


@contextmanager
def _locked(directory: DataDirectory) -> Iterator[None]:
    """The directory holds a store, or what is left of one, and no other process uses it."""
    with disk_errors(f"{directory.path} cannot be used", DataDirectoryUnusable):
        with suppress(CorruptStore):
            _refuse_nothing(directory)
        directory.lock()
    try:
        yield
    finally:
        directory.release()


def _contents(directory: DataDirectory) -> Contents:
    _refuse_nothing(directory)
    return examine(directory, None)


def _refuse_nothing(directory: DataDirectory) -> None:
    if not directory.exists():
        raise DataDirectoryUnusable(f"{directory.path} holds no store")


def _report(path: Path, found: Contents) -> Report:
    state = found.state
    index, configuration = _configuration(found)
    return Report(
        path,
        "",
        _identity(found.birth, state.boot),
        found.birth.joined,
        state.term,
        state.vote,
        state.last_index,
        state.last_term,
        found.snapshot,
        configuration,
        index,
    )


def _identity(birth: Birth, boot: int) -> Identity:
    return Identity(birth.cluster_id, birth.node_id, birth.incarnation, boot, birth.bootstrap)


def _configuration(found: Contents) -> tuple[int, Configuration]:
    """The newest configuration in the log, else the snapshot's, and the index where it stands."""
    for batch in reversed(found.batches):
        if CONFIGURATION[0] in batch.kinds:
            for index in range(batch.last, max(batch.first - 1, found.snapshot.index), -1):
                entry = batch.entries[index - batch.first]
                if entry[0] == CONFIGURATION[0]:
                    return index, Configuration.decode(entry[1:])
    return found.snapshot.index, found.snapshot.configuration


def _without_configurations(found: Contents) -> Iterator[Batch]:
    """The log behind the snapshot, with a no-op in the place of each configuration."""
    for batch in found.batches:
        batch = batch.slice_from(max(batch.first, found.snapshot.index + 1))
        if CONFIGURATION[0] in batch.kinds:
            entries = [NO_OP if entry[0] == CONFIGURATION[0] else entry for entry in batch.entries]
            batch = Batch(batch.first, batch.term, entries)
        yield batch
