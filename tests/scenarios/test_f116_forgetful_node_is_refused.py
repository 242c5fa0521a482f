"""Fault F116: a node comes back on an older image of its disk, or on an empty one, under its old name.

It has forgotten votes and entries that others rest on. What it can see itself it refuses: a database that is gone or
older than its mark. The rest its peers refuse: another incarnation, or a boot that is lower than one they have met.
"""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports.interfaces import Refused
from rafty_transports.storage import CorruptStore, DataDirectoryUnusable, LostWrites, MemoryStore
from tests.transports.storage_kit import VOTERS, append, image_after_kill, open_store


def test_f116_database_gone_or_emptied(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    open_store(path).close()
    (path / "raft.db").write_bytes(b"")
    with pytest.raises(CorruptStore, match="is empty"):
        open_store(path)
    (path / "raft.db").unlink()
    with pytest.raises(LostWrites, match="is gone"):
        open_store(path)
    assert not (path / "raft.db").exists()


def test_f116_disk_that_was_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "n1").mkdir()
    with pytest.raises(DataDirectoryUnusable, match="see why its disk is empty"):
        open_store(tmp_path / "n1", initial=None)
    assert list((tmp_path / "n1").iterdir()) == []


def test_f116_empty_disk_under_the_old_name(tmp_path: Path) -> None:
    peer = MemoryStore("n2", VOTERS)
    with closing(open_store(tmp_path / "n1")) as store:
        peer.meet(store.identity)
    shutil.rmtree(tmp_path / "n1")
    with (
        closing(open_store(tmp_path / "n1")) as store,
        pytest.raises(Refused, match="its data directory is another one"),
    ):
        peer.meet(store.identity)


def test_f116_older_image_of_the_disk(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")), closing(open_store(tmp_path / "n2", node_id="n2")) as peer:
        image_after_kill(tmp_path / "n1", tmp_path / "backup")
    with closing(open_store(tmp_path / "n1")):
        pass
    with closing(open_store(tmp_path / "n1")) as store, closing(open_store(tmp_path / "n2", node_id="n2")) as peer:
        append(store, 1, 1)
        peer.meet(store.identity)
    with closing(open_store(tmp_path / "backup")) as store, closing(open_store(tmp_path / "n2", node_id="n2")) as peer:
        with pytest.raises(Refused, match="its data directory is an older copy"):
            peer.meet(store.identity)
        append(peer, 1, 1)
