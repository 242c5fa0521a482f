"""A new cluster of a backup or of a survivor: nothing of the old one is touched, and the two never mix."""

import io
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import CONFIGURATION, NO_OP, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot
from rafty_transports.interfaces import Refused
from rafty_transports.storage import (
    CorruptStore,
    DamagedSnapshot,
    DataDirectoryInUse,
    DataDirectoryUnusable,
    SqliteStore,
    WrongDataDirectory,
)
from rafty_transports.storage.rebirth import (
    check_snapshot_file,
    create_from_snapshot,
    export_snapshot,
    inspect,
    open_snapshot_file,
    recover,
)
from tests.transports.storage_kit import (
    append,
    batch,
    contents,
    file_in,
    flip_bit,
    image_in,
    image_of,
    keep_snapshot,
    log_of,
    open_store,
    snapshot_of,
)

CHANGED = Configuration(voters=(Member("n1", "host:1", "old"), Member("n4", "host:4", "cafe")), lease=Lease(0.5, 0.01))
ALONE = Configuration.of("n1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A survivor: a snapshot at 5, two configurations behind it, a row that straddles the snapshot, a vote."""
    path = tmp_path / "n1"
    with closing(open_store(path)) as store:
        append(store, 1, 1, 4)
        keep_snapshot(store, snapshot_of(5), image_of(5, 30_000))
        configurations = [CONFIGURATION + one.encode() for one in (Configuration.of("n1", "n2"), CHANGED)]
        store.write(
            [
                Write(2, 7, "n2", [batch(5, 2, 1), Batch(7, 7, [b"\x01seven", *configurations, b"\x01ten"])]),
                Write(3, 7, "n2", snapshot=snapshot_of(5), compact_to=4),
            ]
        )
    return path


def everything_in(path: Path) -> dict[str, bytes]:
    return {**contents(path), **(contents(path / "snapshots") if (path / "snapshots").exists() else {})}


def test_inspect(path: Path, tmp_path: Path) -> None:
    before = everything_in(path)
    report = inspect(path)
    assert everything_in(path) == before
    assert (report.damage, report.joined, report.term, report.vote) == ("", False, 7, "n2")
    assert (report.last_index, report.last_term, report.snapshot) == (10, 7, snapshot_of(5))
    assert (report.configuration, report.configuration_index) == (CHANGED, 9)
    assert report.identity is not None
    assert (report.identity.node_id, report.identity.boot, report.identity.bootstrap) == ("n1", 1, "n1,n2,n3")
    with closing(open_store(path)), pytest.raises(DataDirectoryInUse):
        inspect(path)
    with pytest.raises(DataDirectoryUnusable, match="holds no store"):
        inspect(tmp_path / "absent")
    flip_bit(path / "raft.db", 3)
    report = inspect(path)
    assert report.identity is None
    assert "raft.db is damaged" in report.damage


def test_recover_in_place(path: Path) -> None:
    before, old = everything_in(path), inspect(path)
    identity = recover(path)
    kept = path.with_name("n1.before-recovery")
    assert everything_in(kept) == before
    assert old.identity is not None
    assert identity.cluster_id.startswith("rafty.")
    assert identity.cluster_id != old.identity.cluster_id
    assert identity.incarnation != old.identity.incarnation
    alone = Configuration(voters=(Member("n1", "host:1", identity.incarnation),), lease=CHANGED.lease)
    with closing(SqliteStore.open(path, node_id="n1")) as store:
        stable = store.load()
        assert (stable.term, stable.vote, stable.snapshot) == (7, None, Snapshot(5, 1, alone))
        assert log_of(stable) == [*batch(6, 1).entries, b"\x01seven", NO_OP, NO_OP, b"\x01ten"]
        assert image_in(store, stable.snapshot) == image_of(5, 30_000)
        assert (store.identity.cluster_id, store.joined) == (identity.cluster_id, False)
        append(store, 1, 11, term=8)
        with closing(SqliteStore.open(kept, node_id="n1")) as other, pytest.raises(Refused, match="belongs to cluster"):
            other.meet(store.identity)
    assert inspect(path).configuration == alone
    with pytest.raises(WrongDataDirectory, match=r"was restored or recovered as cluster .* without an initial"):
        open_store(path)
    with pytest.raises(DataDirectoryUnusable, match="is there from an earlier recovery"):
        recover(path)


def test_recover_before_any_snapshot(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 5, term=3)
    identity = recover(tmp_path / "n1", cluster="prod", members=Configuration.of("n1", "n5"), into=tmp_path / "new")
    assert identity.cluster_id.startswith("prod.")
    assert inspect(tmp_path / "n1").last_index == 5
    with closing(SqliteStore.open(tmp_path / "new", node_id="n1", cluster="prod")) as store:
        assert log_of(store.load()) == list(batch(1, 5, 3).entries)
        assert store.load().snapshot.configuration.voter_ids == ("n1", "n5")
        assert store.load().term == 3
    with pytest.raises(DataDirectoryUnusable, match="holds a store already"):
        recover(tmp_path / "n1", into=tmp_path / "new")


def test_recover_refused(path: Path) -> None:
    before = everything_in(path)
    with pytest.raises(ValueError, match="does not name this node, n1"):
        recover(path, members=Configuration.of("n5"))
    (file,) = (path / "snapshots").iterdir()
    flip_bit(file, 8 * 20_000)
    with pytest.raises(DamagedSnapshot):
        recover(path)
    flip_bit(file, 8 * 20_000)
    with closing(open_store(path)), pytest.raises(DataDirectoryInUse):
        recover(path)
    assert {**before, **everything_in(path)}.keys() == before.keys()
    (path / "mark").unlink()
    with pytest.raises(CorruptStore, match="mark is gone"):
        recover(path)


@pytest.mark.parametrize("name", ["new-mark", "1.new", "new-raft.db", "n1", "n1.recovered"])
def test_recover_again_after_a_crash(path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The process is killed right before any of the renames; the next attempt finishes, and finds everything."""
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if self.name == name:
            raise SystemExit
        return rename(self, target)

    before = everything_in(path)
    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(SystemExit):
        recover(path)
    monkeypatch.undo()
    identity = recover(path)
    assert everything_in(path.with_name("n1.before-recovery")) == before
    assert {file.name for file in path.parent.iterdir()} == {"n1", "n1.before-recovery"}
    with closing(SqliteStore.open(path, node_id="n1", join=identity.cluster_id)) as store:
        assert len(log_of(store.load())) == 5
        assert image_in(store, snapshot_of(5)) == image_of(5, 30_000)


def test_backup_and_restore(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    with closing(open_store(path)) as store:
        old = store.identity
        info = export_snapshot(store.snapshots, 5, 1, backup)
        assert backup.read_bytes() == file_in(store, snapshot_of(5))
        with pytest.raises(FileExistsError, match="give another name"):
            export_snapshot(store.snapshots, 5, 1, backup)
        with pytest.raises(LookupError):
            export_snapshot(store.snapshots, 6, 1, tmp_path / "none")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["backup", "n1"]
    found = check_snapshot_file(backup)
    assert (found.info, found.cluster_id, found.node_id) == (info, old.cluster_id, "n1")
    with open_snapshot_file(backup) as (found, image):
        snapshot = Snapshot(found.info.snapshot.index, found.info.snapshot.term, ALONE)
        identity = create_from_snapshot(
            tmp_path / "new", node_id="n1", cluster="rafty", snapshot=snapshot, image=image, term=9
        )
    assert identity.cluster_id != old.cluster_id
    with closing(SqliteStore.open(tmp_path / "new", node_id="n1", join=identity.cluster_id)) as store:
        stable = store.load()
        assert (stable.term, stable.vote, stable.batches) == (9, None, [])
        assert stable.snapshot == Snapshot(5, 1, Configuration(voters=(Member("n1", "", identity.incarnation),)))
        assert image_in(store, stable.snapshot) == image_of(5, 30_000)
        append(store, 1, 6, term=10)


def test_restore_refused(path: Path, tmp_path: Path) -> None:
    (file,) = (path / "snapshots").iterdir()
    flip_bit(file, 8 * 20_000)
    with pytest.raises(DamagedSnapshot, match="its content does not match its digest; use another copy"):
        check_snapshot_file(file)
    with pytest.raises(DamagedSnapshot), open_snapshot_file(file):
        pytest.fail("a damaged snapshot was opened")
    with closing(open_store(path)) as store, pytest.raises(DamagedSnapshot):
        export_snapshot(store.snapshots, 5, 1, tmp_path / "backup")
    assert not (tmp_path / "backup.new").exists()
    for where, match in ((path, "holds a store already"), (tmp_path, "not empty")):
        with pytest.raises(DataDirectoryUnusable, match=match):
            create_from_snapshot(
                where, node_id="n1", cluster="rafty", snapshot=Snapshot(5, 1, ALONE), image=io.BytesIO()
            )


def test_restore_again_after_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def crash(self: Path, target: Path) -> Path:
        if self.name == "new-raft.db":
            raise SystemExit
        return rename(self, target)

    def restore() -> None:
        snapshot = Snapshot(5, 1, ALONE)
        create_from_snapshot(
            tmp_path / "n1", node_id="n1", cluster="rafty", snapshot=snapshot, image=io.BytesIO(b"image")
        )

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(SystemExit):
        restore()
    assert (tmp_path / "n1" / "snapshots").exists()
    monkeypatch.undo()
    restore()
    with closing(SqliteStore.open(tmp_path / "n1", node_id="n1")) as store:
        assert image_in(store, snapshot_of(5)) == b"image"
