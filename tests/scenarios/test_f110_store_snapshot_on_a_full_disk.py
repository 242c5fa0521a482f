"""Fault F110, of snapshots: the disk is full while one is written or received.

Whoever writes it is told, nothing half stays behind, and the store itself goes on: votes and entries are as they were,
and once there is room again the snapshot is taken, or received from where it was.
"""

from contextlib import closing
from pathlib import Path

from tests.transports.storage_kit import (
    append,
    batch,
    expected_log,
    image_in,
    image_of,
    log_of,
    open_store,
    output_of,
    run_child,
    snapshot_of,
)

FULL = """
import resource
sender = open_store(sys.argv[2], node_id="n2")
info = keep_snapshot(sender, snapshot_of(9), image_of(9, 3 << 20))
store = open_store(sys.argv[1])
append(store, 1, 1, 3)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))

def attempt(what, *arguments):
    try:
        what(*arguments)
        print("succeeded")
    except OSError as error:
        print("full")

attempt(keep_snapshot, store, snapshot_of(2), image_of(2, 3 << 20))
attempt(keep_snapshot, store, snapshot_of(2), image_of(2, 1_550_000))
receiver = store.snapshots.receive(info.snapshot, info.size, info.digest)
attempt(receiver.write, 0, file_in(sender, info.snapshot))
print(sorted(file.name for file in (Path(sys.argv[1]) / "snapshots").iterdir()), receiver.offset)
append(store, 2, 4)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
attempt(keep_snapshot, store, snapshot_of(2), image_of(2, 3 << 20))
receiver.write(receiver.offset, file_in(sender, info.snapshot)[receiver.offset :])
receiver.finish()
os._exit(0)
"""


def test_f110_snapshot_on_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    lines = output_of(run_child(FULL, path, tmp_path / "n2"))
    assert lines == ["full", "full", "full", "['announced', 'incoming'] 1500000", "succeeded"]
    with closing(open_store(path)) as store:
        assert log_of(store.load()) == expected_log(batch(1, 3), batch(4, 1))
        assert image_in(store, snapshot_of(2)) == image_of(2, 3 << 20)
        assert image_in(store, snapshot_of(9)) == image_of(9, 3 << 20)
        append(store, 1, 5)
