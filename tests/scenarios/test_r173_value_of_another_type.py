"""R173: a value in the database is of another type, and opening the store ends with an `AttributeError`.

Found by the campaign on a simulated disk, which damages values of rows. sqlite keeps the type beside each value: one
bit turns a text into a blob, and a few turn it into nothing. Nothing was lost, but the person who started the node was
told of a mistake in rafty, and not that the disk is damaged, and what to do.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.output import Write
from rafty_transports.storage import CorruptStore
from tests.transports.storage_kit import open_store


@pytest.mark.parametrize("value", ["NULL", "CAST({} AS BLOB)", "7"])
@pytest.mark.parametrize("column", ["snapshot.configuration", "state.vote", "birth.node_id"])
def test_r173_value_of_another_type(tmp_path: Path, column: str, value: str) -> None:
    table, name = column.split(".")
    with closing(open_store(tmp_path / "n1")) as store:
        store.write([Write(1, 5, "n2")])
    with closing(sqlite3.connect(tmp_path / "n1" / "raft.db", isolation_level=None)) as connection:
        connection.execute(f"UPDATE {table} SET {name} = {value.format(name)}")
    with pytest.raises(CorruptStore, match="damaged"):
        open_store(tmp_path / "n1")
