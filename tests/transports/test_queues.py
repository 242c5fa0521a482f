"""What waits: how much of it, in which order it goes, and that nothing is counted twice or for ever."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import pytest

from rafty_core.entries import Batch
from rafty_core.messages import AppendEntries
from rafty_transports.codec import KEEP_ALIVE, encode
from rafty_transports.queues import GUEST_SECONDS, HELD_MESSAGES, Inbox, Outbox
from tests.transports.connections import heartbeat, rounds

pytestmark = pytest.mark.anyio

SMALL = heartbeat("n1", "n2")


def append(at: int = 0, size: int = 1000) -> AppendEntries:
    """An append of about so many bytes."""
    return AppendEntries("n1", "n2", 1, at, 1, 0, Batch(at + 1, 1, [b"\x01" * size]))


def outbox(limit_bytes: int = 10_000, *, connected: bool = True) -> Outbox:
    """An outbox for many messages, and so many bytes of them."""
    made = Outbox(1000, limit_bytes)
    made.connected = connected
    return made


@pytest.mark.parametrize(("holding", "held"), [(True, HELD_MESSAGES), (False, 0)])
async def test_without_a_connection_little_waits(holding: bool, held: int) -> None:
    waiting = outbox(connected=False)
    waiting.holding = holding
    assert sum(waiting.put(SMALL) for _ in range(100)) == held
    assert sum(waiting.put(append(at)) for at in range(100)) == 0
    assert waiting.dropped == 200 - held
    assert waiting.empty == (held == 0)


async def test_room_is_free_again_once_messages_are_taken_or_dropped() -> None:
    waiting = outbox()
    for turn in range(3):
        taken = sum(waiting.put(append(at)) for at in range(100))
        assert taken == 10
        if turn == 1:
            await waiting.take(1_000_000)
            assert waiting.dropped == 190
        else:
            waiting.clear()
            assert waiting.empty
    assert waiting.dropped == 290


async def test_one_message_always_fits() -> None:
    waiting = outbox(limit_bytes=10)
    assert waiting.put(append(size=100_000))
    assert not waiting.put(append())
    await waiting.take(10)
    assert waiting.put(append(size=100_000))


async def test_one_send_joins_about_as_much_as_it_was_told() -> None:
    waiting = outbox(limit_bytes=10_000_000)
    for at in range(100):
        waiting.put(append(at))
        waiting.put(SMALL)
    sizes = []
    while not waiting.empty:
        sizes.append(sum(map(len, await waiting.take(5000))))
    assert max(sizes) < 5000 + 5000 + 2000  # of either lane as much
    assert len(sizes) >= 15


async def test_small_messages_are_not_all_joined_at_once_either() -> None:
    waiting = outbox()
    for _ in range(100):
        waiting.put(SMALL)
    assert len(await waiting.take(1000)) == 10  # of a hundred bytes each, about
    assert not waiting.empty


async def test_a_keep_alive_is_for_who_said_nothing_else() -> None:
    waiting = outbox()
    waiting.beat()
    assert await waiting.take(1000) == [KEEP_ALIVE]
    waiting.put(SMALL)
    assert await waiting.take(1000) == [*encode(SMALL)]
    waiting.beat()  # something was sent since the last beat
    with anyio.move_on_after(0.02) as scope:
        await waiting.take(1000)
    assert scope.cancelled_caught
    waiting.beat()
    assert await waiting.take(1000) == [KEEP_ALIVE]


async def test_somebody_is_wanted_when_there_is_something_to_say_or_something_was_dropped() -> None:
    async def wanted(waiting: Outbox) -> bool:
        with anyio.move_on_after(0.02) as scope:
            await waiting.wanted()
        return not scope.cancelled_caught

    waiting = outbox(connected=False)
    assert not await wanted(waiting)
    waiting.put(append())  # dropped, for there is no connection
    assert await wanted(waiting)
    assert not await wanted(waiting)
    waiting.holding = True
    waiting.put(SMALL)
    assert await wanted(waiting)
    assert await wanted(waiting)


async def test_an_inbox_that_is_full_makes_members_and_guests_wait_until_it_is_emptied() -> None:
    inbox, order = Inbox(100), list[str]()

    async def put(name: str, guest: bool) -> None:
        await inbox.put([SMALL], 60, guest=guest)
        order.append(name)

    with anyio.fail_after(5):
        await _three_members_and_a_guest(inbox, put, order)


async def _three_members_and_a_guest(
    inbox: Inbox, put: Callable[[str, bool], Coroutine[Any, Any, None]], order: list[str]
) -> None:
    async with anyio.create_task_group() as tasks:
        for name in ("first", "second", "third"):
            tasks.start_soon(put, name, False)
            await anyio.wait_all_tasks_blocked()
        tasks.start_soon(put, "guest", True)
        await anyio.wait_all_tasks_blocked()
        assert order == ["first", "second"]
        assert len(await inbox.take()) == 2
        await anyio.wait_all_tasks_blocked()
        assert sorted(order) == ["first", "guest", "second", "third"]
        assert len(await inbox.take()) == 2


async def test_guests_wait_for_each_of_their_messages() -> None:
    inbox, count = Inbox(1 << 30), 1000
    began = anyio.current_time()
    with anyio.fail_after(5):
        for _ in range(3):
            await inbox.put([SMALL] * count, 1, guest=True)
            await inbox.take()
    assert anyio.current_time() - began >= 2 * count * GUEST_SECONDS * 0.99


async def test_the_first_end_of_an_inbox_counts() -> None:
    for first, second, expected in (
        (None, KeyError("second"), StopAsyncIteration),
        (KeyError("first"), None, KeyError),
        (KeyError("first"), ValueError("second"), KeyError),
    ):
        inbox = Inbox(100)
        inbox.add([SMALL], 1)
        inbox.close(first)
        inbox.close(second)
        for _ in range(2):
            with pytest.raises(expected):
                await inbox.take()


async def test_who_takes_is_woken_by_what_comes_and_takes_all() -> None:
    inbox, got = Inbox(100), list[int]()

    async def take() -> None:
        got.extend(rounds(await inbox.take()))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        for number in range(3):
            inbox.add([heartbeat("n1", "n2", number)], 1)
    assert got == [0, 1, 2]


@pytest.mark.parametrize("guest", [False, True])
async def test_who_waits_for_room_gets_it_when_all_that_waited_is_forgotten(guest: bool) -> None:
    inbox, got = Inbox(100), list[object]()
    await inbox.put([SMALL], 100, guest=guest)

    async def take() -> None:
        got.extend(await inbox.take())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(inbox.put, [heartbeat("n3", "n2")], 60, guest=guest))
            await anyio.wait_all_tasks_blocked()
            inbox.forget("n1")
            tasks.start_soon(take)
    assert got == [heartbeat("n3", "n2")]


async def test_guest_that_is_cut_off_holds_no_other_up() -> None:
    inbox = Inbox(100)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await inbox.put([SMALL], 1, guest=True)
    with anyio.fail_after(5):
        await inbox.put([SMALL], 1, guest=True)
    assert await inbox.take() == [SMALL]
