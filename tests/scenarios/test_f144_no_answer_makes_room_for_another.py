"""Fault F144: a kept answer is evicted to make room for another one, and the retry of its call runs again.

An answer goes only when its client acknowledged it; then its call is refused for ever. Without room, new calls are
refused and not run.
"""

import random

from rafty_core.sessions import APPLIED, OVERLOADED, STALE, encode_call
from tests.core.session_log import Log


def test_f144_a_full_session_refuses_new_calls_and_still_knows_the_old_answers() -> None:
    log = Log(max_kept_answers=3)
    session = log.open()
    calls = [encode_call(session, sequence, 0, b"%d" % sequence) for sequence in range(1, 7)]
    answers = log.apply(*calls)
    assert [answer[:1] for answer in answers] == [APPLIED] * 3 + [OVERLOADED] * 3
    assert log.apply(*calls) == answers
    assert log.ran == [b"1", b"2", b"3"]


def test_f144_a_session_full_of_bytes_refuses_new_calls_and_still_knows_the_old_answers() -> None:
    log = Log(max_kept_bytes=1000)
    session = log.open()
    calls = [encode_call(session, sequence, 0, bytes([sequence]) * 400) for sequence in range(1, 6)]
    answers = log.apply(*calls)
    assert [answer[:1] for answer in answers] == [APPLIED] * 3 + [OVERLOADED] * 2
    assert log.apply(*calls) == answers
    assert len(log.ran) == 3


def test_f144_an_acknowledged_call_never_runs_again() -> None:
    log = Log()
    session = log.open()
    first = encode_call(session, 1, 0, b"first")
    log.one(first)
    log.one(encode_call(session, 2, 1, b"second"))
    assert log.one(first) == STALE
    assert log.ran == [b"first", b"second"]


def test_f144_whatever_the_order_of_copies_no_call_runs_twice() -> None:
    for seed in range(20):
        chance, log = random.Random(seed), Log(max_kept_answers=2, max_kept_bytes=50)
        sessions = [log.open() for _ in range(2)]
        for _ in range(300):
            session, sequence = chance.choice(sessions), chance.randrange(1, 30)
            log.one(encode_call(session, sequence, chance.randrange(sequence), b"%d %d" % (session, sequence)))
        assert len(log.ran) == len(set(log.ran)) > 3
