"""Flow control of one follower."""

import pytest

from rafty_core.progress import PROBE, REPLICATE, Inflights, Progress


def streaming() -> Progress:
    progress = Progress(8, Inflights(3, 100))
    progress.acknowledge(7)
    progress.become_replicate()
    return progress


def test_new_follower_is_probed_one_append_at_a_time() -> None:
    progress = Progress(8, Inflights(3, 100))
    assert (progress.state, progress.match, progress.next, progress.is_paused) == (PROBE, 0, 8, False)
    progress.sent(10, 5)
    assert (progress.next, progress.is_paused) == (8, True)
    assert progress.acknowledge(10)
    assert (progress.match, progress.next, progress.is_paused) == (10, 11, False)


def test_stream_runs_ahead_until_the_window_is_full() -> None:
    progress = streaming()
    for last in (8, 9, 10):
        assert not progress.is_paused
        progress.sent(last, 10)
    assert (progress.next, progress.is_paused, progress.inflights.bytes) == (11, True, 30)
    progress.acknowledge(9)
    assert (progress.match, progress.next, progress.inflights.count, progress.is_paused) == (9, 11, 1, False)


def test_window_is_bounded_in_bytes_too() -> None:
    progress = streaming()
    progress.sent(8, 150)
    assert progress.is_paused
    with pytest.raises(ValueError, match="window"):
        progress.inflights.add(9, 1)


def test_window_without_a_bound_of_bytes() -> None:
    inflights = Inflights(2, 0)
    inflights.add(1, 10**9)
    assert not inflights.full
    inflights.reset()
    assert (inflights.count, inflights.bytes) == (0, 0)


@pytest.mark.parametrize(("rejected", "hint", "expected"), [(7, 3, 4), (7, 9, 7), (7, 0, 1), (6, 3, 8), (8, 3, 8)])
def test_refused_probe_steps_back(rejected: int, hint: int, expected: int) -> None:
    progress = Progress(8, Inflights(3, 100))
    progress.sent(8, 1)
    assert progress.refuse(rejected, hint) is (rejected == 7)
    assert progress.next == expected


def test_refusal_turns_a_stream_into_a_probe_behind_match() -> None:
    progress = streaming()
    progress.sent(8, 10)
    assert not progress.refuse(7, 3)
    assert progress.state == REPLICATE
    assert progress.refuse(8, 3)
    assert (progress.state, progress.next, progress.match, progress.inflights.count) == (PROBE, 8, 7, 0)


@pytest.mark.parametrize(("last_index", "nudged"), [(7, False), (8, True)])
def test_heartbeat_answer_wakes_whoever_lacks_something(last_index: int, nudged: bool) -> None:
    progress = streaming()
    progress.heartbeat_answered(last_index)
    assert progress.nudged is nudged
