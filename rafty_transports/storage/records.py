"""What stands in the database, and how it is known to be whole.

Law: *a record that does not fit the one before it, or the state row that closes it, is corruption; never an end.*

sqlite's pages have no checksums. So a batch's row carries a CRC over first index, count, term, the CRC of its entries
and the CRC of the row before it; every transaction rewrites the one state row, which names the last index, its term
and that last CRC, and carries a CRC of its own. It names the base as well: index, term and CRC of the row before the
first one, which was compacted, and index and term of the newest snapshot, whose configuration stands in a row beside
it. A row that is missing, old, repeated or changed then cannot be taken for the beginning or the end of the log, nor an
old suffix for a new one (faults F107, F112, F115). All CRCs start from a seed that no other data directory has.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import fields as fields_of
from operator import attrgetter
from pathlib import Path
from typing import Any

from rafty_core.configuration import Configuration
from rafty_core.entries import LARGEST, Batch
from rafty_core.stable import Snapshot
from rafty_transports.codec import unpack_batch
from rafty_transports.storage.errors import RESTORE, CorruptStore, UnknownFormat
from rafty_transports.storage.identity import Birth

APPLICATION = 0x72616674
"""Stands in the database's header as its application id: "raft"."""

FORMAT = 2
"""Stands in the database's header as its user version; one more whenever the schema or a record changes."""

SCHEMA = """
CREATE TABLE birth (id INTEGER PRIMARY KEY, cluster TEXT, cluster_id TEXT, node_id TEXT, incarnation TEXT, initial TEXT,
                    crc INTEGER);
CREATE TABLE state (id INTEGER PRIMARY KEY, number INTEGER, boot INTEGER, term INTEGER, last_index INTEGER,
                    last_term INTEGER, base_index INTEGER, base_term INTEGER, snapshot_index INTEGER,
                    snapshot_term INTEGER, chain INTEGER, base_chain INTEGER, snapshot INTEGER, peers INTEGER,
                    vote TEXT, crc INTEGER);
CREATE TABLE snapshot (id INTEGER PRIMARY KEY, configuration TEXT);
CREATE TABLE peers (place INTEGER PRIMARY KEY, id TEXT, incarnation TEXT, boot INTEGER);
CREATE TABLE log (first INTEGER PRIMARY KEY, count INTEGER, term INTEGER, body_crc INTEGER, chain INTEGER, body BLOB);
"""

SAVE_STATE = f"INSERT OR REPLACE INTO state VALUES (1, {', '.join('?' * 15)})"
SAVE_SNAPSHOT = "INSERT OR REPLACE INTO snapshot VALUES (1, ?)"

LINK = struct.Struct(">QQQII")
STATE = struct.Struct(">9Q5I?")

Peers = dict[tuple[str, str], int]
"""Highest boot of each (id, incarnation) that was met, the newest last; 0 for one that was only admitted."""


@dataclass(frozen=True, slots=True)
class State:
    """The state row: number of the transaction, boot, term, end and base of the log, newest snapshot, CRCs, vote.

    `chain` and `base_chain` are the chained CRCs at the end and before the first row; `snapshot` and `peers` cover the
    snapshot's configuration and the peers met.
    """

    number: int
    boot: int
    term: int
    last_index: int
    last_term: int
    base_index: int
    base_term: int
    snapshot_index: int
    snapshot_term: int
    chain: int
    base_chain: int
    snapshot: int
    peers: int
    vote: str | None

    def row(self, seed: int) -> tuple[Any, ...]:
        """The columns as they are stored, with their CRC."""
        fields = _columns(self)
        packed = STATE.pack(*fields[:-1], seed, self.vote is None)
        return (*fields, zlib.crc32((self.vote or "").encode(), zlib.crc32(packed)))


_columns = attrgetter(*(column.name for column in fields_of(State)))
"""The columns as a tuple; `dataclasses.astuple` would copy each of them, at each commit."""


def first_state(term: int, snapshot: Snapshot, seed: int) -> State:
    """The state of a log that begins behind this snapshot, and of a node that voted for nobody in `term`."""
    index, crc = snapshot.index, snapshot_crc(snapshot.configuration.encode(), seed)
    numbers = (term, index, snapshot.term, index, snapshot.term, index, snapshot.term)
    return State(1, 0, *numbers, seed, seed, crc, peers_crc({}, seed), None)


def link(first: int, count: int, term: int, before: int, body_crc: int) -> int:
    """The chained CRC of a batch's row; `before` is that of the row before it, or the seed."""
    return zlib.crc32(LINK.pack(first, count, term, before, body_crc))


def peers_crc(peers: Peers, seed: int) -> int:
    """One CRC over all peers met, in their order."""
    return zlib.crc32(repr(list(peers.items())).encode(), seed)


def snapshot_crc(configuration: bytes, seed: int) -> int:
    """The CRC of the newest snapshot's configuration."""
    return zlib.crc32(configuration, seed)


def create_tables(connection: sqlite3.Connection, birth: Birth, snapshot: Snapshot, term: int) -> State:
    """Fill an empty database with the tables, the birth, and a state that promises no more than this snapshot."""
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    names = (birth.cluster, birth.cluster_id, birth.node_id, birth.incarnation, birth.initial.encode().decode())
    connection.execute("INSERT INTO birth VALUES (1, ?, ?, ?, ?, ?, ?)", (*names, birth.seed))
    state = first_state(term, snapshot, birth.seed)
    connection.execute(SAVE_SNAPSHOT, (snapshot.configuration.encode().decode(),))
    connection.execute(SAVE_STATE, state.row(birth.seed))
    return state


def save_peers(connection: sqlite3.Connection, peers: Peers) -> None:
    """Store whom this node met. They are few, and change when a node starts."""
    connection.execute("DELETE FROM peers")
    rows = [(*pair, boot) for pair, boot in peers.items()]
    connection.executemany("INSERT INTO peers (id, incarnation, boot) VALUES (?, ?, ?)", rows)


@contextmanager
def corruption(path: Path) -> Iterator[None]:
    """Whatever goes wrong while stored records are read is corruption, in words."""
    try:
        yield
    except sqlite3.Error as error:
        raise CorruptStore(f"{path} is damaged ({error}); {RESTORE}") from error
    except (ValueError, TypeError, AttributeError, KeyError, OverflowError, struct.error) as error:  # R173: any type
        raise CorruptStore(f"{path} holds a damaged record ({error}); {RESTORE}") from error


def check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `CorruptStore` for a database that is none of ours, `UnknownFormat` for a format that is not known."""
    with corruption(path):
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise ValueError("it is a database, but not one of rafty")
        if version != FORMAT:
            raise UnknownFormat(
                f"{path} has format {version}, this version of rafty knows format {FORMAT}; "
                "start it with the version of rafty that wrote it"
            )


def check_pages(connection: sqlite3.Connection, path: Path) -> None:
    """Raise `CorruptStore` if the database's pages do not hang together.

    The records' own CRCs do not cover the list of free pages; damage there would one day overwrite good records.
    """
    with corruption(path):
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise ValueError(" ".join(str(found).split()))


def read_birth(connection: sqlite3.Connection, path: Path) -> Birth:
    """The birth of this data directory; raises `CorruptStore`."""
    with corruption(path):
        columns = "cluster, cluster_id, node_id, incarnation, initial, crc"
        rows = connection.execute(f"SELECT {columns} FROM birth").fetchall()
        if len(rows) != 1:
            raise ValueError("the row that says whose it is")
        cluster, cluster_id, node_id, incarnation, initial, crc = rows[0]
        birth = Birth(cluster, cluster_id, node_id, incarnation, Configuration.decode(initial))
        if birth.seed != crc:
            raise ValueError("the row that says whose it is")
        return birth


def read_state(connection: sqlite3.Connection, path: Path, seed: int) -> State:
    """The state row; raises `CorruptStore`: a damaged term or vote is never read as none (fault F113)."""
    with corruption(path):
        rows = [row[1:] for row in connection.execute("SELECT * FROM state")]
        if len(rows) != 1:
            raise ValueError("the state row")
        state = State(*rows[0][:-1])
        if state.row(seed) != rows[0]:
            raise ValueError("the state row")
        return state


def read_peers(connection: sqlite3.Connection, path: Path, seed: int, state: State) -> Peers:
    """The peers that were met; raises `CorruptStore`."""
    with corruption(path):
        rows = connection.execute("SELECT id, incarnation, boot FROM peers ORDER BY place")
        peers = {(node_id, incarnation): boot for node_id, incarnation, boot in rows}
        if peers_crc(peers, seed) != state.peers:
            raise ValueError("the peers that were met")
        return peers


def read_snapshot(connection: sqlite3.Connection, path: Path, seed: int, state: State) -> Snapshot:
    """The newest snapshot; raises `CorruptStore`."""
    with corruption(path):
        rows = connection.execute("SELECT configuration FROM snapshot").fetchall()
        if len(rows) != 1 or snapshot_crc(rows[0][0].encode(), seed) != state.snapshot:
            raise ValueError("the configuration of the snapshot")
        return Snapshot(state.snapshot_index, state.snapshot_term, Configuration.decode(rows[0][0]))


def read_log(connection: sqlite3.Connection, path: Path, seed: int, state: State) -> list[Batch]:
    """Every batch behind the snapshot, verified; raises `CorruptStore` unless the log is what the state row closes.

    The first one may begin before the snapshot's end. Rows that the snapshot covers wholly are verified and left out.
    """
    batches: list[Batch] = []
    chain, last_index, last_term = state.base_chain, state.base_index, state.base_term
    covered = state.snapshot_index
    with corruption(path):
        columns = "first, count, term, body_crc, chain, body"
        for first, count, term, body_crc, stored, body in connection.execute(
            f"SELECT {columns} FROM log ORDER BY first"
        ):
            chain = link(first, count, term, chain, body_crc)
            if chain != stored or first != last_index + 1 or not last_term <= term <= LARGEST:
                raise ValueError(f"the log does not continue after index {last_index}")
            batch = unpack_batch(first, term, body, body_crc)
            if len(batch.entries) != count or count < 1:
                raise ValueError(f"the entries from index {first} on")
            if first <= covered <= batch.last and term != state.snapshot_term:
                raise ValueError(f"the log and the snapshot differ at index {covered}")
            if batch.last > covered:
                batches.append(batch)
            last_index, last_term = batch.last, term
        if (chain, last_index, last_term) != (state.chain, state.last_index, state.last_term):
            raise ValueError(f"the log ends at index {last_index}, but ended at {state.last_index}")
        if not state.base_index <= covered <= last_index:
            raise ValueError(f"the snapshot of index {covered} does not continue the log")
    return batches
