"""Fault F113: a damaged term or vote is read as none, and the node votes a second time.

Whatever is changed in the row that holds term and vote, the store refuses to open; it never starts with another vote.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import CorruptStore
from tests.transports.storage_kit import open_store

DAMAGE = (
    "UPDATE state SET vote = NULL",
    "UPDATE state SET vote = ''",
    "UPDATE state SET vote = 'n3'",
    "UPDATE state SET term = 4, vote = NULL",
    "UPDATE state SET term = 0",
    "UPDATE state SET term = 'five'",
    "UPDATE state SET boot = 0",
    "UPDATE state SET crc = crc + 1",
    "DELETE FROM state",
    "INSERT INTO state (id, number, term, vote, crc) SELECT 2, number, term, 'n3', crc FROM state",
)


@pytest.mark.parametrize("damage", DAMAGE)
def test_f113_damaged_term_or_vote(tmp_path: Path, damage: str) -> None:
    with closing(open_store(tmp_path / "n1")) as store:
        store.write([Write(1, 5, "n2")])
    with closing(sqlite3.connect(tmp_path / "n1" / "raft.db", isolation_level=None)) as connection:
        connection.execute(damage)
    with pytest.raises(CorruptStore, match=r"the state row|not an integer"):
        open_store(tmp_path / "n1")
