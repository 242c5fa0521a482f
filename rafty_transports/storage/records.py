"""What stands in the database, and how it is known to be whole.

Law: *a record that does not fit the one before it, or the state row that closes it, is corruption; never an end.*

sqlite's pages have no checksums. So a batch's row carries a CRC over first index, count, term, the CRC of its entries
and the CRC of the row before it; every transaction rewrites the one state row, which names the last index, its term
and that last CRC, and carries a CRC of its own. A row that is missing, old, repeated or changed then cannot be taken
for the end of the log, nor an old suffix for a new one (faults F107, F112, F115). All CRCs start from a seed that no
other data directory has.
"""

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rafty_core.entries import LARGEST, Batch
from rafty_transports.codec import unpack_batch
from rafty_transports.storage.errors import RESTORE, CorruptStore, UnknownFormat
from rafty_transports.storage.identity import Birth, decode_configuration, encode_configuration

APPLICATION = 0x72616674
"""Stands in the database's header as its application id: "raft"."""

FORMAT = 1
"""Stands in the database's header as its user version; one more whenever the schema or a record changes."""

SCHEMA = """
CREATE TABLE birth (id INTEGER PRIMARY KEY, cluster TEXT, node_id TEXT, incarnation TEXT, initial TEXT, crc INTEGER);
CREATE TABLE state (id INTEGER PRIMARY KEY, number INTEGER, boot INTEGER, term INTEGER, vote TEXT,
                    last_index INTEGER, last_term INTEGER, chain INTEGER, peers INTEGER, crc INTEGER);
CREATE TABLE peers (id TEXT PRIMARY KEY, incarnation TEXT, boot INTEGER);
CREATE TABLE log (first INTEGER PRIMARY KEY, count INTEGER, term INTEGER, body_crc INTEGER, chain INTEGER, body BLOB);
"""

SAVE_STATE = "INSERT OR REPLACE INTO state VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

LINK = struct.Struct(">QQQII")
STATE = struct.Struct(">QQQQQIII?")

Peers = dict[str, tuple[str, int]]
"""Incarnation and highest boot of each peer that was met."""


@dataclass(frozen=True, slots=True)
class State:
    """The state row: number of the transaction, boot, term and vote, end of the log, CRC of the peers met."""

    number: int
    boot: int
    term: int
    vote: str | None
    last_index: int
    last_term: int
    chain: int
    peers: int

    def row(self, seed: int) -> tuple[Any, ...]:
        """The columns as they are stored, with their CRC."""
        vote = (self.vote or "").encode()
        numbers = (self.number, self.boot, self.term, self.last_index, self.last_term)
        packed = STATE.pack(*numbers, self.chain, self.peers, seed, self.vote is None)
        fields = (self.number, self.boot, self.term, self.vote, self.last_index, self.last_term, self.chain, self.peers)
        return (*fields, zlib.crc32(vote, zlib.crc32(packed)))


def link(first: int, count: int, term: int, before: int, body_crc: int) -> int:
    """The chained CRC of a batch's row; `before` is that of the row before it, or the seed."""
    return zlib.crc32(LINK.pack(first, count, term, before, body_crc))


def peers_crc(peers: Peers, seed: int) -> int:
    """One CRC over all peers met."""
    return zlib.crc32(repr(sorted(peers.items())).encode(), seed)


def create_tables(connection: sqlite3.Connection, birth: Birth) -> None:
    """Fill an empty database with the tables, the birth, and a state that promises nothing yet."""
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    for statement in SCHEMA.split(";"):
        connection.execute(statement)
    names = (birth.cluster, birth.node_id, birth.incarnation, encode_configuration(birth.initial))
    connection.execute("INSERT INTO birth VALUES (1, ?, ?, ?, ?, ?)", (*names, birth.seed))
    seed = birth.seed
    state = State(1, 0, 0, None, 0, 0, seed, peers_crc({}, seed))
    connection.execute(SAVE_STATE, state.row(seed))


@contextmanager
def corruption(path: Path) -> Iterator[None]:
    """Whatever goes wrong while stored records are read is corruption, in words."""
    try:
        yield
    except sqlite3.Error as error:
        raise CorruptStore(f"{path} is damaged ({error}); {RESTORE}") from error
    except (ValueError, TypeError, KeyError, OverflowError, struct.error) as error:
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
        rows = connection.execute("SELECT cluster, node_id, incarnation, initial, crc FROM birth").fetchall()
        if len(rows) != 1:
            raise ValueError("the row that says whose it is")
        cluster, node_id, incarnation, initial, crc = rows[0]
        birth = Birth(cluster, node_id, incarnation, decode_configuration(initial))
        if birth.seed != crc:
            raise ValueError("the row that says whose it is")
        return birth


def read_state(connection: sqlite3.Connection, path: Path, seed: int) -> State:
    """The state row; raises `CorruptStore`: a damaged term or vote is never read as none (fault F113)."""
    with corruption(path):
        columns = "number, boot, term, vote, last_index, last_term, chain, peers, crc"
        rows = connection.execute(f"SELECT {columns} FROM state").fetchall()
        if len(rows) != 1:
            raise ValueError("the state row")
        state = State(*rows[0][:-1])
        if state.row(seed) != rows[0]:
            raise ValueError("the state row")
        return state


def read_peers(connection: sqlite3.Connection, path: Path, seed: int, state: State) -> Peers:
    """The peers that were met; raises `CorruptStore`."""
    with corruption(path):
        peers = {peer: (incarnation, boot) for peer, incarnation, boot in connection.execute("SELECT * FROM peers")}
        if peers_crc(peers, seed) != state.peers:
            raise ValueError("the peers that were met")
        return peers


def read_log(connection: sqlite3.Connection, path: Path, seed: int, state: State) -> list[Batch]:
    """Every batch of the log, each verified; raises `CorruptStore` unless it is exactly what the state row closes."""
    batches: list[Batch] = []
    chain, last_index, last_term = seed, 0, 0
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
            batches.append(batch)
            last_index, last_term = batch.last, term
        if (chain, last_index, last_term) != (state.chain, state.last_index, state.last_term):
            raise ValueError(f"the log ends at index {last_index}, but ended at {state.last_index}")
    return batches
