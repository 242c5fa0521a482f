"""Histories of sessions by seed: any entries in any batches against a model, snapshots everywhere, lossy clients."""

import io
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rafty_core.sessions import (
    APPLIED,
    EXPIRED,
    OPEN,
    OVERLOADED,
    STALE,
    Sessions,
    encode_call,
    encode_clock,
    encode_close,
    encode_touch,
    plain,
)
from tests.core.session_log import SECOND, Log, image

ROOT = Path(__file__).resolve().parents[2]


class Model:
    """The same rules, written the plain way: one entry at a time, nothing fast."""

    def __init__(self, expiry: int, max_sessions: int, max_kept: int) -> None:
        self.expiry, self.max_sessions, self.max_kept = expiry, max_sessions, max_kept
        self.time, self.ran = 0, list[bytes]()
        self.sessions: dict[int, dict[str, Any]] = {}

    def apply(self, index: int, entry: tuple[Any, ...]) -> bytes:
        what, *fields = entry
        if what == "plain":
            return self.run(fields[0])
        if what == "clock":
            return self.clock(fields[0])
        if what == "open":
            if len(self.sessions) >= self.max_sessions:
                return OVERLOADED
            self.sessions[index] = {"used": None, "acknowledged": 0, "answers": {}}
            return APPLIED + b"".join(n.to_bytes(8, "big") for n in (index, self.expiry, self.max_kept))
        session = self.sessions.get(fields[0])
        if session is None:
            return EXPIRED
        if what == "close":
            del self.sessions[fields[0]]
            return APPLIED
        session["used"] = None
        session["acknowledged"] = max(session["acknowledged"], fields[-1])
        for sequence in [sequence for sequence in session["answers"] if sequence <= session["acknowledged"]]:
            del session["answers"][sequence]
        return APPLIED if what == "touch" else self.call(session, fields[1], fields[2])

    def clock(self, time: int) -> bytes:
        if time > self.time:
            self.time = time
            for number, session in list(self.sessions.items()):
                if session["used"] is None:
                    session["used"] = time
                if session["used"] + self.expiry <= time:
                    del self.sessions[number]
        return APPLIED

    def call(self, session: dict[str, Any], sequence: int, command: bytes) -> bytes:
        if sequence in session["answers"]:
            return bytes(session["answers"][sequence])
        if sequence <= session["acknowledged"]:
            return STALE
        if len(session["answers"]) >= self.max_kept and sequence != session["acknowledged"] + 1:
            return OVERLOADED
        session["answers"][sequence] = APPLIED + self.run(command)
        return bytes(session["answers"][sequence])

    def run(self, command: bytes) -> bytes:
        self.ran.append(command)
        return b"%d:%b" % (len(self.ran), command)


def encode(entry: tuple[Any, ...]) -> bytes:
    what, *fields = entry
    if what == "call":
        session, sequence, command, acknowledged = fields
        return encode_call(session, sequence, acknowledged, command)
    encoders: dict[str, Callable[..., bytes]] = {
        "plain": lambda command: plain([command])[0],
        "open": lambda: OPEN,
        "touch": encode_touch,
        "close": encode_close,
        "clock": encode_clock,
    }
    return encoders[what](*fields)


def history(chance: random.Random, length: int) -> list[tuple[Any, ...]]:
    """Entries as hostile as clients can make them: repeated, reordered, late, of sessions that never were."""
    entries: list[tuple[Any, ...]] = []
    time, opened = 0, [1]
    for index in range(1, length + 1):
        kind = chance.random()
        session = chance.choice(opened[-4:])
        if kind < 0.05 or index == 1:
            entries.append(("open",))
            opened.append(index)
        elif kind < 0.2:
            entries.append(("plain", chance.choice([b"", b"p", b"\xfe", b"\xff\x01O", b"\xffx"]) + b"%d" % index))
        elif kind < 0.27:
            time += chance.choice([0, SECOND, 3 * SECOND])
            entries.append(("clock", max(0, time - chance.choice([0, 0, SECOND]))))
        elif kind < 0.3:
            entries.append(("touch", session, chance.randrange(12)))
        elif kind < 0.32:
            entries.append(("close", session))
        elif kind < 0.5 and index > 3:
            entries.append(chance.choice(entries[-20:]))
        else:
            acknowledged = chance.randrange(10)
            entries.append(("call", session, acknowledged + chance.randrange(1, 7), b"c%d" % index, acknowledged))
    return entries


LIMITS: dict[str, Any] = {"expiry_seconds": 8, "max_sessions": 4, "max_kept_answers": 3}


@pytest.mark.parametrize("seed", range(60))
def test_any_history_in_any_batches_is_what_the_model_says(seed: int) -> None:
    chance = random.Random(seed)
    entries = history(chance, 300)
    model, log = Model(8 * SECOND, 4, 3), Log(**LIMITS)
    expected = [model.apply(index, entry) for index, entry in enumerate(entries, 1)]
    answers: list[bytes] = []
    while len(answers) < len(entries):
        batch = entries[len(answers) : len(answers) + chance.choice([1, 2, 5, 40])]
        answers += log.apply(*map(encode, batch))
    assert answers == expected
    assert log.ran == model.ran
    used = [session.used for session in log.machine._table.sessions.values()]
    assert used == sorted(used)


@pytest.mark.parametrize("seed", range(6))
def test_i19_a_snapshot_at_any_point_continues_like_the_whole_log(seed: int) -> None:
    entries = [encode(entry) for entry in history(random.Random(seed), 120)]
    whole = Log(**LIMITS)
    answers = [whole.one(entry) for entry in entries]
    log = Log(**LIMITS)
    for point in range(len(entries)):
        restored = Log(**LIMITS)
        restored.machine.restore(point, io.BytesIO(image(log.machine)))
        restored.last = point
        assert image(restored.machine) == image(log.machine)
        assert restored.apply(*entries[point:]) == answers[point:]
        assert image(restored.machine) == image(whole.machine)
        log.one(entries[point])


@pytest.mark.parametrize("seed", range(20))
def test_clients_that_retry_over_a_network_that_loses_and_repeats_run_each_call_once(seed: int) -> None:
    """Each of three clients has up to four calls under way; copies are lost, repeated and delayed, and so are answers;
    the machine is replaced by one that restored its snapshot. Every answer that a client gets is that of the one run.
    """
    chance = random.Random(seed)
    log = Log(max_kept_answers=4)
    numbers = [log.open() for _ in range(3)]
    acknowledged, results = dict.fromkeys(numbers, 0), dict[tuple[int, int], bytes]()
    network: list[bytes] = []
    while any(reached < 30 for reached in acknowledged.values()):
        number = chance.choice(numbers)
        for sequence in range(acknowledged[number] + 1, acknowledged[number] + 5):
            if (number, sequence) not in results and chance.random() < 0.5:
                network.append(encode_call(number, sequence, acknowledged[number], b"%d.%d" % (number, sequence)))
        chance.shuffle(network)
        for command in network[: chance.randrange(6)]:
            answer = log.one(command)
            _, session, sequence = (
                command[:3],
                int.from_bytes(command[3:11], "big"),
                int.from_bytes(command[11:19], "big"),
            )
            if answer[:1] == APPLIED and sequence > acknowledged[session] and chance.random() < 0.6:
                assert results.setdefault((session, sequence), answer) == answer
        network = [command for command in network if chance.random() < 0.8]
        while (number, acknowledged[number] + 1) in results:
            acknowledged[number] += 1
        if chance.random() < 0.1:
            copy = image(log.machine)
            log.machine = Sessions(log.journal, max_kept_answers=4)
            log.machine.restore(log.last, io.BytesIO(copy))
    assert len(log.ran) == len(set(log.ran))
    for (session, sequence), answer in results.items():
        assert answer.endswith(b":%d.%d" % (session, sequence))
        assert answer[1:] == b"%d:%b" % (
            log.ran.index(b"%d.%d" % (session, sequence)) + 1,
            b"%d.%d" % (session, sequence),
        )


def test_snapshots_are_the_same_bytes_whatever_the_hash_seed() -> None:
    program = (
        "import hashlib, random; from tests.core.test_session_histories import *\n"
        "log = Log(**LIMITS); [log.one(encode(entry)) for entry in history(random.Random(3), 400)]\n"
        "print(hashlib.sha256(image(log.machine)).hexdigest(), log.machine.open_sessions)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    }
    assert len(digests) == 1
