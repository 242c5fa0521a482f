"""The door of a port: who is let in, who is crowded out in whose favour, and that what is counted is true.

Coroutines only because a visit has a cancel scope; nothing waits and nothing connects.
"""

from collections import Counter
from random import Random

import pytest

from rafty_transports.gate import Gate, Shared, Visit
from rafty_transports.interfaces import Refused
from rafty_transports.links import Limits

pytestmark = pytest.mark.anyio

PLENTY = 1000


def gate(*, connections: int = PLENTY, per_address: int = PLENTY, handshakes: int = PLENTY) -> Gate:
    """A gate with these limits, and otherwise none."""
    return Gate(Limits(connections=connections, connections_per_address=per_address, handshakes=handshakes))


def agreed(door: Gate, *hosts: str) -> list[Visit]:
    """Visits of these hosts, each of which has agreed before the next came."""
    visits = []
    for host in hosts:
        visits.append(door.enter(host))
        door.agreed(visits[-1])
    return visits


def out(*visits: Visit) -> list[bool]:
    """Which of these were crowded out; those are cancelled, and the others are not."""
    assert [visit.scope.cancel_called for visit in visits] == [visit.crowded_out for visit in visits]
    return [visit.crowded_out for visit in visits]


async def test_what_is_counted() -> None:
    door = gate()
    assert (door.connections, door.half_open) == (0, 0)
    first, second = door.enter("a"), door.enter("b")
    assert (door.connections, door.half_open) == (2, 2)
    door.agreed(first)
    assert (door.connections, door.half_open) == (2, 1)
    door.leave(second)
    assert (door.connections, door.half_open) == (1, 0)
    door.leave(first)
    assert (door.connections, door.half_open) == (0, 0)
    assert out(first, second) == [False, False]


async def test_no_more_connections_than_the_limit_in_all() -> None:
    door = gate(connections=3)
    visits = agreed(door, "a", "b", "c")
    for host in ("a", "d"):
        with pytest.raises(Refused, match="there are 3 incoming connections") as refused:
            door.enter(host)
        assert refused.value.reason == "connections"
    assert (door.connections, door.half_open) == (3, 0)
    assert out(*visits) == [False] * 3
    door.leave(visits[1])
    agreed(door, "d")
    assert door.connections == 3


async def test_no_more_connections_than_the_limit_from_one_address() -> None:
    door = gate(per_address=2)
    visits = agreed(door, "a", "b", "a")
    with pytest.raises(Refused, match="2 connections come from a already") as refused:
        door.enter("a")
    assert refused.value.reason == "address"
    assert door.connections == 3
    visits += agreed(door, "b", "c")
    assert out(*visits) == [False] * 5
    door.leave(visits[0])
    agreed(door, "a")
    assert door.connections == 5


async def test_no_more_half_open_connections_than_the_limit() -> None:
    door = gate(handshakes=2)
    settled = agreed(door, *"aaaa")
    visits = [door.enter(host) for host in "abc"]
    assert (door.connections, door.half_open) == (6, 2)
    assert out(*settled, *visits) == [False] * 4 + [True, False, False]


async def test_full_in_all_the_oldest_half_open_of_the_greatest_crowd_goes() -> None:
    door = gate(connections=6)
    settled = agreed(door, "c", "c", "c")  # who has agreed is no part of a crowd
    visits = [door.enter(host) for host in "abb"]
    visits.append(door.enter("c"))
    assert out(*settled, *visits) == [False] * 4 + [True, False, False]
    assert (door.connections, door.half_open) == (6, 3)


async def test_full_for_one_address_its_own_oldest_half_open_goes() -> None:
    door = gate(per_address=3)
    others = [door.enter("b"), door.enter("b")]
    visits = [door.enter("a") for _ in range(3)]
    door.agreed(visits[0])
    visits.append(door.enter("a"))
    visits.append(door.enter("a"))
    assert out(*visits) == [False, True, True, False, False]
    assert out(*others) == [False, False]
    assert (door.connections, door.half_open) == (5, 4)


async def test_an_address_with_as_many_as_it_may_have_does_not_crowd_out_others() -> None:
    door = gate(connections=3, per_address=2)
    settled = agreed(door, "a", "a")
    other = door.enter("b")
    with pytest.raises(Refused, match="come from a already"):
        door.enter("a")
    assert out(*settled, other) == [False] * 3


async def test_a_full_door_for_half_open_ones_takes_the_oldest_of_the_greatest_crowd() -> None:
    door = gate(handshakes=4)
    visits = [door.enter(host) for host in "abbb"]
    visits.append(door.enter("c"))
    assert out(*visits) == [False, True, False, False, False]


async def test_who_was_crowded_out_leaves_only_once() -> None:
    door = gate(per_address=1)
    first = door.enter("a")
    second = door.enter("a")
    assert out(first, second) == [True, False]
    door.leave(first)  # its task ends later than that
    assert (door.connections, door.half_open) == (1, 1)
    door.agreed(second)
    with pytest.raises(Refused):
        door.enter("a")
    door.leave(second)
    assert door.connections == 0


async def test_agreeing_too_late_changes_nothing() -> None:
    door = gate(handshakes=1)
    first = door.enter("a")
    second = door.enter("b")
    door.agreed(first)
    assert (door.connections, door.half_open) == (1, 1)
    door.leave(first)
    door.leave(second)
    assert (door.connections, door.half_open) == (0, 0)


async def test_an_address_that_left_is_not_remembered() -> None:
    door = gate(per_address=1)
    for number in range(100):
        door.leave(door.enter(f"2001:db8::{number:x}"))
        door.enter("a")  # crowds out the one before
    assert len(door._from) == 1
    with pytest.raises(Refused):
        agreed(door, "a", "a")
    assert len(door._from) == 1


class Walk:
    """A gate, and beside it a list of who should be inside, which needs no counters."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.limits = Limits(
            connections=chance.randrange(1, 12),
            connections_per_address=chance.randrange(1, 6),
            handshakes=chance.randrange(1, 8),
        )
        self.door = Gate(self.limits)
        self.inside: list[Visit] = []
        self.settled: set[Visit] = set()
        self.late: list[Visit] = []

    def enter(self) -> None:
        """Somebody comes. Who is refused found no room, and nobody who could have made some."""
        host = self.chance.choice("abc")
        try:
            self.inside.append(self.door.enter(host))
        except Refused as refusal:
            of_all = refusal.reason == "connections"
            rivals = [visit for visit in self.inside if of_all or visit.host == host]
            most = self.limits.connections if of_all else self.limits.connections_per_address
            if len(rivals) != most or not self.settled.issuperset(rivals):
                raise
        self.late += [visit for visit in self.inside if visit.crowded_out]
        self.inside = [visit for visit in self.inside if not visit.crowded_out]

    def agree(self) -> None:
        """Somebody agrees, perhaps for a second time."""
        if self.inside:
            visit = self.chance.choice(self.inside)
            self.settled.add(visit)
            self.door.agreed(visit)

    def leave(self) -> None:
        """Somebody goes, or the task of somebody who was crowded out ends."""
        leaving = self.chance.choice((self.inside, self.inside, self.late))
        if leaving:
            self.door.leave(leaving.pop(self.chance.randrange(len(leaving))))

    def check(self) -> None:
        """Fail unless the gate knows what the list knows, and no limit is exceeded."""
        hosts = Counter(visit.host for visit in self.inside)
        assert self.door.connections == len(self.inside) <= self.limits.connections
        assert self.door.half_open == len(set(self.inside) - self.settled) <= self.limits.handshakes
        assert dict(self.door._from) == dict(hosts)
        assert max(hosts.values(), default=0) <= self.limits.connections_per_address
        assert self.settled.isdisjoint(self.late)  # who has agreed is never sent away


@pytest.mark.parametrize("seed", range(20))
async def test_counters_never_drift(seed: int) -> None:
    walk = Walk(Random(seed))
    for _ in range(500):
        walk.chance.choice((walk.enter, walk.enter, walk.agree, walk.leave))()
        walk.check()
    for visit in walk.inside + walk.late:
        walk.door.leave(visit)
    assert (walk.door.connections, walk.door.half_open, len(walk.door._from)) == (0, 0, 0)


def test_shared_memory_is_held_by_several_and_is_no_more_than_there_is() -> None:
    shared, first, second, third = Shared(100), object(), object(), object()
    assert shared.hold(first, 60)
    assert shared.hold(second, 40)
    assert not shared.hold(third, 1)
    for owner in (first, second, third):
        assert shared.hold(owner, 0)
    assert not shared._held


def test_shared_memory_counts_of_each_what_it_holds_now() -> None:
    shared, first, second = Shared(100), object(), object()
    for size in (60, 90, 100):  # in place of what it held, not beside it
        assert shared.hold(first, size)
    assert not shared.hold(second, 1)
    assert shared.hold(first, 30)
    assert shared.hold(second, 70)


def test_shared_memory_that_was_not_given_is_not_held() -> None:
    shared, first, second = Shared(100), object(), object()
    assert shared.hold(first, 60)
    assert not shared.hold(first, 101)
    assert shared.hold(second, 100)
    assert shared.hold(second, 0)
    assert shared.hold(first, 100)
