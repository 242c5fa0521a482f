"""The real store on a simulated disk, alone and in whole clusters; what breaks its rules is noticed.

Law: *a disk that forgets, fails and lies finds what a directory of files on a good disk never shows.*

`python -m tests.simulation.storage.campaign` and `python -m tests.simulation.storage.run` are the long ones.
"""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rafty_core.simulation.run import run
from rafty_transports.storage import connection, datadir, examine, mark, order, records, snapshot_files, sqlite
from tests.simulation.storage.campaign import CampaignFailure, run_case
from tests.simulation.storage.content import KEPT, LOST, SECTOR, Directory, File
from tests.simulation.storage.faults import DiskFaults
from tests.simulation.storage.files import SimulatedDisk
from tests.simulation.storage.parts import REAL_STORE
from tests.simulation.storage.system import top_of

MORE = [pytest.param(first, marks=pytest.mark.slow) for first in range(20, 500, 20)]


@pytest.mark.parametrize("first", [0, *MORE])
def test_storage_survives_every_fault_of_a_disk(first: int) -> None:
    """I20 and I21, with the rules of a store that has failed (I9), its boots and its incarnation."""
    outcomes = [run_case(seed) for seed in range(first, first + 20)]
    assert sum(outcome.writes for outcome in outcomes) > 500
    assert sum(outcome.lives for outcome in outcomes) > 80
    assert sum(outcome.failures for outcome in outcomes) > 10


@pytest.mark.parametrize("seed", [6, 17, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(20, 60))])
def test_storage_of_whole_clusters(seed: int) -> None:
    """The real store takes part in simulated clusters, with all faults of its disk."""
    assert run(seed, REAL_STORE).committed > 0


def test_storage_same_seed_in_two_processes() -> None:
    """I23: the same seed gives the same trace, whatever PYTHONHASHSEED and whatever ran before in the process."""
    program = "\n".join(
        (
            "from rafty_core.simulation.run import run",
            "from tests.simulation.storage.parts import REAL_STORE",
            "from tests.simulation.storage.campaign import run_case",
            "print([run_case(seed) for seed in OTHERS + (3,)][-1])",
            "print(run(6, REAL_STORE, with_digest=True, duration=5).digest)",
        )
    )
    traces = [
        subprocess.run(
            [sys.executable, "-c", program.replace("OTHERS", others)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for hash_seed, others in (("1", "()"), ("2", "(1, 2)"))
    ]
    assert traces[0] == traces[1]


# ------------------------------------------------------------------------- teeth


def _nothing(*_: object) -> None:
    pass


def _new(*_: object) -> bool:
    return True


def _not_synced(path: Any, patience: float) -> Any:
    careless = connection_to(path, patience)
    careless.execute("PRAGMA synchronous=OFF")
    return careless


def _renamed_only(temporary: Any, final: Any) -> None:
    temporary.rename(final)


def _noted_before(self: sqlite.SqliteStore, state: records.State, size: int) -> None:
    self._mark.note(state.number + 1)
    commit(self, state, size)


connection_to, commit = connection.connect, sqlite.SqliteStore._commit


@pytest.mark.parametrize(
    ("where", "name", "broken", "number"),
    [
        (sqlite, "connect", _not_synced, "I20"),
        (sqlite.SqliteStore, "_commit", _noted_before, "I20"),
        (datadir, "put_in_place", _renamed_only, "I20"),
        (datadir, "sync_directory", _nothing, "I20"),
        (examine, "_check_mark", _nothing, "I21"),
        (mark.Mark, "note", _nothing, "I21"),
        (snapshot_files.FileWriter, "abort", _nothing, "I24"),
        (snapshot_files, "check_announced", _nothing, "I(19|20)"),
        (snapshot_files.SnapshotFiles, "check_open", _nothing, "I27"),
        (order, "_check_term_and_vote", _nothing, "I27"),
        (sqlite, "check_peer", _new, "I2[01]"),
    ],
)
def test_storage_broken_rule_is_noticed(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Callable[..., Any], number: str
) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(CampaignFailure, match=f" {number}: "):
        for seed in range(30):
            run_case(seed)


# -------------------------------------------------------------------------- disk


def test_storage_part_of_a_write_is_done_at_times() -> None:
    disk = SimulatedDisk(random.Random(0), DiskFaults(short=0.5))
    counts = set()
    with (top_of(disk) / "file").open("ab", buffering=0) as file:
        for _ in range(50):
            counts.add(file.write(b"abc"))
    assert counts == {1, 2, 3}


def test_storage_another_thread_comes_in_between() -> None:
    disk, calls = SimulatedDisk(random.Random(0)), []

    def call() -> bool:
        calls.append(disk.operations)
        return len(calls) == 2

    disk.meanwhile(1, call)
    file = disk.create(top_of(disk) / "file")
    for _ in range(4):
        disk.sync(file)
    assert calls == [2, 3]


def test_storage_sectors_that_were_not_synced_survive_one_by_one() -> None:
    seen = set()
    for seed in range(600):
        file = File()
        file.write(b"a" * 3 * SECTOR, 0)
        file.sync()
        file.write(b"b" * 3 * SECTOR, 0)
        file.cut_power(random.Random(seed), 0.5)
        seen.add(bytes(file.data[::SECTOR]))
    assert {len(content) for content in seen} == {3}
    assert len(seen) == 8


@pytest.mark.parametrize(("share", "content"), [(LOST, b"a"), (KEPT, b"b")])
def test_storage_sync_that_failed_is_not_made_up_for(share: float, content: bytes) -> None:
    file = File()
    file.write(b"a", 0)
    file.sync()
    file.write(b"b", 0)
    file.fail_sync()
    file.sync()
    assert file.data == b"b"
    file.cut_power(random.Random(0), share)
    assert file.data == content


def test_storage_what_is_written_again_after_a_failed_sync_is_synced() -> None:
    file = File()
    file.write(b"a", 0)
    file.fail_sync()
    file.write(b"a", 0)
    file.sync()
    file.cut_power(random.Random(0), LOST)
    assert file.data == b"a"


def test_storage_cut_file_comes_back_whole_or_not() -> None:
    sizes = set()
    for seed in range(20):
        file = File()
        file.write(b"a" * 5 * SECTOR, 0)
        file.sync()
        file.resize(0)
        file.cut_power(random.Random(seed), 0.5)
        assert file.data == b"a" * len(file.data)
        sizes.add(len(file.data))
    assert sizes == {0, 5 * SECTOR}


def test_storage_names_need_a_sync_of_their_directory() -> None:
    directory, file = Directory(), File()
    directory.change({"new": file})
    directory.sync()
    file.write(b"a", 0)
    file.sync()
    directory.change({"new": None, "final": file})
    directory.cut_power(random.Random(0), LOST)
    assert directory.names == {"new": file}
    directory.change({"new": None, "final": file})
    directory.sync()
    directory.cut_power(random.Random(0), LOST)
    assert directory.names == {"final": file}
    assert file.data == b"a"
