"""What a transport must keep to while it is open: the rules of sending and receiving.

Law: *only what `Transport` promises is asked: what may be lost is sent until it arrives.*
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import anyio

from rafty_core.messages import AppendEntries
from rafty_transports.testing.conformance import require
from rafty_transports.testing.ends import RETRY, End, Net, same
from rafty_transports.testing.samples import append, bytes_of, every_kind, heartbeat, named, number_of
from rafty_transports.testing.traces import measured, returning

SEND_SECONDS = 1.0
"""A `send` that takes longer waits for something; no machine is that slow by itself."""

BURST_SECONDS = 20.0
"""The same for thousands of them, with all their encoding."""


async def never_waits(net: Net) -> None:
    """`send` returns at once and never raises: for a peer that is unknown, away, or only just being reached."""
    async with net.open("n1", "n2") as (one, _):
        for number in range(3):
            for to in ("n2", "n9", "n3"):
                for make in (heartbeat, append):
                    with returning(SEND_SECONDS, f"send() to {to}"):
                        one.send(make("n1", to, number))
            await anyio.sleep(0.01)


async def every_kind_travels(net: Net) -> None:
    """Each kind of message arrives as it was sent; nothing arrives that was not sent, or that is to somebody else."""
    async with net.open("n1", "n2", "n3") as ends:
        one, two, three = ends
        ways = [(one, two, message) for message in every_kind("n1", "n2", net.wanted.largest)]
        for start, goal in ((two, one), (three, two), (one, three)):
            ways.append((start, goal, heartbeat(start.node_id, goal.node_id, 5)))
        try:
            for start, goal, message in ways:
                await net.deliver(start, goal, message)
        finally:
            _only_what_was_sent(ends)  # which says more than that something did not arrive


def _only_what_was_sent(ends: Sequence[End]) -> None:
    sent = {bytes_of(message) for end in ends for message in end.sent.values()}
    for end in ends:
        for item in end.got:
            require(any(same(item, one) for one in sent), f"{end.node_id} got what nobody sent: {named(item)}")


async def no_object_is_shared(net: Net) -> None:
    """Nobody else's object is handed out, nor a list inside of it (fault F135)."""
    async with net.open("n1", "n2") as (one, two):
        for message in every_kind("n1", "n2", 1000):
            arrived = await net.deliver(one, two, message)
            require(
                id(arrived) not in one.sent,
                f"n2 got the very object that n1 sent, a {type(arrived).__name__}, not a copy of it",
            )
            for part in ("batch", "commands", "results"):
                mine, theirs = getattr(message, part, None), getattr(arrived, part, None)
                shared = mine is not None and mine is theirs and mine != ()
                require(not shared, f"n2 got a {type(arrived).__name__} whose `{part}` is the sender's own object")


async def sender_is_true(net: Net) -> None:
    """`sender` names the node that sent it: nobody can speak for another (fault F130)."""
    async with net.open("n1", "n2", "n3") as (one, two, three):
        await net.warm(one, two)
        await net.warm(three, two)
        for number in range(1, 6):
            one.send(heartbeat("n3", "n2", 1000))
            await net.deliver(one, two, heartbeat("n1", "n2", number))
        forged = [item for item in two.got if number_of(item) == 1000]
        require(not forged, f"n1 sent a message with the sender n3, and n2 got it: {forged[:1]}")
        for number in range(6, 8):
            await net.deliver(three, two, heartbeat("n3", "n2", number))


async def unreachable_is_reported(net: Net) -> None:
    """A message to a node that nobody knows, or that is away, is dropped, and a `PeerUnreachable` says so."""
    peers = ("n9", "n3") if net.wanted.reports_loss else ("n9",)
    async with net.open("n1") as (one,):
        for peer in peers:
            with anyio.move_on_after(net.wanted.patience):
                while peer not in one.unreachable:
                    one.send(heartbeat("n1", peer, 1))
                    await anyio.sleep(RETRY)
            one.check()
            what = "a node that does not exist" if peer == "n9" else "a node that is away"
            require(peer in one.unreachable, f"n1 sent to {peer}, {what}, and no PeerUnreachable({peer!r}) came in")


async def memory_is_bounded(net: Net) -> None:
    """Twice `most_bytes` for a peer that does not read: less than `most_bytes` of it is held, and it is reported."""
    most = net.wanted.most_bytes
    async with net.open("n1", "n2", "n3") as (one, two, three):
        await net.stop_reading(one, two)
        with measured() as held:
            highest = await _burst(net, one, two, held)
            mib = 1 << 20
            text = f"n1 sent {2 * most // mib} MiB to n2, which does not read, and {highest // mib} MiB were held"
            require(highest <= most, f"{text} in memory; the bound is {most // mib} MiB")
        if net.wanted.reports_loss:
            await net.until(
                lambda: "n2" in one.unreachable,
                f"n1 sent {2 * most // mib} MiB to n2, which does not read, and no PeerUnreachable('n2') came in",
            )
        for number in range(3):
            await net.deliver(one, three, heartbeat("n1", "n3", number))
        one.check()


async def _burst(net: Net, one: End, two: End, held: Callable[[], int]) -> int:
    """Send appends to n2, with pauses for the transport to work; the most that was held, in bytes."""
    highest, size = 0, net.wanted.largest
    count = 2 * net.wanted.most_bytes // size
    for first in range(0, count, 64):
        for number in range(first, min(first + 64, count)):
            with returning(SEND_SECONDS, "send() to a peer that does not read"):
                one.send(append("n1", "n2", number, size))
        one.sent.clear()
        await anyio.sleep(0.005)
        two.got.clear()
        highest = max(highest, held())
        if highest > net.wanted.most_bytes:
            break
    return highest


async def slow_peer_holds_up_nobody(net: Net) -> None:
    """While n2 does not read and much waits for it, n1 and n3 talk as if it were not there."""
    async with net.open("n1", "n2", "n3") as (one, two, three):
        await net.warm(one, three)
        await net.stop_reading(one, two)
        for number in range(100):
            one.send(append("n1", "n2", number, net.wanted.largest))
        for number in range(1, 20):
            await net.deliver(one, three, heartbeat("n1", "n3", number))
            await net.deliver(three, one, heartbeat("n3", "n1", number))


async def order_is_kept(net: Net) -> None:
    """If `ordered`: messages of one kind arrive in the order in which they were sent, once each."""
    async with net.open("n1", "n2") as (one, two):
        await net.warm(one, two)
        for make, number in ((append, 1), (heartbeat, 100_001)):
            before, first = len(two.got), number
            with anyio.move_on_after(net.wanted.patience):
                while len(two.got) < before + 200:
                    for _ in range(50):
                        one.send(make("n1", "n2", number))
                        number += 1
                    await anyio.sleep(0.01)
            two.check()
            got = [found for item in two.got[before:] if (found := number_of(item)) is not None and found >= first]
            require(len(got) >= 100, f"of {number - first} messages that n1 sent to n2 only {len(got)} arrived")
            for earlier, later in pairwise(got):
                text = f"n2 got message {later} behind message {earlier} of the same kind"
                require(earlier < later, f"{text}, though order was promised")


async def newest_is_dropped(net: Net) -> None:
    """If `ordered`: of a burst that does not fit, what arrives are the oldest messages (fault F149)."""
    size = net.wanted.largest
    count = 2 * net.wanted.most_bytes // size
    async with net.open("n1", "n2") as (one, two):
        await net.stop_reading(one, two)
        with returning(BURST_SECONDS, "send() in a burst"):
            for number in range(1, count + 1):
                one.send(append("n1", "n2", number, size))
        two.resume()
        await net.until(lambda: _appends(two), "nothing arrived of a burst when the peer read again")
        first = _appends(two)[0]
        require(first == 1, f"of a burst that did not fit the oldest message was dropped: n2 got {first} first")


def _appends(end: End) -> list[int]:
    return [item.prev_log_index for item in end.got if isinstance(item, AppendEntries)]
