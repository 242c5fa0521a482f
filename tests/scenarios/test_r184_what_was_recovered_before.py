"""R184: a recovery that is refused has removed what an earlier one built.

Found by reading: what an earlier recovery built was removed before anything was known of the data directory. If that
was not there (a disk that was not mounted, a name that was mistyped), damaged or in use, the recovery was refused, and
what may have been the only copy was gone. So it is removed once all is verified that another one is built of, under the
lock of the data directory: two recoveries at once do not remove what the other one builds.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from rafty_core import Configuration
from rafty_core.output import Write
from rafty_transports.storage import (
    CorruptStore,
    DamagedSnapshot,
    DataDirectoryInUse,
    DataDirectoryUnusable,
    SqliteStore,
)
from rafty_transports.storage.datadir import RECOVERED
from rafty_transports.storage.rebirth import recover
from tests.transports.storage_kit import (
    append,
    batch,
    contents,
    flip_bit,
    image_of,
    keep_snapshot,
    open_store,
    snapshot_of,
)

Prepare = Callable[[Path], None]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A survivor with a snapshot, and beside it what an earlier recovery has built of it."""
    data = tmp_path / "n1"
    with closing(open_store(data)) as store:
        append(store, 1, 1, 5)
        keep_snapshot(store, snapshot_of(5), image_of(5, 30_000))
        store.write([Write(2, 1, None, [batch(6, 2)], snapshot_of(5))])
    recover(data, into=data.with_name(data.name + RECOVERED))
    return data


def gone(data: Path) -> None:
    shutil.rmtree(data)


def empty(data: Path) -> None:
    shutil.rmtree(data)
    data.mkdir()


def damaged(data: Path) -> None:
    flip_bit(data / "raft.db", 3)


def damaged_snapshot(data: Path) -> None:
    (file,) = (data / "snapshots").iterdir()
    flip_bit(file, 8 * 20_000)


@contextmanager
def untouched(data: Path) -> Iterator[None]:
    built = data.with_name(data.name + RECOVERED)
    before = [contents(built), contents(built / "snapshots")]
    yield
    assert [contents(built), contents(built / "snapshots")] == before


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (gone, DataDirectoryUnusable),
        (empty, DataDirectoryUnusable),
        (damaged, CorruptStore),
        (damaged_snapshot, DamagedSnapshot),
    ],
)
def test_r184_of_a_directory_that_cannot_be_recovered(data: Path, prepare: Prepare, error: type[Exception]) -> None:
    prepare(data)
    with untouched(data), pytest.raises(error):
        recover(data)


def test_r184_of_a_directory_that_is_in_use(data: Path) -> None:
    with closing(SqliteStore.open(data, node_id="n1")), untouched(data), pytest.raises(DataDirectoryInUse):
        recover(data)


def test_r184_for_members_without_the_survivor(data: Path) -> None:
    with untouched(data), pytest.raises(ValueError, match="does not name this node"):
        recover(data, members=Configuration.of("n5"))


def test_r184_what_nobody_used_gives_way_as_before(data: Path) -> None:
    identity = recover(data)
    assert not data.with_name(data.name + RECOVERED).exists()
    with closing(SqliteStore.open(data, node_id="n1", join=identity.cluster_id)) as store:
        assert store.load().batches[-1].last == 7
