"""The rows of the log: appended, replaced from an index on, cut in the middle, compacted from the beginning.

Law: *after each change the rows are one chain, from the base that the state names to the end that it names.*

A row holds a batch. A batch that is cut is packed anew, in the transaction that cuts it. A row that straddles the
point up to which the log is compacted stays whole. Compaction may mean many rows, and removing them takes as long as
writing them, nearly; so each transaction removes a bounded number only, and the base moves with them.
"""

import sqlite3
from dataclasses import replace
from pathlib import Path

from rafty_core.entries import Batch
from rafty_core.stable import Snapshot
from rafty_transports.codec import pack_batch, unpack_batch
from rafty_transports.storage.order import check_continues, check_follows
from rafty_transports.storage.records import SAVE_SNAPSHOT, State, corruption, link, snapshot_crc

LAST_ROW = "SELECT first, count, term, body_crc, chain, body FROM log ORDER BY first DESC LIMIT 1"
FIRST_ROWS = "SELECT first, count, term, chain, length(body) FROM log WHERE first <= ? ORDER BY first LIMIT ?"
SAVE_BATCH = "INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?, ?, ?)"

SLICE_ROWS = 256
SLICE_BYTES = 2 << 20
"""What one transaction removes by compaction, at most: more than one appends, so that it comes to an end."""


class LogRows:
    """Changes rows through `connection`, inside a transaction of the caller's, and tells the state that follows."""

    def __init__(self, connection: sqlite3.Connection, path: Path, seed: int) -> None:
        self._connection = connection
        self._path = path
        self._seed = seed

    def replace_from(self, batch: Batch, state: State) -> State:
        """Store this batch in place of everything at its first index and after it; return what is the state then."""
        chain, last_term = state.chain, state.last_term
        if batch.first <= state.last_index:
            chain, last_term = self._cut(batch.first, state)
        check_follows(batch, last_term)
        chain = self._save(batch, chain)
        return replace(state, last_index=batch.last, last_term=batch.term, chain=chain)

    def start_behind(self, snapshot: Snapshot, installs: bool, state: State) -> State:
        """This is the newest snapshot; if it `installs`, the log starts anew behind it (faults F86, F142)."""
        index, term = snapshot.index, snapshot.term
        configuration = snapshot.configuration.encode()
        crc = snapshot_crc(configuration, self._seed)
        if installs:
            self._connection.execute("DELETE FROM log")
            chain = link(index, 0, term, state.chain, crc)
            state = replace(state, last_index=index, last_term=term, chain=chain)
            state = replace(state, base_index=index, base_term=term, base_chain=chain)
        else:
            check_continues(snapshot, self._term_at(index, state))
        self._connection.execute(SAVE_SNAPSHOT, (configuration.decode(),))
        return replace(state, snapshot_index=index, snapshot_term=term, snapshot=crc)

    def compact(self, to: int, state: State) -> tuple[State, bool]:
        """Remove some rows that lie wholly at or below index `to`; return the state, and whether more are left."""
        rows = self._connection.execute(FIRST_ROWS, (to, SLICE_ROWS + 1)).fetchall()
        size, removed = 0, 0
        for first, count, term, chain, weight in rows:
            if first + count - 1 > to:
                rows = rows[:removed]
                break
            if removed == SLICE_ROWS or (removed and size + weight > SLICE_BYTES):
                break
            state = replace(state, base_index=first + count - 1, base_term=term, base_chain=chain)
            size, removed = size + weight, removed + 1
        if removed:
            self._connection.execute("DELETE FROM log WHERE first <= ?", (state.base_index,))
        return state, removed < len(rows)

    def _save(self, batch: Batch, before: int) -> int:
        """Store this batch behind the row with chained CRC `before`; return its own."""
        packed, count = pack_batch(batch), len(batch.entries)
        chain = link(batch.first, count, batch.term, before, packed.crc)
        self._connection.execute(SAVE_BATCH, (batch.first, count, batch.term, packed.crc, chain, packed.body))
        return chain

    def _cut(self, first: int, state: State) -> tuple[int, int]:
        """Remove everything from index `first` on; return chained CRC and term of what is the end then."""
        self._connection.execute("DELETE FROM log WHERE first >= ?", (first,))
        row = self._connection.execute(LAST_ROW).fetchone()
        if row is None:
            return state.base_chain, state.base_term
        start, count, term, body_crc, chain, body = row
        if start + count > first:
            with corruption(self._path):
                kept = unpack_batch(start, term, body, body_crc).slice_to(first - 1)
            before = self._connection.execute("SELECT max(first), chain FROM log WHERE first < ?", (start,)).fetchone()
            chain = self._save(kept, state.base_chain if before[0] is None else before[1])
        return chain, term

    def _term_at(self, index: int, state: State) -> int:
        row = self._connection.execute("SELECT max(first), term FROM log WHERE first <= ?", (index,)).fetchone()
        term: int = state.base_term if row[0] is None else row[1]
        return term
