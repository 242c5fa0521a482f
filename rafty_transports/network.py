"""Messages between nodes over connections: one for each direction between two nodes, whatever is spoken below.

Law: *a peer that is slow, away or hostile costs this node a bounded amount of memory and none of its time.*

A node dials each of its peers and sends on that connection alone; what a peer sends comes in on the connection that the
peer dialed. So no two nodes argue about which of two connections to keep, and a lost connection is always found out by
the node that has something to send. Who is a peer is `roster`, what is below is `wires` (TCP, TLS, WebSocket), the two
sides are `dialing` and `accepting`, agreeing is `handshake`, using a connection is `links`, waiting is `queues`.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, ClassVar, Self

import anyio
from anyio.abc import ByteStream, TaskGroup

from rafty_core.configuration import Member
from rafty_core.events import PeerUnreachable
from rafty_transports.accepting import Acceptor
from rafty_transports.accepting import TransportError as TransportError
from rafty_transports.addresses import Address, parse_address
from rafty_transports.dialing import Dialer
from rafty_transports.handshake import Admission, Admit
from rafty_transports.interfaces import Identity, RemovedFromCluster, Travelling
from rafty_transports.links import Limits
from rafty_transports.peers import Peer, PeerStatus
from rafty_transports.queues import Inbox, Incoming
from rafty_transports.roster import Roster
from rafty_transports.security import Credentials
from rafty_transports.websocket import check_library
from rafty_transports.wires import CannotReach, Wires


class NetworkTransport:
    """A `Transport` over connections, and a `MembersTransport`. Take `TcpTransport` or `WebSocketTransport`: they
    differ in what an address means that does not say what is spoken there. One cluster may have both.

    `identity` is this node; its `address`, if it has one, is where others that do not know it yet answer it. `peers`
    maps the ids of the others to addresses (see `addresses`); names are resolved at each connection. They are peers
    until `set_members` tells of others. `listen` is an address or several; port 0 lets the system choose, and `address`
    tells what it chose. `admit` is called in a thread of its own before a message of a peer counts; it raises `Refused`
    for one that must not be heard. Another error of it is fatal and leaves the iteration as `TransportError`. `limits`
    are bounds and times. With `credentials` everything is encrypted, and who connects must prove by its certificate
    that it is the node that it says it is; without, nothing is. `origins` are web pages that may connect by WebSocket.

    Opening raises `TransportError` if an address cannot be listened on, or needs a library that is not installed.
    Leaving always ends soon, whatever peers do, and leaves no task and no socket; what was queued is dropped. Not for a
    second use.

    A peer may say that this node was removed from the cluster for ever: `removed` is the sentence then, and the
    iteration ends with `RemovedFromCluster`.

    `refusals` counts incoming connections that were refused, or closed for what came on them, by reason (see
    `accepting.REASONS`); `unaddressed` counts messages to unknown nodes; `peers()` tells the rest.

    Not promised, besides what `Transport` does not: that a peer is who it says, without credentials; or that only
    members are heard: see `roster`.
    """

    schemes: ClassVar[tuple[str, str]] = ("tcp", "tls")
    """What an address means that names no scheme: without credentials, and with them."""

    def __init__(
        self,
        identity: Identity,
        peers: Mapping[str, str],
        listen: str | Sequence[str],
        *,
        admit: Admit,
        limits: Limits | None = None,
        credentials: Credentials | None = None,
        origins: Collection[str] = (),
    ) -> None:
        self.identity = identity
        self.unaddressed = 0
        self.removed: str | None = None
        self._scheme = self.schemes[credentials is not None]
        self._limits = limits or Limits()
        self._wires = Wires(self._limits, credentials, origins)
        self._listen = [self._parse(where) for where in ([listen] if isinstance(listen, str) else listen)]
        self._admission = Admission(admit)
        self._inbox = Inbox(self._limits.inbox_bytes)
        self._roster = Roster(identity, self._limits, self._arrive)
        self._peers = self._roster.peers
        self._dialer = Dialer(
            *(identity, self._roster, self._admission, self._limits, self._open),
            report=self._report,
            removed=self._learn_removal,
        )
        self._acceptor = Acceptor(
            *(identity, self._roster, self._admission, self._limits),
            inbox=self._inbox,
            wires=self._wires,
            start=self._start,
            removed=self._learn_removal,
        )
        self.refusals = self._acceptor.refusals
        self._tasks: TaskGroup | None = None
        self._opened = False
        self._unknown: set[str] = set()
        for node_id, address in peers.items():
            self.set_peer(node_id, address)

    def _parse(self, text: str) -> Address:
        address = parse_address(text, self._scheme)
        self._wires.check(address)
        return address

    @property
    def addresses(self) -> list[str]:
        """The addresses that are listened on, in the order given, with the ports that were taken. Only while open."""
        if not self._acceptor.addresses:
            raise RuntimeError("a transport has an address only while it is open")
        return [self._written(address) for address in self._acceptor.addresses]

    @property
    def address(self) -> str:
        """The first of `addresses`."""
        return self.addresses[0]

    def _written(self, address: Address) -> str:
        return address.socket if address.scheme == self._scheme and not address.web else str(address)

    @property
    def connections(self) -> int:
        """How many incoming connections there are now."""
        return self._acceptor.gate.connections

    @property
    def half_open(self) -> int:
        """Those of them that have not agreed yet."""
        return self._acceptor.gate.half_open

    def peers(self) -> dict[str, PeerStatus]:
        """A picture of each peer."""
        return {peer.id: peer.status for peer in self._peers.values()}

    def set_peer(self, node_id: str, address: str) -> None:
        """Add a peer, or change its address. A connection to another address than this is ended.

        For those who do without `set_members`. Raises `ValueError` for an id or an address that is none, or if the id
        is this node's own.
        """
        self._parse(address)
        self._roster.name(node_id, address)

    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        """See `MembersTransport.set_members`.

        A member without an address keeps the one that is known of it. A peer that is no member any more is a guest from
        now on. Without any member (this node only joins) the peers stay as they are.
        """
        for peer in self._roster.follow(members, removed):
            self._inbox.forget(peer)

    async def identify(self, node_id: str, address: str) -> Identity:
        """See `MembersTransport.identify`. Takes a bounded time; nobody is admitted, and no connection stays."""
        if node_id == self.identity.node_id:
            return self.identity
        try:
            self._parse(address)
        except ValueError as error:
            raise CannotReach(str(error)) from error
        return await self._dialer.identify(node_id, address)

    async def __aenter__(self) -> Self:
        if self._opened:
            raise RuntimeError("a transport is opened once")
        self._opened = True
        self._check_library()
        await self._acceptor.listen(self._listen)
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        self._acceptor.begin()
        for peer in self._peers.values():
            self._start(self._dialer.keep_connected, peer)
        self._start(self._tidy)
        return self

    def _check_library(self) -> None:
        """What is not there is said now, not by the first connection (R201)."""
        if any(address.web for address in self._listen):
            try:
                check_library()
            except ImportError as error:
                raise TransportError(str(error)) from error

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inbox.close()
        tasks = self._tasks
        if tasks is not None:
            await self._acceptor.close()
            tasks.cancel_scope.cancel()
            try:
                # Without the body's error: it leaves the block as itself, in no group. The tasks have none (`_guard`).
                await tasks.__aexit__(None, None, None)
            finally:
                self._tasks = None  # not before: what was accepted in the last moment is closed by a task of its own

    def send(self, message: Travelling) -> None:
        """See `Transport.send`."""
        peer = self._peers.get(message.to)
        if peer is not None:
            if not peer.outbox.put(message):
                self._report(peer)
            return
        self.unaddressed += 1
        if message.to not in self._unknown and len(self._unknown) < 1000:
            self._unknown.add(message.to)
            self._inbox.add([PeerUnreachable(message.to)], 0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Incoming]:
        return await self._inbox.take()

    def _start(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(self._guard, function, *arguments)

    async def _guard(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        try:
            await function(*arguments)
        except Exception as error:
            failure = TransportError(f"the transport of {self.identity.node_id} stopped: {error}")
            failure.__cause__ = error
            self._inbox.close(failure)

    def _arrive(self, peer: Peer) -> None:
        self._unknown.discard(peer.id)
        self._start(self._dialer.keep_connected, peer)

    async def _tidy(self) -> None:
        while True:
            await anyio.sleep(min(self._limits.farewell, self._limits.guest_silence) / 4)
            self._roster.tidy(anyio.current_time())

    def _learn_removal(self, removal: RemovedFromCluster) -> None:
        self.removed = str(removal)
        self._inbox.close(removal)

    def _report(self, peer: Peer) -> None:
        """Tell the core once that messages to this peer were lost, until its outbox has been emptied again."""
        if not peer.reported:
            peer.reported = True
            self._inbox.add([PeerUnreachable(peer.id)], 0)

    def _open(self, address: str, peer: str) -> AbstractAsyncContextManager[ByteStream]:
        known = self._peers.get(peer)
        try:
            secured = self._wires.secured(parse_address(address, self._scheme))
            return self._wires.dialed(secured, peer, guest=known is not None and not known.member)
        except ValueError as error:
            raise CannotReach(str(error) if address else "its address is not known") from error
