"""However many rounds of heartbeats a leader begins for reads, it remembers a bounded number of their times.

With a lease of a minute and rounds that follow one another within a fraction of a millisecond, a leader that
remembered each one for the sake of late answers would keep millions.
"""

from rafty_core.roles import NEVER, Leader

ROUNDS = 100_000
APART = 2.0**-13


def leader_of_many_rounds() -> Leader:
    leader = Leader("A", {}, 0.0, 0.5)
    for number in range(1, ROUNDS + 1):
        leader.begin_round(number * APART, 1.0)
    return leader


def test_r105_times_are_bounded() -> None:
    leader = leader_of_many_rounds()
    assert len({leader.time_of_round(number) for number in range(ROUNDS - 4000, ROUNDS + 1)}) < 1000
    assert len(leader._round_times) <= 10_001


def test_r105_time_is_never_later_than_the_round() -> None:
    leader = leader_of_many_rounds()
    for number in range(ROUNDS - 4000, ROUNDS + 1):
        assert 0 <= number * APART - leader.time_of_round(number) <= 1 / 1000
    assert leader.time_of_round(1) == -NEVER
