"""Fault F111: a file is created or renamed, and its directory is never synced.

The power fails at any point of the creation of a data directory. A file has the content of its last sync; a name given
since the directory's last sync may be there or not. The node must come up from every such image, either anew or with
what was promised, and never be stranded between.
"""

from contextlib import closing
from pathlib import Path

import pytest

from tests.transports.storage_kit import (
    images_after_power_failure,
    open_store,
    output_of,
    run_child,
    run_until_power_failure,
    shim,
)

CREATE = """
stages = []
rename = Path.rename

def passing(self, target):
    stages.append("before")
    if len(stages) == STAGE:
        os._exit(0)
    result = rename(self, target)
    stages.append("after")
    if len(stages) == STAGE:
        os._exit(0)
    return result

Path.rename = passing
store = open_store(sys.argv[1])
append(store, 1, 1)
print("durable")
os._exit(0)
"""


def test_f111_name_of_the_data_directory_itself(tmp_path: Path) -> None:
    disk, synced = tmp_path / "disk", tmp_path / "synced"
    disk.mkdir()
    synced.mkdir()
    code = "store = open_store(sys.argv[1]); append(store, 1, 1); os._exit(0)"
    variables = {"LD_PRELOAD": str(shim()), "SHIM_ROOT": str(disk), "SHIM_SYNCED": str(synced)}
    assert output_of(run_child(code, disk / "n1", **variables)) == []
    assert (synced / "names").read_text() == f"n1 {(disk / 'n1').stat().st_ino}\n"


@pytest.mark.parametrize("stage", range(1, 6))
def test_f111_power_failure_while_a_directory_is_created(tmp_path: Path, stage: int) -> None:
    path, synced = tmp_path / "n1", tmp_path / "synced"
    lines = run_until_power_failure(CREATE.replace("STAGE", str(stage)), path, synced)
    assert lines == (["durable"] if stage == 5 else [])
    for image in images_after_power_failure(path, synced, tmp_path / "image"):
        with closing(open_store(image)) as store:
            assert len(store.load().batches) == len(lines), sorted(file.name for file in image.iterdir())
