"""What a transport must keep to that knows members: the rules of `MembersTransport`.

Law: *the members are those that were told last; who was removed is told so, and who asks is told who is there.*
"""

from typing import Any

import anyio

from rafty_core.configuration import Member
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.testing.conformance import Fault, calling, require
from rafty_transports.testing.ends import End, Net, within
from rafty_transports.testing.samples import heartbeat
from rafty_transports.testing.transport_lives import address_of


async def identify_tells_who_is_there(net: Net) -> None:
    """`identify` gives the identity of who is at an address, each time the same, and disturbs nobody."""
    async with net.open("n1", "n2") as (one, two):
        await net.warm(one, two)
        first = await _identify(net, one, "n2", address_of(net, two))
        again = await _identify(net, one, "n2", address_of(net, two))
        require(isinstance(first, Identity), f"identify() returned {first!r:.80}, which is no Identity")
        require(first.node_id == "n2", f"identify() of n2's address returned the identity of {first.node_id!r:.80}")
        require(first.incarnation, "identify() returned an identity without an incarnation")
        require(first.boot >= 1, f"identify() returned boot {first.boot}; the first is 1")
        require(first == again, f"identify() returned {first!r:.120} and then {again!r:.120} of the same node")
        await net.deliver(one, two, heartbeat("n1", "n2", 7))
        await net.deliver(two, one, heartbeat("n2", "n1", 7))


async def identify_refuses(net: Net) -> None:
    """`identify` raises `Refused` or `OSError`, in one sentence and in time, if another node or nobody is there."""
    async with net.open("n1", "n2") as (one, two):
        async with net.open("n3") as (three,):
            nowhere = address_of(net, three)
        for node_id, address in (("n9", address_of(net, two)), ("n3", nowhere)):
            try:
                with within(net.wanted.patience, f"identify({node_id!r}, {address!r})"):
                    found = await _members(one).identify(node_id, address)
            except (Refused, OSError) as error:
                require(str(error), f"identify() raised {error!r} without a sentence")
            except Exception as error:
                if isinstance(error, Fault):
                    raise
                raise Fault(f"identify() raised {error!r:.200}; it raises Refused or OSError") from error
            else:
                raise Fault(f"identify({node_id!r}, {address!r}) returned {found!r:.200}, but {node_id} is not there")


async def members_are_followed(net: Net) -> None:
    """Those that `set_members` names are reached at their addresses, whatever was told before, and however often."""
    async with net.open("n1", "n2", "n3") as ends:
        members = [Member(end.node_id, address_of(net, end)) for end in ends]
        for told in (members, members[:2], members, members):
            for end in ends:
                if any(member.id == end.node_id for member in told):
                    _set(end, told)
        one, two, three = ends
        for other in (two, three):
            await net.warm(one, other)


async def removed_member_is_told(net: Net) -> None:
    """A node that was removed is told: its iteration ends with `RemovedFromCluster`; the others go on."""
    async with net.open("n1", "n2", "n3") as (one, two, three):
        for other in (two, three):
            await net.warm(one, other)
        stay = [Member(end.node_id, address_of(net, end)) for end in (one, two)]
        address = address_of(net, three)
        gone = Member("n3", address, (await _identify(net, one, "n3", address)).incarnation)
        for end in (one, two):
            _set(end, stay, gone)
        with anyio.move_on_after(net.wanted.patience):
            while not three.ended:
                three.send(heartbeat("n3", "n1", 5))
                await anyio.sleep(0.01)
        require(three.ended, "n3 was removed, and its iteration goes on as if it had not been told")
        told = isinstance(three.error, RemovedFromCluster)
        require(told, f"n3 was removed, and its iteration ended with {three.error!r:.200}, not RemovedFromCluster")
        await net.deliver(one, two, heartbeat("n1", "n2", 6))


def _members(end: End) -> Any:
    for name in ("set_members", "identify"):
        require(hasattr(end.transport, name), f"the transport has no {name}(), as a MembersTransport has")
    return end.transport


def _set(end: End, members: list[Member], *removed: Member) -> None:
    with calling(f"set_members() on {end.node_id}"):
        _members(end).set_members(members, removed)


async def _identify(net: Net, end: End, node_id: str, address: str) -> Identity:
    what = f"identify({node_id!r}, {address!r})"
    with calling(what), within(net.wanted.patience, what):
        identity: Identity = await _members(end).identify(node_id, address)
    return identity
