"""Fault F2, in the store: term and vote are forgotten by a restart.

A node that reached term 5 and voted there is started again and again; its term never falls, its vote never goes.
"""

from contextlib import closing
from pathlib import Path

from rafty_core.output import Write
from tests.transports.storage_kit import batch, open_store


def test_f2_term_and_vote_after_every_restart(tmp_path: Path) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        store.write([Write(1, 5, "n2")])
    for start in range(1, 4):
        with closing(open_store(tmp_path / "n1")) as store:
            stable = store.load()
            assert (stable.term, stable.vote) == (5, "n2")
            store.write([Write(1, 5, "n2", [batch(start, 1, 5)])])
