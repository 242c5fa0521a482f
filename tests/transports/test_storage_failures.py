"""What was reported durable is there after every way to die: a failed sync, a full disk, `kill -9`, no power."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import (
    batch,
    expected_log,
    images_after_power_failure,
    log_of,
    open_store,
    output_of,
    run_child,
    run_until_power_failure,
    run_with_failing_sync,
)

APPEND_UNTIL_AN_ERROR = """
from rafty_transports.storage import WriteFailed
try:
    store = open_store(sys.argv[1])
    for seq in range(1, 8):
        append(store, seq, seq)
        print(seq)
except Exception as error:
    print(type(error).__name__)
os._exit(0)
"""

APPEND_FOR_EVER = """
store = open_store(sys.argv[1])
seq = 0
while True:
    seq += 1
    append(store, seq, 10 * seq - 9, 10, size=500)
    print(seq)
"""


@pytest.mark.parametrize("rule", ["-wal:1", "-wal:2", "-wal:5", "mark:1", "/raft.db:1"])
def test_write_after_a_failed_sync(tmp_path: Path, rule: str) -> None:
    path = tmp_path / "n1"
    open_store(path).close()
    lines = run_with_failing_sync(APPEND_UNTIL_AN_ERROR, path, rule)
    durable = [int(line) for line in lines if line.isdigit()]
    assert ("WriteFailed" in lines) or len(durable) == 7
    with closing(open_store(path)) as store:
        log = log_of(store.load())
        assert log[: len(durable)] == expected_log(batch(1, len(durable)))
        assert len(log) <= len(durable) + 1


def test_open_after_kill_in_the_midst_of_writing(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    for _ in range(2):
        child = run_child(APPEND_FOR_EVER, path)
        assert child.stdout is not None
        seen = 0
        while seen < 40:
            seen = int(child.stdout.readline())
        child.kill()
        durable = int((["40", *output_of(child)])[-1])
        with closing(open_store(path)) as store:
            log = log_of(store.load())
        assert len(log) >= 10 * durable
        assert log == expected_log(batch(1, len(log), size=500))


def test_open_after_a_power_failure(tmp_path: Path) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    lines = run_until_power_failure(APPEND_UNTIL_AN_ERROR, path, synced)
    assert lines == ["1", "2", "3", "4", "5", "6", "7"]
    for image in images_after_power_failure(path, synced, tmp_path / "image"):
        with closing(open_store(image)) as store:
            assert log_of(store.load()) == expected_log(batch(1, 7))
