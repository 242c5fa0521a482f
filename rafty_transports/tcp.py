"""Messages between nodes over TCP: one connection for each direction between two nodes.

Law: *a peer that is slow, away or hostile costs this node a bounded amount of memory and none of its time.*

A node dials each of its peers and sends on that connection alone; what a peer sends comes in on the connection that the
peer dialed. So no two nodes argue about which of two connections to keep, and a lost connection is always found out by
the node that has something to send. Who is a peer is `roster`, opening a connection is `dialing` and `handshake`, using
it is `links`, waiting is `queues`. Here is the side that accepts. A new connection of a peer ends its older one before
anything is read from it, so that what was buffered for the older one is not read after it (faults F122, F123).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup

from rafty_core.configuration import Member
from rafty_core.events import PeerUnreachable
from rafty_transports.dialing import Dialer
from rafty_transports.handshake import Admission, Admit, HandshakeFailed, OnlyAsked, RefusedPeer, answer
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster, Travelling
from rafty_transports.links import Limits, receive_side
from rafty_transports.packing import DecodeError
from rafty_transports.peers import ACCEPTED, AcceptedConnection, Peer, PeerStatus
from rafty_transports.queues import Inbox, Incoming
from rafty_transports.reaching import split_address as split_address
from rafty_transports.roster import Roster

logger = logging.getLogger(__name__)


class TransportError(OSError):
    """The transport cannot do its work on this host; the text is one sentence that says why."""


class TcpTransport:
    """A `Transport` over TCP, and a `MembersTransport`.

    `identity` is this node; its `address`, if it has one, is where others that do not know it yet answer it. `peers`
    maps the ids of the others to "host:port"; names are resolved at each connection. They are peers until `set_members`
    tells of others. `listen` is "host:port"; port 0 lets the system choose, and `address` tells what it chose. `admit`
    is called in a thread of its own before a message of a peer counts; it raises `Refused` for one that must not be
    heard. Another error of it is fatal and leaves the iteration as `TransportError`. `limits` are bounds and times.

    Opening raises `TransportError` if the address cannot be listened on. Leaving always ends soon, whatever peers do,
    and leaves no task and no socket; what was queued is dropped. Not for a second use.

    A peer may say that this node was removed from the cluster for ever: `removed` is the sentence then, and the
    iteration ends with `RemovedFromCluster`.

    `strangers_refused`, `bad_frames` and `unaddressed` count connections that were refused before they were a peer's,
    connections closed for what came on them, and messages to unknown nodes; `peers()` tells the rest.

    Not promised, besides what `Transport` does not: that a peer is who it says (that takes TLS), or that only members
    are heard: see `roster`.
    """

    def __init__(
        self,
        identity: Identity,
        peers: Mapping[str, str],
        listen: str,
        *,
        admit: Admit,
        limits: Limits | None = None,
    ) -> None:
        self.identity = identity
        self.strangers_refused = 0
        self.bad_frames = 0
        self.unaddressed = 0
        self.removed: str | None = None
        self._listen = listen
        self._admission = Admission(admit)
        self._limits = limits or Limits()
        self._inbox = Inbox(self._limits.inbox_bytes)
        self._roster = Roster(identity, self._limits, self._arrive)
        self._peers = self._roster.peers
        self._dialer = Dialer(
            *(identity, self._roster, self._admission, self._limits), report=self._report, removed=self._learn_removal
        )
        self._listeners: Sequence[SocketListener] = ()
        self._tasks: TaskGroup | None = None
        self._opened = False
        self._handshakes = 0
        self._connections = 0
        self._last_stranger = ""
        self._unknown: set[str] = set()
        for node_id, address in peers.items():
            self.set_peer(node_id, address)

    @property
    def address(self) -> str:
        """The address that is listened on, as "host:port". Only while the transport is open."""
        if not self._listeners:
            raise RuntimeError("a transport has an address only while it is open")
        host = str(self._listeners[0].extra(SocketAttribute.local_address)[0])
        port = self._listeners[0].extra(SocketAttribute.local_port)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def peers(self) -> dict[str, PeerStatus]:
        """A picture of each peer."""
        return {peer.id: peer.status for peer in self._peers.values()}

    def set_peer(self, node_id: str, address: str) -> None:
        """Add a peer, or change its address. A connection to another address than this is ended.

        For those who do without `set_members`. Raises `ValueError` for an id or an address that is none, or if the id
        is this node's own.
        """
        split_address(address)
        self._roster.name(node_id, address)

    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        """See `MembersTransport.set_members`.

        A member without an address keeps the one that is known of it. A peer that is no member any more is a guest from
        now on. Without any member (this node only joins) the peers stay as they are.
        """
        self._roster.follow(members, removed)

    async def identify(self, node_id: str, address: str) -> Identity:
        """See `MembersTransport.identify`. Takes a bounded time; nobody is admitted, and no connection stays."""
        if node_id == self.identity.node_id:
            return self.identity
        return await self._dialer.identify(node_id, address)

    async def __aenter__(self) -> Self:
        if self._opened:
            raise RuntimeError("a transport is opened once")
        self._opened = True
        host, port = split_address(self._listen)
        try:
            multi = await anyio.create_tcp_listener(local_host=host or None, local_port=port)
        except (OSError, UnicodeError) as error:
            reason = (getattr(error, "strerror", None) or str(error)).lower()
            raise TransportError(getattr(error, "errno", None), f"cannot listen on {self._listen}: {reason}") from error
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        self._tasks = tasks
        self._listeners = [listener for listener in multi.listeners if isinstance(listener, SocketListener)]
        for listener in self._listeners:
            self._start(self._accept, listener)
        for peer in self._peers.values():
            self._start(self._dialer.keep_connected, peer)
        self._start(self._tidy)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._inbox.close()
        listeners, self._listeners = self._listeners, ()
        tasks, self._tasks = self._tasks, None
        if tasks is not None:
            tasks.cancel_scope.cancel()
            try:
                # Without the body's error: it leaves the block as itself, in no group. The tasks have none (`_guard`).
                await tasks.__aexit__(None, None, None)
            finally:
                for listener in listeners:
                    await anyio.aclose_forcefully(listener)

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

    async def _accept(self, listener: SocketListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except (OSError, anyio.BrokenResourceError) as error:
                logger.warning("cannot accept a connection: %s", error)
                await anyio.sleep(0.1)  # out of file descriptors, as a rule: others must be closed first
                continue
            if self._handshakes < self._limits.handshakes and self._connections < self._limits.connections:
                self._connections += 1
                self._start(self._serve, stream)
            else:
                self._note_stranger("there are too many incoming connections")
                await anyio.aclose_forcefully(stream)

    async def _serve(self, stream: SocketStream) -> None:
        peer: Peer | None = None
        try:
            peer, theirs, rest = await self._answer(stream)
            await self._receive(stream, peer, theirs, rest)
        except RemovedFromCluster as removal:
            self._learn_removal(removal)
        except RefusedPeer as refusal:
            self._note_refusal(refusal)
        except OnlyAsked:
            pass
        except HandshakeFailed as failure:
            self._note_stranger(str(failure))
        except DecodeError as error:
            self.bad_frames += 1
            logger.warning("connection of %s closed: %s", peer.id if peer else "a stranger", error)
        finally:
            self._connections -= 1
            await anyio.aclose_forcefully(stream)

    async def _answer(self, stream: SocketStream) -> tuple[Peer, Identity, bytes]:
        self._handshakes += 1
        check, seconds = self._roster.check, self._limits.handshake
        try:
            theirs, rest = await answer(stream, self.identity, check, self._admission, seconds=seconds)
        finally:
            self._handshakes -= 1
        try:
            return self._roster.meet(theirs), theirs, rest
        except Refused as refusal:  # the members have changed since it was checked
            raise RefusedPeer(str(refusal), theirs.node_id) from refusal

    async def _receive(self, stream: SocketStream, peer: Peer, theirs: Identity, rest: bytes) -> None:
        while (older := peer.accepted) is not None:
            older.scope.cancel()
            await older.ended.wait()
        if self._peers.get(peer.id) is not peer:
            return  # forgotten in the meantime
        peer.accepted = connection = AcceptedConnection(theirs)
        peer.agreed(ACCEPTED, theirs)
        peer.note(anyio.current_time())
        peer.hurry()
        try:
            with connection.scope:
                await receive_side(stream, rest, peer.id, self.identity.node_id, self._inbox, self._limits, peer.note)
        finally:
            if peer.accepted is connection:
                peer.accepted = None
            connection.ended.set()

    def _note_refusal(self, refusal: RefusedPeer) -> None:
        peer = self._peers.get(refusal.peer or "")
        if peer is not None:
            peer.refused(ACCEPTED, str(refusal))
        else:
            self._note_stranger(str(refusal))

    def _note_stranger(self, reason: str) -> None:
        self.strangers_refused += 1
        if reason != self._last_stranger:
            self._last_stranger = reason
            logger.warning("incoming connection refused: %s", reason)
