"""Fault F115: bytes of an old record, with a CRC that is right, are read as new.

A row that once stood at the same index, and a row of another node's data directory, both whole in themselves, stand
where a newer row should. Each CRC covers the one before it, from a seed of this data directory, so both are refused.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rafty_transports.storage import CorruptStore
from tests.transports.storage_kit import append, open_store


def rows_of(path: Path, table: str = "log") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path / "raft.db")) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()


def put_rows(path: Path, rows: list[tuple[Any, ...]], table: str = "log") -> None:
    with closing(sqlite3.connect(path / "raft.db", isolation_level=None)) as connection:
        for row in rows:
            connection.execute(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def write_log(path: Path, *sizes: int) -> None:
    """Four rows of one entry each, of these sizes."""
    with closing(open_store(path)) as store:
        for seq, size in enumerate(sizes, 1):
            append(store, seq, seq, size=size)


def test_f115_row_of_the_log_before_it_was_replaced(tmp_path: Path) -> None:
    write_log(tmp_path / "n1", 10, 11, 12, 13)
    old = rows_of(tmp_path / "n1")
    with closing(open_store(tmp_path / "n1")) as store:
        append(store, 1, 2, size=20)
        append(store, 2, 3, size=12)
        append(store, 3, 4, size=13)
    with closing(open_store(tmp_path / "n1")) as store:
        assert len(store.load().batches) == 4
    put_rows(tmp_path / "n1", old[1:2])
    with pytest.raises(CorruptStore, match="the log does not continue"):
        open_store(tmp_path / "n1")


def test_f115_row_of_another_data_directory(tmp_path: Path) -> None:
    write_log(tmp_path / "n1", 10, 11)
    write_log(tmp_path / "n9", 20, 11)
    put_rows(tmp_path / "n1", rows_of(tmp_path / "n9")[:1])
    with pytest.raises(CorruptStore, match="the log does not continue"):
        open_store(tmp_path / "n1")
    put_rows(tmp_path / "n1", rows_of(tmp_path / "n9"))
    put_rows(tmp_path / "n1", rows_of(tmp_path / "n9", "state"), "state")
    with pytest.raises(CorruptStore, match="the state row"):
        open_store(tmp_path / "n1")
