"""Fault F106: a torn tail that nobody was promised keeps a node from starting.

The power fails while a write is under way: of its transaction any part may be on the disk, followed by zeros or by what
was there before. The node starts with everything before that write, and nothing else is cut.
"""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import (
    batch,
    expected_log,
    image_after_kill,
    log_of,
    open_store,
    run_with_failing_sync,
)

WRITE_TWICE = """
store = open_store(sys.argv[1])
wal = Path(sys.argv[1]) / "raft.db-wal"
append(store, 1, 1, 3)
print(wal.stat().st_size)
try:
    append(store, 2, 4, 3, size=3000)
except Exception as error:
    print(type(error).__name__)
os._exit(0)
"""


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A data directory whose second write never got to its sync, and where that write begins in the log."""
    path = tmp_path_factory.mktemp("torn") / "n1"
    open_store(path).close()
    durable, error = run_with_failing_sync(WRITE_TWICE, path, "-wal:4")
    assert error == "WriteFailed"
    return path, int(durable)


@pytest.mark.parametrize("kept", [0, 1, 23, 24, 4000, 4120, 9000])
@pytest.mark.parametrize("tail", [b"", b"\0" * 20_000, b"\xa5" * 5_000], ids=["cut", "zeros", "garbage"])
def test_f106_start_with_a_torn_tail(torn: tuple[Path, int], tmp_path: Path, kept: int, tail: bytes) -> None:
    path, durable = torn
    image = image_after_kill(path, tmp_path / "image")
    log = (image / "raft.db-wal").read_bytes()
    (image / "raft.db-wal").write_bytes(log[: durable + kept] + tail)
    with closing(open_store(image)) as store:
        assert log_of(store.load()) == expected_log(batch(1, 3))
