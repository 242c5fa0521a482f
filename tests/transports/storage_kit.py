"""Tools of the store's tests: small logs, images of a disk after a crash, and a disk that fails on demand.

Law: *a crash is simulated by taking away what a crash takes away, never by asking the store to forget.*

After `kill -9` everything written is still there: a copy of the directory is that image. After a power failure only
what was synced is sure to be there: a library loaded into a child process keeps a copy of each file as of its last
sync, and of the names as of the directory's last sync.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from rafty_core.configuration import Configuration
from rafty_core.entries import COMMAND, Batch
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.interfaces import LogStore, SnapshotInfo
from rafty_transports.storage import MemoryStore, SqliteStore

REPOSITORY = Path(__file__).parents[2]
VOTERS = Configuration.of("n1", "n2", "n3")


def open_store(path: Path | str, **changes: Any) -> SqliteStore:
    """The store of node n1 of three, created if it is not there."""
    return SqliteStore.open(path, **{"node_id": "n1", "initial": VOTERS, **changes})


def batch(first: int, count: int, term: int = 1, size: int = 0) -> Batch:
    """Commands that name their index and term, so that no two entries of a test are the same."""
    return Batch(first, term, [COMMAND + f"{first + i}/{term}".encode().ljust(size, b".") for i in range(count)])


def append(store: LogStore, seq: int, first: int, count: int = 1, term: int = 1, size: int = 0) -> None:
    """One write that puts `count` entries of `term` at index `first`."""
    store.write([Write(seq, term, None, [batch(first, count, term, size)])])


def snapshot_of(index: int, term: int = 1, configuration: Configuration = VOTERS) -> Snapshot:
    """A snapshot as the core knows it."""
    return Snapshot(index, term, configuration)


def image_of(index: int, size: int = 1000) -> bytes:
    """The state machine's image at this index: bytes that repeat nowhere."""
    return b"".join(f"{index}:{i};".encode() for i in range(size // 8))


def keep_snapshot(store: LogStore, snapshot: Snapshot, image: bytes | None = None) -> SnapshotInfo:
    """Write this snapshot into the store, whole."""
    writer = store.snapshots.create(snapshot)
    writer.write(image_of(snapshot.index) if image is None else image)
    return writer.finish()


def image_in(store: LogStore, snapshot: Snapshot) -> bytes:
    """The state machine's image as the store gives it back."""
    with store.snapshots.open(snapshot.index, snapshot.term) as file:
        return file.read()


def file_in(store: LogStore, snapshot: Snapshot) -> bytes:
    """The whole file of a snapshot, as it would be sent to another node."""
    return store.snapshots.read(snapshot.index, snapshot.term, 0, 1 << 30)


class Stores:
    """Makes stores of one kind, "memory" or "sqlite", and starts them again; node n1's unless told otherwise."""

    def __init__(self, kind: str, path: Path) -> None:
        self.kind = kind
        self.path = path
        self._made: list[MemoryStore | SqliteStore] = []

    def new(self, node_id: str = "n1", **changes: Any) -> MemoryStore | SqliteStore:
        """A new store."""
        options = {"node_id": node_id, "initial": VOTERS, **changes}
        if self.kind == "memory":
            self._made.append(MemoryStore(**options))
        else:
            self._made.append(SqliteStore.open(self.path / node_id, **options))
        return self._made[-1]

    def restart(self, store: MemoryStore | SqliteStore) -> MemoryStore | SqliteStore:
        """The store as after the next start."""
        if isinstance(store, MemoryStore):
            self._made.append(store.restarted())
        else:
            store.close()
            identity = store.identity
            again = SqliteStore.open(self.path / identity.node_id, node_id=identity.node_id, join=identity.cluster_id)
            self._made.append(again)
        return self._made[-1]

    def close(self) -> None:
        """Close all of them."""
        for store in self._made:
            store.close()


def log_of(stable: Stable) -> list[bytes]:
    """The entries of the log, in order."""
    return [entry for one in stable.batches for entry in one.entries]


def expected_log(*batches: Batch) -> list[bytes]:
    """The entries of these batches, in order."""
    return [entry for one in batches for entry in one.entries]


def image_after_kill(path: Path, target: Path) -> Path:
    """What a process that is killed now leaves behind; `target` is replaced."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(path, target, ignore=shutil.ignore_patterns("*-shm"))
    return target


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a data directory but the lock, to compare what was there before and after."""
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.is_file() and file.name != "lock"}


def flip_bit(file: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with file.open("r+b", buffering=0) as handle:
        handle.seek(bit // 8)
        byte = handle.read(1)[0] ^ 1 << (bit % 8)
        handle.seek(bit // 8)
        handle.write(bytes([byte]))


@cache
def shim() -> Path:
    """The compiled library; skips the test where it cannot be made."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a disk that fails on demand needs Linux and a C compiler")
    library = Path(mkdtemp(prefix="rafty-shim-")) / "disk_shim.so"
    source = Path(__file__).with_name("disk_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl", "-lpthread"], check=True)
    return library


def run_child(code: str, *arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """Start Python on `code`, with everything of this module at hand as `*`, and `arguments` in `sys.argv[1:]`."""
    program = "import sys, os\nfrom pathlib import Path\nfrom tests.transports.storage_kit import *\n" + code
    return subprocess.Popen(
        [sys.executable, "-u", "-c", program, *map(str, arguments)],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output_of(child: "subprocess.Popen[str]", seconds: float = 30) -> list[str]:
    """What the child printed, line by line, once it has ended; fails the test with its errors if it failed."""
    out, err = child.communicate(timeout=seconds)
    if child.returncode not in (0, -9):
        pytest.fail(f"the child ended with {child.returncode}: {err}")
    return out.splitlines()


def run_with_failing_sync(code: str, path: Path, rule: str) -> list[str]:
    """Run `code` in a child where one sync fails: `rule` is "<end of a file's name>:<n>". Returns its lines."""
    return output_of(run_child(code, path, LD_PRELOAD=str(shim()), SHIM_ROOT=str(path), SHIM_FAIL=rule))


def run_until_power_failure(code: str, path: Path, synced: Path) -> list[str]:
    """Run `code` in a child until it ends, keeping in `synced` what was synced. Returns its lines."""
    synced.mkdir(exist_ok=True)
    return output_of(run_child(code, path, LD_PRELOAD=str(shim()), SHIM_ROOT=str(path), SHIM_SYNCED=str(synced)))


def images_after_power_failure(path: Path, synced: Path, target: Path) -> Iterator[Path]:
    """Every image of `path` that a power failure may leave, one after the other in `target`.

    Content is as of the last sync of each file; names are those of the last sync of the directory, together with any of
    those that were given since.
    """
    listed = synced / "names"
    durable = dict(line.split() for line in listed.read_text().splitlines()) if listed.exists() else {}
    current = {file.name: str(file.stat().st_ino) for file in path.iterdir()} if path.exists() else {}
    fresh = sorted(name for name, inode in current.items() if durable.get(name) != inode)
    for count in range(len(fresh) + 1):
        for chosen in combinations(fresh, count):
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir()
            for name, inode in {**durable, **{name: current[name] for name in chosen}}.items():
                kept = synced / inode
                if (path / name).is_dir():
                    (target / name).mkdir()
                else:
                    (target / name).write_bytes(kept.read_bytes() if kept.exists() else b"")
            yield target
