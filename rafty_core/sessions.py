"""Exactly-once clients: a state machine around the state machine that knows which calls were already run (thesis 6.3).

Law: *a call of a session is run once or never, however often it stands in the log; its answer is kept until its client
has said that it knows it.*

"The solution is for clients to assign unique serial numbers to every command. Then, the state machine tracks the latest
serial number processed for each client, along with the associated response" (paper 8). Here a client may have many
calls under way, which arrive in any order, so that all answers are kept which are not acknowledged. Nothing is thrown
away to make room, since the retry that comes next would run again (fault F144): where there is no room, the call is
refused and not run. A call of a session that expired is refused and not run, since nobody knows whether it was.

Raft's core knows nothing of sessions. Their table is state like any other: made by the log alone, equal on every node,
written with the machine's snapshot, taken over with it (fault F100). The limits given to `Sessions` are part of the
meaning of the log: every node must have the same.

Sessions expire by *log time*: a number in the table that starts at 0, and that only clock entries in the log move.
Their values come from `LogClock`: the log time that a new leader found, plus the seconds since it leads. No node's own
clock is in them, so that a change of leader makes no jump (fault F143). A session that was used since the last clock
entry counts as used at the next one: it may live longer than `expiry_seconds`, never shorter.

The form of a command. A plain command is stored as it is, but one that starts with 0xFE or 0xFF gets 0xFE in front. An
operation is 0xFF, the version 1, a letter, and unsigned integers of 8 bytes, big-endian: `O`; `C` session sequence
acknowledged command; `T` session acknowledged; `X` session; `K` microseconds. Its answer is a status byte (APPLIED and
the others below), and behind APPLIED the result. What is malformed is answered so, and changes nothing.
"""

from collections.abc import Callable, Sequence
from struct import Struct
from typing import BinaryIO, NamedTuple, Protocol

from rafty_core.session_table import Session, Table

ESCAPE, OPERATION = b"\xfe", b"\xff"
OPEN, CALL, TOUCH, CLOSE, CLOCK = b"\xff\x01O", b"\xff\x01C", b"\xff\x01T", b"\xff\x01X", b"\xff\x01K"

APPLIED = b"\x00"
"""It was carried out, now or before; the result follows."""
EXPIRED = b"\x01"
"""The session is not known (any more). This copy of the command was not run."""
OVERLOADED = b"\x02"
"""A bound is reached. This copy of the command was not run."""
STALE = b"\x03"
"""The client has said that it knows the answer of this call, or gave it up. This copy was not run."""
MALFORMED = b"\x04"
"""These bytes are no operation of this version."""

CLOCK_INTERVAL = 1_000_000
"""Microseconds between two clock entries, at least."""

LATEST = 2**63 - 1
"""The largest log time: far beyond every real one, so that no leader counts past what a clock entry holds."""

_ONE, _TWO, _THREE = Struct(">Q"), Struct(">QQ"), Struct(">QQQ")
_BODY_OF_CALL = len(CALL) + _THREE.size


class StateMachine(Protocol):
    """What the commands mean. See `rafty_transports.interfaces` for what is promised."""

    def apply(self, first_index: int, commands: Sequence[bytes], /) -> Sequence[bytes]:
        """Carry out these commands; one result for each."""
        ...


class Opened(NamedTuple):
    """The result of an OPEN: the session's number, and the limits that its client must know."""

    session: int
    expiry: int
    """Microseconds of log time without use after which the session is gone."""
    most_answers: int
    """With so many calls not acknowledged, others but the oldest are refused."""


def plain(commands: Sequence[bytes]) -> Sequence[bytes]:
    """These commands of the application in the form in which `Sessions` expects them in the log."""
    if not commands or max(commands) < ESCAPE:
        return commands
    return [command if command < ESCAPE else ESCAPE + command for command in commands]


def encode_call(session: int, sequence: int, acknowledged: int, command: bytes) -> bytes:
    """The operation that runs `command` once. The answers of all sequences up to `acknowledged` may be dropped, and
    those of them that did not run never will."""
    return CALL + _THREE.pack(session, sequence, acknowledged) + command


def encode_touch(session: int, acknowledged: int) -> bytes:
    """The operation that uses the session without a call."""
    return TOUCH + _TWO.pack(session, acknowledged)


def encode_close(session: int) -> bytes:
    """The operation that ends the session."""
    return CLOSE + _ONE.pack(session)


def encode_clock(log_time: int) -> bytes:
    """The operation that moves log time on to this value, in microseconds; it never moves back."""
    return CLOCK + _ONE.pack(log_time)


def decode_opened(answer: bytes) -> Opened | None:
    """What the answer of an OPEN says, or None if it says nothing of the kind."""
    if answer[:1] != APPLIED or len(answer) != 1 + _THREE.size:
        return None
    return Opened(*_THREE.unpack_from(answer, 1))


class _Run:
    """Commands that stand one behind the other in the log, on their way to the machine in one call."""

    __slots__ = ("sessions", "_machine", "_answers", "_first_index", "_commands", "_calls")

    def __init__(self, machine: StateMachine, answers: list[bytes]) -> None:
        self.sessions: dict[int, Session] = {}
        self._machine = machine
        self._answers = answers
        self._first_index = 0
        self._commands: list[bytes] = []
        self._calls: list[tuple[Session, int] | None] = []

    def add(self, index: int, command: bytes, call: tuple[Session, int] | None = None) -> None:
        """The command at this index belongs to this session and sequence, if to any."""
        if not self._commands:
            self._first_index = index
        self._commands.append(command)
        self._calls.append(call)
        if call is not None:
            self.sessions[call[0].number] = call[0]

    def finish(self) -> None:
        """Let the machine carry out what has gathered; keep the answers of calls."""
        if not self._commands:
            return
        results = self._machine.apply(self._first_index, self._commands)
        if len(results) != len(self._commands):
            raise ValueError(f"the state machine gave {len(results)} results for {len(self._commands)} commands")
        for call, result in zip(self._calls, results, strict=True):
            if call is None:
                self._answers.append(result)
            else:
                answer = APPLIED + result
                call[0].keep(call[1], answer)
                self._answers.append(answer)
        self._commands, self._calls, self.sessions = [], [], {}


class Sessions:
    """A state machine that adds sessions to `machine`, for commands that went through `plain` and for operations.

    machine           the application's; it must be wrapped from the first entry of its log on
    expiry_seconds    log time without use after which a session is gone
    max_sessions      sessions that may be open; one more is refused
    max_kept_answers  answers of one session that may wait for their acknowledgement
    max_kept_bytes    the same in bytes; the last answer may exceed it

    The oldest call that is not acknowledged is never refused for want of room, so that a session always gets on.

    It has `snapshot` and `restore` if the machine has both. A machine with an `applied_index` of its own raises
    `TypeError`: the table would not be in the machine's transaction, and after a restart calls would run twice (F101).
    """

    snapshot: Callable[[], Callable[[BinaryIO], None]]
    """Hold on to the state as it is now, the table with it; return what writes both down."""
    restore: Callable[[int, BinaryIO], None]
    """Take over the table and the machine's state of this applied index. Raises `ValueError` for what is no image."""

    def __init__(
        self,
        machine: StateMachine,
        *,
        expiry_seconds: float = 3600.0,
        max_sessions: int = 10_000,
        max_kept_answers: int = 1_000,
        max_kept_bytes: int = 256 * 1024,
    ) -> None:
        if hasattr(machine, "applied_index"):
            raise TypeError(
                "a machine that keeps its own state durable (it has an applied_index) cannot be wrapped in Sessions: "
                "keep the answers of its clients in its own transactions instead"
            )
        if expiry_seconds <= 0 or min(max_sessions, max_kept_answers, max_kept_bytes) < 1:
            raise ValueError("the limits of sessions must be above zero")
        self.machine = machine
        self.traffic = 0
        """How many commands were applied here that are no clock entries; `LogClock` compares it."""
        self._table = Table(max_kept_answers, max_kept_bytes)
        self._expiry = round(expiry_seconds * 1_000_000)
        self._max_sessions = max_sessions
        self._max_kept_answers = max_kept_answers
        self._machine_snapshot = getattr(machine, "snapshot", None)
        self._machine_restore = getattr(machine, "restore", None)
        if self._machine_snapshot is not None and self._machine_restore is not None:
            self.snapshot = self._snapshot
            self.restore = self._restore

    @property
    def open_sessions(self) -> int:
        """How many sessions are open."""
        return len(self._table.sessions)

    @property
    def log_time(self) -> int:
        """Microseconds since the beginning of the log, as far as clock entries have told."""
        return self._table.log_time

    def apply(self, first_index: int, commands: Sequence[bytes], /) -> Sequence[bytes]:
        """Carry out these commands, in order; one answer for each. Raises only what the machine raises."""
        if commands and max(commands) < ESCAPE:
            self.traffic += len(commands)
            return self.machine.apply(first_index, commands)
        answers: list[bytes] = []
        run = _Run(self.machine, answers)
        for index, command in enumerate(commands, first_index):
            self.traffic += command[:3] != CLOCK
            answer = self._add(run, index, command)
            if answer is not None:
                run.finish()
                answers.append(answer)
        run.finish()
        return answers

    def _add(self, run: _Run, index: int, command: bytes) -> bytes | None:
        """Let the machine run the command with others, or return the answer that there is without it."""
        if command < ESCAPE:
            run.add(index, command)
        elif command < OPERATION:
            if command[1:2] < ESCAPE:
                return MALFORMED
            run.add(index, command[1:])
        elif command[:3] == CALL and len(command) >= _BODY_OF_CALL:
            return self._call(run, index, command)
        else:
            run.finish()
            return self._operate(index, command)
        return None

    def _call(self, run: _Run, index: int, command: bytes) -> bytes | None:
        number, sequence, acknowledged = _THREE.unpack_from(command, len(CALL))
        if sequence <= acknowledged:
            return MALFORMED
        session = self._table.sessions.get(number)
        if session is None:
            return EXPIRED
        if number in run.sessions:  # what its earlier call leaves behind decides about this one
            run.finish()
        self._table.use(session)
        session.acknowledge(acknowledged)
        kept = session.answers.get(sequence)
        if kept is not None:
            return kept
        if sequence <= session.acknowledged:
            return STALE
        if self._table.is_full(session) and sequence != session.acknowledged + 1:
            return OVERLOADED
        run.add(index, command[_BODY_OF_CALL:], (session, sequence))
        return None

    def _operate(self, index: int, command: bytes) -> bytes:
        """Carry out an operation that is no call."""
        operation, size = command[:3], len(command) - 3
        if operation == OPEN and size == 0:
            if self.open_sessions >= self._max_sessions:
                return OVERLOADED
            self._table.add(index)
            return APPLIED + _THREE.pack(index, self._expiry, self._max_kept_answers)
        if operation == TOUCH and size == _TWO.size:
            number, acknowledged = _TWO.unpack_from(command, 3)
            session = self._table.sessions.get(number)
            if session is None:
                return EXPIRED
            self._table.use(session)
            session.acknowledge(acknowledged)
            return APPLIED
        if operation == CLOSE and size == _ONE.size:
            (number,) = _ONE.unpack_from(command, 3)
            return EXPIRED if self._table.sessions.pop(number, None) is None else APPLIED
        if operation == CLOCK and size == _ONE.size:
            (log_time,) = _ONE.unpack_from(command, 3)
            if log_time > LATEST:
                return MALFORMED
            self._table.move_clock(log_time, self._expiry)
            return APPLIED
        return MALFORMED

    def _snapshot(self) -> Callable[[BinaryIO], None]:
        if self._machine_snapshot is None:
            raise TypeError("the wrapped machine has no snapshot")
        write_table = self._table.image()
        write_machine = self._machine_snapshot()

        def write(target: BinaryIO) -> None:
            write_table(target)
            write_machine(target)

        return write

    def _restore(self, index: int, source: BinaryIO) -> None:
        if self._machine_restore is None:
            raise TypeError("the wrapped machine has no restore")
        table = self._table.read(source)
        self._machine_restore(index, source)
        self._table = table


class LogClock:
    """What a leader's node adds to the log so that unused sessions expire; one for each time that it becomes leader.

    now  the monotonic time of the node, in seconds: only differences of it are used
    """

    __slots__ = ("_sessions", "_base", "_since", "_latest", "_traffic")

    def __init__(self, sessions: Sessions, now: float) -> None:
        self._sessions = sessions
        self._traffic = sessions.traffic
        self._base = self._latest = sessions.log_time
        self._since = now

    def due(self, now: float) -> bytes | None:
        """The clock entry that the leader should propose now, or None: at most one a second, and only while sessions
        are open and commands are applied. It may be lost: the next one says more."""
        sessions = self._sessions
        if sessions.log_time > self._latest:  # an earlier leader's entry, that was not applied yet when this one began
            self._base = self._latest = sessions.log_time
            self._since = now
        log_time = self._base + int((now - self._since) * 1_000_000)
        if not sessions.open_sessions or sessions.traffic == self._traffic or log_time < self._latest + CLOCK_INTERVAL:
            return None
        self._latest, self._traffic = log_time, sessions.traffic
        return encode_clock(log_time)
