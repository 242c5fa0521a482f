"""Who the members are, as transport and store must know it.

Law: *a member may be talked to from the moment its configuration is appended; it is admitted, or refused for ever, when
it is committed.*
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

import anyio

from rafty_core.configuration import Configuration, Member
from rafty_core.raft import Raft
from rafty_transports.interfaces import Identity, LogStore, Refused, Transport
from rafty_transports.threads import run_in_daemon


@runtime_checkable
class _KnowsMembers(Protocol):
    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None: ...

    async def identify(self, node_id: str, address: str) -> Identity: ...


def can_identify(transport: Transport) -> bool:
    """Whether this transport tells one life of a node from another, so that configurations can name them.

    If it cannot, members are known by their names alone: an id that was removed is then never used again.
    """
    return isinstance(transport, _KnowsMembers)


class Members:
    """Follows the core's configurations, and tells the transport and the store."""

    def __init__(self, store: LogStore, transport: Transport) -> None:
        self._store = store
        self._transport = transport if isinstance(transport, _KnowsMembers) else None
        self._raft: Raft | None = None
        self._admitted: Configuration | None = None
        self._changed = anyio.Event()

    async def start(self, raft: Raft) -> None:
        """Tell what is in force at the start. Call it when the transport is open."""
        self._raft = raft
        await self._follow(raft)

    def changed(self) -> None:
        """Another configuration is in force, or is committed: the transport hears of it now, the store soon."""
        self._tell()
        self._changed.set()

    async def run(self) -> None:
        """Follow for ever."""
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            if self._raft is not None:
                await self._follow(self._raft)

    async def _follow(self, raft: Raft) -> None:
        self._tell()
        committed = raft.committed_configuration
        if committed != self._admitted:
            await run_in_daemon(self._store.admit, committed.members)
            self._admitted = committed
            self._tell()  # whom the store refused may be met now

    def _tell(self) -> None:
        """Tell the transport. It waits for no disk, for an earlier life of a member must not be heard (R208)."""
        if self._transport is not None and self._raft is not None:
            members = self._raft.status().configuration.members
            self._transport.set_members(members, self._raft.committed_configuration.removed)

    async def identify(self, member: Member) -> Member:
        """The member with the incarnation that answers at its address. Raises `Refused` or `OSError`.

        As it was given if the incarnation is known, or if the transport cannot ask.
        """
        if self._transport is None or member.incarnation:
            return member
        if not member.address:
            raise Refused(f"it is not said where {member.id} is reached, so that nobody can ask which life it is in")
        identity = await self._transport.identify(member.id, member.address)
        return Member(member.id, member.address, identity.incarnation)

    def known(self, member: Member, own: Identity) -> Member:
        """The member with the incarnation under which it was met."""
        if member.incarnation:
            return member
        met = own.incarnation if member.id == own.node_id else self._store.met().get(member.id, "")
        return Member(member.id, member.address, met)
