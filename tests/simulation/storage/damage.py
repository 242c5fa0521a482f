"""What becomes of a data directory that nobody looks after: bits flip, blocks and files are lost, or are old ones.

Law: *whatever was done to it, a store refuses it, or loads all that was promised; never less and never other things*
(invariant I21, faults F107, F112, F113, F115, F116, F147).

Only one thing is done at a time. What stands elsewhere comes from an older image of the same data directory, or from
that of a twin: a node of the same name in the same cluster, with other promises. Single rows may come from a branch,
too: from a copy of the directory that has lived on. A whole copy is not put in its place: only other nodes can tell.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from tests.simulation.storage import connection
from tests.simulation.storage.content import SECTOR, Directory, File
from tests.simulation.storage.files import BLOCK, SimulatedDisk
from tests.simulation.storage.plug import plugged

TABLES = ("birth", "state", "state", "snapshot", "peers", "log", "log", "log")


class Damage:
    """Damages the data directory `path`, in which no process works; `others` are images of disks with others there, and
    `branches` those of copies that have lived on.

    `what` says what was done last, in words.
    """

    def __init__(
        self,
        disk: SimulatedDisk,
        path: PurePosixPath,
        others: Sequence[Directory],
        branches: Sequence[Directory],
    ) -> None:
        self.what = ""
        self._disk, self._path, self._others = disk, path, others
        self._with_rows = [*others, *branches]

    def one(self, draw: random.Random) -> None:
        """Do one of the things that may happen."""
        self._disk.draw = draw
        acts: list[Callable[[random.Random], None]] = [self._lose, self._gone, self._row]
        acts += [self._flip, self._value] * 2
        if self._others:
            acts += [self._old, self._row, self._row]
        draw.choice(acts)(draw)

    def _some(self, draw: random.Random) -> PurePosixPath:
        return draw.choice(list(self._disk.walk(self._path)))

    def _flip(self, draw: random.Random) -> None:
        path = self._some(draw)
        self.what = f"a bit of {path.name} has flipped"
        self._disk.flip(path)

    def _lose(self, draw: random.Random) -> None:
        """A block reads as zeros, or a file ends early."""
        path = self._some(draw)
        file = self._disk.file(path)
        if not file.data:
            return
        place = draw.randrange(len(file.data))
        if draw.random() < 0.5:
            self.what = f"{path.name} is cut off at {place}"
            del file.data[place:]
        else:
            size = draw.choice((SECTOR, BLOCK))
            start = place - place % size
            self.what = f"{size} bytes of {path.name} at {start} are lost"
            file.data[start : start + size] = bytes(len(file.data[start : start + size]))

    def _gone(self, draw: random.Random) -> None:
        path = self._some(draw)
        self.what = f"{path.name} is gone"
        self._disk.remove(path)

    def _old(self, draw: random.Random) -> None:
        """A file, or a block of one, is what it is in another image; but no image of a state machine, for those of one
        name are equal."""
        other = SimulatedDisk(draw)
        other.put_back(draw.choice(self._others))
        path = draw.choice([path for path in other.walk(self._path) if path.parent == self._path])
        theirs, ours = other.file(path), self._disk.find(path)
        if not isinstance(ours, File):
            ours = self._disk.create(path)
        if draw.random() < 0.5:
            self.what = f"{path.name} is another one"
            ours.data[:] = theirs.data
        elif theirs.data and ours.data:
            start = draw.randrange(0, min(len(theirs.data), len(ours.data)), BLOCK)
            self.what = f"{path.name} has other bytes at {start}"
            ours.data[start : start + BLOCK] = theirs.data[start : start + BLOCK]

    def _row(self, draw: random.Random) -> None:
        """A row is gone, or another one, or one of another image."""
        table = draw.choice(TABLES)
        image = self._disk.image()
        rows: list[tuple[object, ...]] = []
        if self._with_rows and draw.random() < 0.7:
            self._disk.put_back(draw.choice(self._with_rows))
            rows = self._sql(f"SELECT * FROM {table} ORDER BY 1", ())
            self._disk.put_back(image)
        ours = self._sql(f"SELECT * FROM {table} ORDER BY 1", ())
        if rows:
            keys = {row[0] for row in ours}
            row = draw.choice([row for row in rows if row[0] in keys and row not in ours] or rows)
            self.what = f"a row of {table} is another one, {row[0]}"
        elif ours and draw.random() < 0.5:
            key = draw.choice((ours[-1], draw.choice(ours)))[0]
            self.what = f"row {key} of {table} is gone"
            self._sql(f"DELETE FROM {table} WHERE rowid = ?", (key,))
            return
        elif len(ours) > 1:
            row = (draw.choice(ours)[0], *draw.choice(ours)[1:])
            self.what = f"a row of {table} is that of another place, {row[0]}"
        else:
            return
        marks = ", ".join("?" * len(row))
        self._sql(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", row)

    def _value(self, draw: random.Random) -> None:
        """A value in a row is another one; small numbers are small fields, which bits that flip seldom hit."""
        table = draw.choice(TABLES)
        rows = self._sql(f"SELECT * FROM {table} ORDER BY 1", ())
        if not rows:
            return
        row = list(draw.choice(rows))
        column = draw.randrange(1, len(row))
        self.what = f"value {column} in row {row[0]} of {table} is another one"
        row[column] = _other_value(draw, row[column])
        self._sql(f"INSERT OR REPLACE INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def _sql(self, statement: str, values: Sequence[object]) -> list[tuple[object, ...]]:
        with plugged(self._disk, self._disk.draw):
            database = connection.connect(f"file://{self._path}/raft.db?mode=rw")
            try:
                return database.execute(statement, values).fetchall()
            finally:
                database.close()
                connection.end_process(self._disk)
                self._disk.end_process()


def _other_value(draw: random.Random, value: object) -> object:
    """This value with a bit flipped, or the like."""
    if isinstance(value, int):
        return value ^ 1 << draw.randrange(max(3, value.bit_length()))
    if value is None:
        return "n1"
    data = bytearray(value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b"")
    if not data or draw.random() < 0.2:
        return None
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(3)
    return data.decode() if isinstance(value, str) else bytes(data)
