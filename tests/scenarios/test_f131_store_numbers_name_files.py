"""Fault F131: what another node says becomes a path on this node's disk.

Index and term alone name a snapshot's file, and only if they are numbers in range; a digest, a size or a configuration
from the wire names nothing. Whatever is asked for, nothing outside of the directory of snapshots is read or written.
"""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rafty_core.configuration import Configuration, Member
from rafty_core.entries import LARGEST
from rafty_core.stable import Snapshot
from rafty_transports.storage import DamagedSnapshot
from rafty_transports.storage.snapshot_files import name_of
from tests.transports.storage_kit import keep_snapshot, open_store, snapshot_of

EVIL = "../../evil"


def outside(tmp_path: Path) -> list[str]:
    """Every path outside of the directory of snapshots."""
    return sorted(str(path) for path in tmp_path.rglob("*") if path.parent.name != "snapshots")


@pytest.mark.parametrize("number", [EVIL, "5", "", -1, 0, LARGEST + 1, 1.5, True, None, b"5"])
def test_f131_index_or_term_that_is_no_number(tmp_path: Path, number: Any) -> None:
    (tmp_path / "evil").write_bytes(b"secret")
    with closing(open_store(tmp_path / "n1")) as store:
        keep_snapshot(store, snapshot_of(5))
        before = outside(tmp_path)
        for index, term in ((number, 1), (5, number)):
            snapshot = Snapshot(index, term, Configuration())
            with pytest.raises(ValueError, match="no snapshot has the"):
                store.snapshots.create(snapshot)
            with pytest.raises(ValueError, match="no snapshot has the"):
                store.snapshots.receive(snapshot, 9, "00")
            if number is not True:
                with pytest.raises(LookupError):
                    store.snapshots.open(index, term)
                with pytest.raises(LookupError):
                    store.snapshots.read(index, term, 0, 100)
        assert outside(tmp_path) == before
        assert len(list((tmp_path / "n1" / "snapshots").iterdir())) == 1


def test_f131_other_words_from_the_wire(tmp_path: Path) -> None:
    evil = Snapshot(5, 1, Configuration(voters=(Member("n1", EVIL, EVIL),)))
    with closing(open_store(tmp_path / "n1")) as store:
        before = outside(tmp_path)
        for digest in (EVIL, "/tmp/evil", "\0", ""):
            receiver = store.snapshots.receive(evil, 9, digest)
            receiver.write(0, b"some data")
            assert sorted(path.name for path in (tmp_path / "n1" / "snapshots").iterdir()) == ["announced", "incoming"]
            with pytest.raises(DamagedSnapshot):
                receiver.finish()
        keep_snapshot(store, evil)
        assert [path.name for path in (tmp_path / "n1" / "snapshots").iterdir()] == [name_of(evil)]
        assert set(outside(tmp_path)) - set(before) == {str(tmp_path / "n1" / "snapshots")}
