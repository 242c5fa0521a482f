"""Fault F1, in the store: term and vote persisted by two writes.

A node that voted for C in term 4 grants term 5 to A and crashes in the midst of writing that. Whatever part of the
write-ahead log is on the disk then, the next start finds the vote for C in term 4 or the vote for A in term 5: never
term 5 with no vote, nor with C's.
"""

from contextlib import closing
from pathlib import Path

from rafty_core.output import Write
from tests.transports.storage_kit import image_after_kill, open_store

FRAME = 24 + 4096


def test_f1_vote_and_term_after_a_crash_at_any_frame(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        store.write([Write(1, 4, "C")])
        mark = (tmp_path / "n1" / "mark").read_bytes()
        before = (tmp_path / "n1" / "raft.db-wal").stat().st_size
        store.write([Write(2, 5, "A")])
        whole = image_after_kill(tmp_path / "n1", tmp_path / "whole")
    log = (whole / "raft.db-wal").read_bytes()
    found = set()
    for size in range(before, len(log) + 1, FRAME):
        image = image_after_kill(whole, tmp_path / "image")
        (image / "mark").write_bytes(mark)
        (image / "raft.db-wal").write_bytes(log[:size])
        with closing(open_store(image)) as store:
            stable = store.load()
            found.add((stable.term, stable.vote))
    assert found == {(4, "C"), (5, "A")}
