"""Callers of simulated clusters: what they do, and which broken rule of sessions or reads their history shows."""

from collections import Counter
from typing import Any

import pytest

from rafty_core.invariants import InvariantViolation
from rafty_core.session_table import LATELY, Session, Table
from rafty_core.sessions import LogClock, Sessions
from rafty_core.simulation.failure import SimulationFailure
from rafty_core.simulation.registers import Registers, registers_of
from rafty_core.simulation.run import run
from tests.simulation.parts import REAL_CODEC

SHORT: dict[str, Any] = {
    "size": 3,
    "duration": 10.0,
    "latency": 0.01,
    "sync_time": 0.002,
    "lossy": 0.02,
    "lease": 0,
    "max_pending_reads": 65536,
    "fault_interval": 1.5,
    "striking": 0,
    "churn_interval": 0,
    "transfer_interval": 0,
    "with_results": True,
    "proposal_interval": 0.3,
    "caller_interval": 0.05,
}
IN_SESSIONS: dict[str, Any] = {**SHORT, "application": "sessions", "callers": 4, "max_kept_answers": 2}


def test_callers_have_a_history_that_is_judged() -> None:
    counts: Counter[str] = Counter()
    for application in ("registers", "sessions"):
        counts.update(run(0, REAL_CODEC, **{**SHORT, "application": application, "callers": 3}).history)
    assert counts["certain"] > 60
    assert counts["unknown"] > 0
    assert counts["refused"] > 0
    assert counts["not judged"] < 6


def test_callers_are_left_out_of_a_run_without_a_machine() -> None:
    assert run(1, REAL_CODEC, **{**SHORT, "application": "none", "duration": 2.0}).history == {}


def test_registers_answer_what_is_and_what_was() -> None:
    registers = Registers()
    commands = [b"set v a", b"get v", b"cas v b c", b"cas v a c", b"append v d", b"", b"set v", b"no v", b"get w"]
    assert registers.apply(1, commands) == [b"", b"a", b"a", b"a", b"cd", b"", b"", b"", b""]
    assert registers_of(Sessions(registers)).value("v") == b"cd"


call, due = Sessions._call, LogClock.due


def without_answers(self: Sessions, run_: Any, index: int, command: bytes) -> bytes | None:
    """Nothing is remembered (F100)."""
    for session in self._table.sessions.values():
        session.answers.clear()
        session.acknowledged = 0
    return call(self, run_, index, command)


def makes_room(self: Table, session: Session) -> bool:
    """The oldest answer goes when there is no room (F144)."""
    while len(session.answers) >= self._max_kept_answers:
        del session.answers[next(iter(session.answers))]
    return False


def by_the_hosts_clock(self: LogClock, now: float) -> bytes | None:
    """F143."""
    self._latest = max(self._latest, self._sessions.log_time)
    self._base, self._since = 0, 0.0
    return due(self, now)


def expires_early(self: Table, log_time: int, expiry: int) -> None:
    """Whoever was not used since the last clock entry is gone."""
    if log_time > self.log_time:
        self.log_time = log_time
        self.sessions = {number: one for number, one in self.sessions.items() if one.used == LATELY}
        for session in self.sessions.values():
            session.used = log_time


@pytest.mark.parametrize(
    ("where", "name", "broken", "numbers"),
    [
        (Sessions, "_call", without_answers, {"I18"}),
        pytest.param(Table, "is_full", makes_room, {"I18"}, marks=pytest.mark.slow),
        pytest.param(LogClock, "due", by_the_hosts_clock, {"I18"}, marks=pytest.mark.slow),
        pytest.param(Table, "move_clock", expires_early, {"I18"}, marks=pytest.mark.slow),
    ],
)
def test_callers_notice_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, broken: object, numbers: set[str]
) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(SimulationFailure) as caught:
        for seed in range(15):
            run(seed, REAL_CODEC, **IN_SESSIONS)
    cause = caught.value.__cause__
    assert isinstance(cause, InvariantViolation)
    assert cause.number in numbers


def test_callers_notice_a_history_that_has_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """I17: all nodes agree on it, and yet it is no register: every tenth command is not carried out."""
    carry_out = Registers._apply

    def forgetful(self: Registers, command: bytes) -> bytes:
        before = dict(self.values)
        result = carry_out(self, command)
        if command.startswith(b"set") and command.endswith(b"3;"):
            self.values = before
        return result

    monkeypatch.setattr(Registers, "_apply", forgetful)
    with pytest.raises(SimulationFailure, match="I17: key v") as caught:
        for seed in range(15):
            run(seed, REAL_CODEC, **IN_SESSIONS)
    assert "nothing explains" in str(caught.value)
