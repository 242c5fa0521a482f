"""Fault F147: sqlite reopens at an earlier state without an error.

One bit is flipped in its write-ahead log, and all transactions from there on are gone, term and vote with them: it
looks as if they had never been. The store refuses, says what was lost, and leaves the log for somebody to look at.
"""

from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import LostWrites
from tests.transports.storage_kit import batch, contents, flip_bit, image_after_kill, open_store


@pytest.mark.parametrize("where", [0.5, 0.9, 0.999])
def test_f147_flipped_bit_in_the_write_ahead_log(tmp_path: Path, where: float) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        for seq in range(1, 11):
            store.write([Write(seq, seq, "n2", [batch(seq, 1, seq)])])
        image = image_after_kill(tmp_path / "n1", tmp_path / "image")
    log = image / "raft.db-wal"
    flip_bit(log, int(where * 8 * log.stat().st_size))
    before = contents(image)
    for _ in range(2):
        with pytest.raises(LostWrites, match=r"has come to transaction .*, but 12 was durable"):
            open_store(image)
    assert contents(image) == before
