"""Fault F110: the disk is full, a record is written in part, and the next append goes behind it.

The file can grow no further in the midst of a write. That write fails, every later one is refused even if it would fit,
and after the restart, with room again, the log is whole and ends where the last success ended.
"""

from contextlib import closing
from pathlib import Path

from tests.transports.storage_kit import append, batch, expected_log, log_of, open_store, output_of, run_child

FILL = """
import resource
store = open_store(sys.argv[1])
append(store, 1, 1, 3)
size = (Path(sys.argv[1]) / "raft.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 15_000, resource.RLIM_INFINITY))
for arguments in ((2, 4, 50, 1, 1000), (2, 4, 1), (3, 4, 1)):
    try:
        append(store, *arguments)
        print("succeeded")
    except Exception as error:
        print(type(error).__name__)
os._exit(0)
"""


def test_f110_append_to_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    assert output_of(run_child(FILL, path)) == ["WriteFailed"] * 3
    with closing(open_store(path)) as store:
        assert log_of(store.load()) == expected_log(batch(1, 3))
        append(store, 1, 4)
    with closing(open_store(path)) as store:
        assert log_of(store.load()) == expected_log(batch(1, 4))
