"""The table of sessions: who is known, which answers are kept for whom, and how it is written into a snapshot.

Law: *the table follows from the log alone, and its image is the same bytes on every node that applied the same.*

Sessions stand in the order of their last use, the longest unused first, so that those which expire are found at the
front; and answers in the order in which they were made. Both are orders of insertion, which an image keeps.
"""

import struct
import zlib
from collections.abc import Callable
from struct import Struct
from typing import BinaryIO

_MAGIC = b"rafty sessions 1"
_ANNOUNCED = Struct(">QI")  # bytes of the table, their CRC
_TABLE, _SESSION, _ANSWER = Struct(">QQ"), Struct(">QQQQ"), Struct(">QQ")
_PORTION = 1024 * 1024

LATELY = 2**64 - 1
"""The log time of a use since the last clock entry: the next one says when that was at the latest."""


class Session:
    """One session. `used` is the log time of its last use, or `LATELY`; `acknowledged` the sequence up to which its
    client knows every answer, or will never ask again."""

    __slots__ = ("number", "used", "acknowledged", "answers", "kept_bytes")

    def __init__(self, number: int, used: int = LATELY, acknowledged: int = 0) -> None:
        self.number = number
        self.used = used
        self.acknowledged = acknowledged
        self.answers: dict[int, bytes] = {}
        self.kept_bytes = 0

    def keep(self, sequence: int, answer: bytes) -> None:
        """The call was run, and this is what every copy of it is answered."""
        self.answers[sequence] = answer
        self.kept_bytes += len(answer)

    def acknowledge(self, sequence: int) -> None:
        """The client will not ask for the answers up to this one any more. It never moves back."""
        if sequence <= self.acknowledged:
            return
        answers = self.answers
        if sequence - self.acknowledged > len(answers):
            known = [kept for kept in answers if kept <= sequence]
        else:
            known = [kept for kept in range(self.acknowledged + 1, sequence + 1) if kept in answers]
        for kept in known:
            self.kept_bytes -= len(answers.pop(kept))
        self.acknowledged = sequence


class Table:
    """All sessions and the log time. The limits are those of one session."""

    def __init__(self, max_kept_answers: int, max_kept_bytes: int) -> None:
        self.log_time = 0
        self.sessions: dict[int, Session] = {}
        self._max_kept_answers = max_kept_answers
        self._max_kept_bytes = max_kept_bytes

    def add(self, number: int) -> None:
        """A session is opened."""
        self.sessions[number] = Session(number)

    def use(self, session: Session) -> None:
        """The session is used now."""
        if session.used != LATELY:
            session.used = LATELY
            self.sessions[session.number] = self.sessions.pop(session.number)

    def is_full(self, session: Session) -> bool:
        """Whether no more answers of this session can be kept."""
        return len(session.answers) >= self._max_kept_answers or session.kept_bytes >= self._max_kept_bytes

    def move_clock(self, log_time: int, expiry: int) -> None:
        """Log time is now at least this; sessions that were not used for `expiry` are gone."""
        if log_time <= self.log_time:
            return
        for session in reversed(self.sessions.values()):
            if session.used != LATELY:
                break
            session.used = log_time  # or somewhat earlier, nobody knows: it never expires too early
        self.log_time = log_time
        expired = []
        for session in self.sessions.values():
            if session.used + expiry > log_time:
                break
            expired.append(session.number)
        for number in expired:
            del self.sessions[number]

    # ---------------------------------------------------------------- snapshots

    def image(self) -> Callable[[BinaryIO], None]:
        """Hold on to the table as it is now; return what writes it down, in another thread if one likes."""
        log_time = self.log_time
        rows = [
            (session.number, session.used, session.acknowledged, list(session.answers.items()))
            for session in self.sessions.values()
        ]

        def write(target: BinaryIO) -> None:
            parts = [_TABLE.pack(log_time, len(rows))]
            for number, used, acknowledged, answers in rows:
                parts.append(_SESSION.pack(number, used, acknowledged, len(answers)))
                for sequence, answer in answers:
                    parts += (_ANSWER.pack(sequence, len(answer)), answer)
            body = b"".join(parts)
            target.write(_MAGIC + _ANNOUNCED.pack(len(body), zlib.crc32(body)))
            target.write(body)

        return write

    def read(self, source: BinaryIO) -> "Table":
        """The table that an image holds, with the limits of this one. Raises `ValueError` for what is no image."""
        if _read_exactly(source, len(_MAGIC)) != _MAGIC:
            raise ValueError(
                "this snapshot does not begin with a table of sessions: its machine was not wrapped in Sessions, or "
                "another version wrote it; restore it with what it was written with"
            )
        size, check = _ANNOUNCED.unpack(_read_exactly(source, _ANNOUNCED.size))
        body = _read_exactly(source, size)
        if zlib.crc32(body) != check:
            raise ValueError("the table of sessions in this snapshot is damaged; take another snapshot")
        table = Table(self._max_kept_answers, self._max_kept_bytes)
        try:
            end = table._fill(body)
        except struct.error as error:
            raise ValueError("the table of sessions in this snapshot ends too early; take another snapshot") from error
        if end != len(body):
            raise ValueError("the table of sessions in this snapshot has a wrong length; take another snapshot")
        return table

    def _fill(self, body: bytes) -> int:
        """Take over the sessions of an image; returns where it ends."""
        self.log_time, count = _TABLE.unpack_from(body)
        at = _TABLE.size
        for _ in range(count):
            number, used, acknowledged, answers = _SESSION.unpack_from(body, at)
            at += _SESSION.size
            session = self.sessions[number] = Session(number, used, acknowledged)
            for _ in range(answers):
                sequence, size = _ANSWER.unpack_from(body, at)
                at += _ANSWER.size
                session.keep(sequence, body[at : at + size])
                at += size
        return at


def _read_exactly(source: BinaryIO, size: int) -> bytes:
    """So many bytes, and no memory for those that are not there."""
    parts = []
    while size:
        part = source.read(min(size, _PORTION))
        if not part:
            raise ValueError("the table of sessions in this snapshot ends too early; take another snapshot")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
