"""R120: a snapshot that is verified while another one begins to come in gets no name.

Found by reading: both lie in the file of what comes in. A new leader offered its snapshot while that of the old one was
verified, in a thread that nobody could stop; the thread then gave the old one's final name to the new one's first
bytes. The log would have begun behind them.
"""

from pathlib import Path
from typing import Any

import pytest

from rafty_transports.storage.snapshot_files import FileReceiver
from rafty_transports.storage.snapshot_format import SnapshotFile, verify
from tests.transports.storage_kit import file_in, image_in, image_of, keep_snapshot, open_store, snapshot_of


def test_r120_the_file_of_what_comes_in_is_the_newest_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = open_store(tmp_path / "n1")
    target = open_store(tmp_path / "n2", node_id="n2")
    old, new = snapshot_of(5), snapshot_of(9)
    old_info, new_info = keep_snapshot(sender, old), keep_snapshot(sender, new)
    receiver = target.snapshots.receive(old, old_info.size, old_info.digest)
    receiver.write(0, file_in(sender, old))
    overtaking: list[FileReceiver] = []

    def verify_slowly(file: Any, where: object) -> SnapshotFile:
        found = verify(file, where)
        if not overtaking:
            overtaking.append(target.snapshots.receive(new, new_info.size, new_info.digest))
            overtaking[0].write(0, file_in(sender, new)[:100])
        return found

    monkeypatch.setattr("rafty_transports.storage.snapshot_files.verify", verify_slowly)
    with pytest.raises(ValueError, match="another"):
        receiver.finish()
    assert target.snapshots.infos() == []
    overtaking[0].write(100, file_in(sender, new)[100:])
    assert overtaking[0].finish() == new_info
    assert image_in(target, new) == image_of(9)
    target.close()
    sender.close()
