"""Fault F107: a record that rotted in the middle of the log is taken for its end.

One entry in the midst of a durable log is damaged while good entries follow it. The store must not load a shorter log:
the node would vote, and lead, without entries that it acknowledged.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rafty_transports.storage import CorruptStore
from tests.transports.storage_kit import append, contents, open_store

DAMAGE = {
    "an entry's bytes": "UPDATE log SET body = replace(body, '/', '-') WHERE first = 3",
    "the entries of another row": "UPDATE log SET body = (SELECT body FROM log WHERE first = 5) WHERE first = 3",
    "a term": "UPDATE log SET term = 2 WHERE first = 3",
    "a row gone": "DELETE FROM log WHERE first = 3",
    "the last row gone": "DELETE FROM log WHERE first = 9",
    "every row gone": "DELETE FROM log",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_f107_damaged_record_before_good_ones(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "n1"
    with closing(open_store(path)) as store:
        for seq in range(1, 6):
            append(store, seq, 2 * seq - 1, 2)
    with closing(sqlite3.connect(path / "raft.db", isolation_level=None)) as connection:
        connection.execute(damage)
    before = contents(path)
    for _ in range(2):
        with pytest.raises(CorruptStore, match="do not delete it lightly"):
            open_store(path)
    assert contents(path) == before
