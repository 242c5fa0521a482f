"""Fault F117: two processes run on one data directory.

Both would vote in the name of one node, each without knowing what the other promised. The second is refused while the
first lives, and comes up once it is dead, however it died.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports.storage import DataDirectoryInUse
from tests.transports.storage_kit import open_store, output_of, run_child

HOLD = "store = open_store(sys.argv[1]); print('open'); sys.stdin.read()"
OPEN = """
try:
    open_store(sys.argv[1])
    print("opened")
except Exception as error:
    print(type(error).__name__)
"""


def test_f117_second_process_while_the_first_lives(tmp_path: Path) -> None:
    path = tmp_path / "n1"
    first = run_child(HOLD, path)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "open\n"
        assert output_of(run_child(OPEN, path)) == ["DataDirectoryInUse"]
        with pytest.raises(DataDirectoryInUse, match="one process at a time"):
            open_store(path)
    finally:
        first.kill()
        output_of(first)
    with closing(open_store(path)) as store:
        assert store.identity.boot == 2
        with pytest.raises(DataDirectoryInUse):
            open_store(path)
