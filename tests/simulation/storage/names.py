"""Which names may lie in a data directory, and when.

Law: *no file is there without a reason*: what an end or an error left behind goes, and nobody outside names a file
(invariant I24, faults F110, F119, F131).
"""

from collections.abc import Collection
from pathlib import PurePosixPath

from rafty_core.history import InvariantViolation
from tests.simulation.storage.files import SimulatedDisk

DATABASES = ("raft.db", "new-raft.db")
LASTING = frozenset(
    ["lock", "mark", "new-mark", *(name + end for name in DATABASES for end in ("", "-wal", "-shm", "-journal"))]
)
COMING = ("snapshots/announced", "snapshots/incoming", "snapshots/new-announced")

Key = tuple[int, int]


def check_names(
    disk: SimulatedDisk,
    path: PurePosixPath,
    kept: Collection[Key],
    asked: Collection[Key],
    *,
    writing: int = 0,
    coming: bool = True,
) -> None:
    """Raise `InvariantViolation` if anything in the data directory `path` lies there without a reason.

    kept     index and term of the snapshots that the store says it has
    asked    those that it was ever asked to keep: one may have its name though its directory was not synced
    writing  how many others are being written
    coming   whether one may be coming in, in part
    """
    names = {str(one.relative_to(path)) for one in disk.walk(path)}
    expected = set(map(_final, kept))
    others = names - expected - set(map(_final, asked)) - LASTING - (set(COMING) if coming else set())
    temporary = {name for name in others if name.startswith("snapshots/") and name.endswith(".new")}
    if len(temporary) > writing or others - temporary:
        raise InvariantViolation("I24", f"{sorted(others)} lie in the data directory, without a reason")
    if not expected <= names:
        raise InvariantViolation("I20", f"{sorted(expected - names)} are not there, and the store says that they are")


def _final(key: Key) -> str:
    return f"snapshots/{key[0]:020d}-{key[1]:020d}.snap"
