"""What a transport must keep to when it opens, closes, is cancelled, and comes again.

Law: *leaving ends soon, whatever peers do, and leaves nothing behind.*
"""

from collections.abc import Callable

import anyio

from rafty_transports.interfaces import Transport
from rafty_transports.testing.conformance import Fault, require
from rafty_transports.testing.ends import End, Net, together, within
from rafty_transports.testing.samples import append, heartbeat
from rafty_transports.testing.traces import Traces, nothing_left


async def iteration_ends(net: Net) -> None:
    """The iteration ends, without an error, when the transport closes."""
    async with together() as tasks:
        end = await net.enter(tasks, "n1")
        await anyio.wait_all_tasks_blocked()
        await net.leave(end)
        await net.until(lambda: end.ended, "the iteration did not end when the transport closed")
        if end.error is not None:
            raise Fault(f"the iteration raised {end.error!r:.200} when the transport closed; it ends") from end.error


async def leaving_is_quick(net: Net) -> None:
    """Leaving ends within `leave_within` while much waits for peers that do not read, or are away."""
    async with net.open("n2") as (two,), together() as tasks:
        end = await net.enter(tasks, "n1")
        await net.stop_reading(end, two)
        for number in range(max(100, net.wanted.most_bytes // net.wanted.largest)):
            end.send(append("n1", "n2", number, net.wanted.largest))
            end.send(heartbeat("n1", "n3", number))
        await anyio.sleep(0.05)
        await net.leave(end)


async def nothing_is_left(net: Net) -> None:
    """After leaving no task, no thread and no socket is left; a new transport works as the first did."""
    before = Traces.now()
    for number in range(2):
        async with together() as tasks:
            one, two = [await net.enter(tasks, node_id) for node_id in ("n1", "n2")]
            await net.deliver(one, two, heartbeat("n1", "n2", number))
            one.send(heartbeat("n1", "n3", number))
            for end in (one, two):
                await net.leave(end)
    await nothing_left(before, "transports that were closed")


async def body_error_leaves_as_itself(net: Net) -> None:
    """An error of the body leaves `async with` as itself, in no group; so does a cancellation, and both in time."""
    with within(net.wanted.leave_within, "leaving the transport by an error"):
        try:
            async with net.make("n1"):
                raise _OfTheBody
        except _OfTheBody:
            pass
        except BaseExceptionGroup as group:
            raise Fault(f"an error of the body left `async with` as {group!r:.200}, not as itself") from None
        else:
            raise Fault("an error of the body was swallowed by `async with`")
    with within(net.wanted.leave_within, "leaving the transport by cancellation"):
        with anyio.move_on_after(0.05) as scope:
            async with net.make("n1"):
                await anyio.sleep_forever()
        require(scope.cancelled_caught, "a cancellation of the body was swallowed by `async with`")


class _OfTheBody(Exception):
    """Raised inside `async with`."""


async def cancelled_iteration_is_clean(net: Net) -> None:
    """Who waits for messages can be cancelled at any time; the transport is left as usual, and others go on."""
    async with net.open("n2", "n3") as (two, three):
        async with together() as tasks:
            end = await net.enter(tasks, "n1")
            await net.warm(end, two)
            end.reader.cancel()
            with within(net.wanted.leave_within, "cancelling the iteration"):
                await end.read_ended.wait()
            require(not end.ended, "the iteration took a cancellation for its own: it ended as if the transport closed")
            end.send(heartbeat("n1", "n2", 3))
            await net.leave(end)
        await net.deliver(two, three, heartbeat("n2", "n3", 4))


async def restarted_peer_is_reached(net: Net) -> None:
    """A node that leaves and comes again under its name is reached again, in both directions, each time."""
    async with net.open("n1") as (one,):
        for number in range(1, 4):
            async with net.open("n2") as (two,):
                await net.deliver(one, two, heartbeat("n1", "n2", number))
                await net.deliver(two, one, heartbeat("n2", "n1", number))
            for away in range(20):
                one.send(heartbeat("n1", "n2", 1000 + away))
            one.check()


async def nobody_is_needed(net: Net) -> None:
    """A transport opens though no peer is there, and reaches those that come later."""
    async with net.open("n1") as (one,):
        one.send(heartbeat("n1", "n2", 1))
        await anyio.sleep(0.02)
        async with net.open("n2") as (two,):
            await net.warm(one, two)


def address_of(net: Net, end: End) -> str:
    """Where this end is reached."""
    tell: Callable[[Transport], str] | None = net.wanted.address
    if tell is None:
        raise Fault("give `address` to check_transport, or leave out the rules of members")
    return tell(end.transport)
