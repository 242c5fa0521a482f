"""Fault F82, in the store: the log is purged before the snapshot, and its name, are durable.

When a snapshot is finished, its content was synced, and then its directory was, and then the directory's own directory:
a power failure right after finds it. And a write that would let the log start behind a snapshot that is not finished is
refused, with the log as it was.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import WriteRefused
from tests.transports.storage_kit import (
    append,
    batch,
    expected_log,
    image_of,
    keep_snapshot,
    log_of,
    open_store,
    output_of,
    run_child,
    shim,
    snapshot_of,
)

TAKE = """
store = open_store(sys.argv[1])
append(store, 1, 1, 6)
keep_snapshot(store, snapshot_of(4), image_of(4, 300_000))
store.write([Write(2, 1, None, snapshot=snapshot_of(4), compact_to=4)])
print("compacted")
os._exit(0)
"""

RECEIVE = """
sender = open_store(sys.argv[2], node_id="n2")
info = keep_snapshot(sender, snapshot_of(4), image_of(4, 300_000))
store = open_store(sys.argv[1])
receiver = store.snapshots.receive(info.snapshot, info.size, info.digest)
receiver.write(0, file_in(sender, info.snapshot))
receiver.finish()
store.write([Write(1, 1, None, snapshot=snapshot_of(4), installs=True)])
print("compacted")
os._exit(0)
"""


@pytest.mark.parametrize("code", [TAKE, RECEIVE], ids=["taken", "received"])
def test_f82_power_failure_after_the_log_was_compacted(tmp_path: Path, code: str) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    directory = path / "snapshots"
    synced.mkdir()
    variables = {"LD_PRELOAD": str(shim()), "SHIM_ROOT": str(directory), "SHIM_SYNCED": str(synced)}
    assert output_of(run_child(code, path, tmp_path / "n2", **variables)) == ["compacted"]
    durable = dict(line.split() for line in (synced / "names").read_text().splitlines())
    (name,) = (name for name in durable if name.endswith(".snap"))
    for file in directory.iterdir():
        file.unlink()
    for kept, inode in durable.items():
        if (synced / inode).exists():
            (directory / kept).write_bytes((synced / inode).read_bytes())
    assert (directory / name).exists()
    with closing(open_store(path)) as store, store.snapshots.open(4, 1) as image:
        assert image.read() == image_of(4, 300_000)
        assert store.load().snapshot == snapshot_of(4)


def test_f82_name_of_the_directory_of_snapshots(tmp_path: Path) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    open_store(path).close()
    synced.mkdir()
    variables = {"LD_PRELOAD": str(shim()), "SHIM_ROOT": str(path), "SHIM_SYNCED": str(synced)}
    assert output_of(run_child(TAKE, path, **variables)) == ["compacted"]
    assert f"snapshots {(path / 'snapshots').stat().st_ino}" in (synced / "names").read_text().splitlines()


@pytest.mark.parametrize("installs", [False, True])
def test_f82_write_that_names_a_snapshot_that_is_not_finished(tmp_path: Path, installs: bool) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 1, 6)
        keep_snapshot(store, snapshot_of(3))
        writer = store.snapshots.create(snapshot_of(4))
        writer.write(b"half")
        with pytest.raises(WriteRefused, match="is not stored; finish it first"):
            store.write([Write(2, 1, None, snapshot=snapshot_of(4), installs=installs, compact_to=4)])
        writer.abort()
    with closing(open_store(tmp_path / "n1")) as store:
        assert log_of(store.load()) == expected_log(batch(1, 6))
