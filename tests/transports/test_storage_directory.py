"""A data directory is created whole or not at all, checked at every start, and never changed by a refusal."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rafty_core.configuration import Configuration, Member
from rafty_transports.storage import (
    CorruptStore,
    DataDirectoryInUse,
    DataDirectoryUnusable,
    LostWrites,
    SqliteStore,
    StoreError,
    UnknownFormat,
    WrongDataDirectory,
)
from rafty_transports.storage.datadir import KEPT, RECOVERED
from rafty_transports.storage.rebirth import inspect, recover, survivor_of
from tests.transports.storage_kit import (
    VOTERS,
    append,
    batch,
    contents,
    expected_log,
    image_after_kill,
    log_of,
    open_store,
    output_of,
    run_child,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A data directory as a killed process leaves it: three entries, a write-ahead log."""
    with closing(open_store(tmp_path / "n0")) as store:
        append(store, 1, 1, 2)
        append(store, 2, 3, 1)
        return image_after_kill(tmp_path / "n0", tmp_path / "n1")


def refused(path: Path, kind: type[StoreError], match: str, **changes: Any) -> None:
    """Opening is refused, in one sentence that matches, and changes nothing."""
    before = contents(path) if path.is_dir() else None
    with pytest.raises(kind, match=match) as caught:
        open_store(path, **changes)
    assert "\n" not in str(caught.value)
    assert before == (contents(path) if path.is_dir() else None)


def change_database(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path / "raft.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()


def test_open_after_kill(path: Path) -> None:
    with closing(open_store(path)) as store:
        assert log_of(store.load()) == expected_log(batch(1, 3))
        assert store.identity.boot == 2
    with closing(open_store(path, initial=None)) as store:
        assert store.load().snapshot.configuration == VOTERS
        assert store.identity.boot == 3


def test_open_keeps_addresses_and_learners(tmp_path: Path) -> None:
    initial = Configuration(voters=(Member("n1", "host:1"),), learners=(Member("n2", "host:2", "cafe"),))
    open_store(tmp_path / "n1", initial=initial).close()
    with closing(open_store(tmp_path / "n1", initial=Configuration.of("n1"))) as store:
        assert store.load().snapshot.configuration == initial


def test_refused_directory_of_another(path: Path) -> None:
    refused(path, WrongDataDirectory, "belongs to node n1, not to n2", node_id="n2")
    refused(path, WrongDataDirectory, "belongs to cluster rafty, not to other", cluster="other")
    other = Configuration.of("n1", "n2")
    refused(path, WrongDataDirectory, "with the voters n1,n2,n3, not with n1,n2;", initial=other)


def test_refused_directory_of_a_node_that_joined(tmp_path: Path) -> None:
    path = tmp_path / "n4"
    joining: dict[str, Any] = {"node_id": "n4", "initial": None, "cluster": "whatever"}
    open_store(path, join="prod.1234", **joining).close()
    open_store(path, join="prod.1234", **joining).close()
    open_store(path, **{**joining, "cluster": "prod"}).close()
    refused(path, WrongDataDirectory, "to cluster prod.1234, not to prod.5678; give", join="prod.5678", **joining)
    refused(path, WrongDataDirectory, "to cluster prod, not to whatever", **joining)
    refused(path, WrongDataDirectory, "joined cluster prod.1234, and was not", node_id="n4", cluster="prod")


def test_open_as_joined_what_was_bootstrapped(path: Path) -> None:
    with closing(open_store(path)) as store:
        identity = store.identity
    with closing(open_store(path, initial=None, join=identity.cluster_id)) as store:
        assert not store.joined


@pytest.mark.parametrize("version", [0, 1, 3, 1000])
def test_refused_format(path: Path, version: int) -> None:
    change_database(path, f"PRAGMA user_version={version}")
    refused(path, UnknownFormat, f"format {version}, this version of rafty knows format 2")


def test_refused_while_in_use(path: Path) -> None:
    with closing(open_store(path)) as store:
        refused(path, DataDirectoryInUse, "is in use by process")
        append(store, 1, 4)
    open_store(path).close()


def test_refused_while_another_process_has_it(path: Path) -> None:
    code = "store = open_store(sys.argv[1]); print('open'); sys.stdin.read()"
    child = run_child(code, path)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        refused(path, DataDirectoryInUse, f"in use by process {child.pid};")
    finally:
        child.kill()
        output_of(child)
    open_store(path).close()


def test_refused_while_another_program_reads_the_database(path: Path) -> None:
    with closing(sqlite3.connect(path / "raft.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM state").fetchall()
        with pytest.raises(DataDirectoryInUse, match="another program has"):
            open_store(path)


def test_refused_path_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", DataDirectoryUnusable, "is not a directory")
    refused(tmp_path / "no" / "parent", DataDirectoryUnusable, "No such file")
    refused(tmp_path / "absent", DataDirectoryUnusable, "holds no store; if this node is new", initial=None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("")
    refused(tmp_path / "full", DataDirectoryUnusable, r"not empty \(letter.txt\)")


def test_refused_directory_that_cannot_be_written(path: Path) -> None:
    # A directory in the place of the lock gives the error that permissions would, also to a privileged user.
    (path / "lock").unlink(missing_ok=True)
    (path / "lock").mkdir()
    refused(path, DataDirectoryUnusable, "cannot be used")


def test_refused_database_that_is_none(path: Path) -> None:
    database = path / "raft.db"
    whole = database.read_bytes()
    for damaged, match in ((b"", "is empty"), (b"some text", "not a database"), (whole[:50], "not a database")):
        database.write_bytes(damaged)
        refused(path, CorruptStore, match)
    database.write_bytes(whole[:18] + b"\x01\x01" + whole[20:])
    refused(path, CorruptStore, "not a database of rafty")


def test_refused_database_of_another_program(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    change_database(path, "PRAGMA journal_mode=WAL", "CREATE TABLE log (x)")
    refused(path, CorruptStore, "not one of rafty")


def test_refused_with_a_part_gone(path: Path) -> None:
    kept = contents(path)
    for name, kind, match in (
        ("raft.db", LostWrites, "is gone: what this node promised is lost"),
        ("raft.db-wal", LostWrites, "but 4 was durable"),
        ("mark", CorruptStore, "is gone, so that nobody knows"),
    ):
        (path / name).unlink()
        refused(path, kind, match)
        (path / name).write_bytes(kept[name])
    open_store(path).close()


def test_refused_with_a_mark_of_another_directory(path: Path, tmp_path: Path) -> None:
    open_store(tmp_path / "n9").close()
    (path / "mark").write_bytes((tmp_path / "n9" / "mark").read_bytes())
    refused(path, CorruptStore, "mark is of another data directory")


def test_create_where_a_file_system_was_just_made(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    open_store(tmp_path).close()


def test_create_after_a_creation_that_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1"
    rename = Path.rename
    for stage in ("new-mark", "new-raft.db"):

        def stop_before(self: Path, target: Path, stage: str = stage) -> Path:
            if self.name == stage:
                raise OSError("the power is gone")
            return rename(self, target)

        monkeypatch.setattr(Path, "rename", stop_before)
        with pytest.raises(DataDirectoryUnusable, match="the power is gone"):
            open_store(path)
    monkeypatch.undo()
    with closing(open_store(path)) as store:
        assert store.identity.boot == 1
    assert {file.name for file in path.iterdir()} == {"lock", "mark", "raft.db"}


def test_open_by_text_path_with_odd_characters(tmp_path: Path) -> None:
    path = tmp_path / "a ?b#c%20d"
    for boot in (1, 2):
        with closing(SqliteStore.open(str(path), node_id="n1", initial=VOTERS)) as store:
            assert store.identity.boot == boot
    assert path.is_dir()


LOOKS: list[Callable[[Path], object]] = [open_store, recover, survivor_of]


def test_working_directory_can_be_a_data_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(".").close()
    assert inspect(tmp_path).identity == inspect(".").identity


def test_name_of_a_data_directory_can_be_as_long_as_any(tmp_path: Path) -> None:
    open_store(tmp_path / ("n" * 255)).close()


def test_directory_whose_database_is_lost_is_not_taken_for_half_recovered(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    open_store(path).close()
    for end in (KEPT, RECOVERED):
        path.with_name(path.name + end).mkdir()
    (path / "raft.db").unlink()
    for look in LOOKS:
        with pytest.raises(LostWrites, match="what this node promised is lost"):
            look(path)
    assert "what this node promised is lost" in inspect(path).damage


def test_file_in_the_place_of_a_data_directory_is_named(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    path.touch()
    for look in (*LOOKS, inspect):
        with pytest.raises(DataDirectoryUnusable, match="is not a directory"):
            look(path)
