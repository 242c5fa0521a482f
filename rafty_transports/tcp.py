"""Messages between nodes over TCP: one connection for each direction between two nodes.

Law: *a peer that is slow, away or hostile costs this node a bounded amount of memory and none of its time.*

A node dials each of its peers and sends on that connection alone; what a peer sends comes in on the connection that the
peer dialed. So no two nodes argue about which of two connections to keep, and a lost connection is always found out by
the node that has something to send. Opening a connection is `handshake`, using it is `links`, waiting is `queues`:
nothing there knows of TCP. A new connection of a peer ends its older one before anything is read from it, so that what
was buffered for the older one is not read after it (faults F122, F123).
"""

import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup

from rafty_core.configuration import check_node_id
from rafty_core.events import PeerUnreachable
from rafty_core.messages import Message
from rafty_transports.handshake import Admission, Admit, HandshakeFailed, RefusedPeer, answer, dial
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.links import Limits, receive_side, send_side
from rafty_transports.packing import DecodeError
from rafty_transports.peers import ACCEPTED, DIALED, AcceptedConnection, Peer, PeerStatus
from rafty_transports.queues import Inbox, Incoming
from rafty_transports.reaching import reach

logger = logging.getLogger(__name__)


class TransportError(OSError):
    """The transport cannot do its work on this host; the text is one sentence that says why."""


class TcpTransport:
    """A `Transport` over TCP.

    `identity` is this node. `peers` maps the ids of the others to "host:port"; names are resolved at each connection.
    `listen` is "host:port"; port 0 lets the system choose, and `address` tells what it chose. `admit` is called in
    a thread of its own before a message of a peer counts; it raises `Refused` for one that must not be heard. Another
    error of it is fatal and leaves the iteration as `TransportError`. `limits` are bounds and times.

    Opening raises `TransportError` if the address cannot be listened on. Leaving always ends soon, whatever peers do,
    and leaves no task and no socket; what was queued is dropped. Not for a second use.

    `strangers_refused`, `bad_frames` and `unaddressed` count connections that no known peer opened, connections closed
    for what came on them, and messages to unknown nodes; `peers()` tells the rest.

    Not promised, besides what `Transport` does not: that a peer is who it says (that takes TLS), or that anybody but
    the peers named here, and by `set_peer`, is heard.
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
        self._listen = listen
        self._admission = Admission(admit)
        self._limits = limits or Limits()
        self._random = random.Random()
        self._inbox = Inbox(self._limits.inbox_bytes)
        self._peers: dict[str, Peer] = {}
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

        Raises `ValueError` for an id or an address that is none, or if the id is this node's own.
        """
        check_node_id(node_id)
        split_address(address)
        if node_id == self.identity.node_id:
            raise ValueError(f"{node_id} is this node, and no peer of itself")
        peer = self._peers.get(node_id)
        if peer is None:
            peer = self._peers[node_id] = Peer(node_id, address, self._limits)
            self._unknown.discard(node_id)
            self._start(self._keep_connected, peer)
        elif peer.address != address:
            peer.address = address
            peer.attempt.cancel()

    def remove_peer(self, node_id: str) -> None:
        """Forget a peer and end its connections; nothing happens if it is unknown."""
        peer = self._peers.pop(node_id, None)
        if peer is not None:
            peer.attempt.cancel()
            if peer.accepted is not None:
                peer.accepted.scope.cancel()

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
            self._start(self._keep_connected, peer)
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

    def send(self, message: Message) -> None:
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

    def _report(self, peer: Peer) -> None:
        """Tell the core once that messages to this peer were lost, until its outbox has been emptied again."""
        if not peer.reported:
            peer.reported = True
            self._inbox.add([PeerUnreachable(peer.id)], 0)

    # The side that dials.

    async def _keep_connected(self, peer: Peer) -> None:
        pause = self._limits.backoff_first
        while self._peers.get(peer.id) is peer:
            with anyio.CancelScope() as peer.attempt:  # a new address ends it, and the pause behind it
                try:
                    if await self._connect(peer):
                        pause = self._limits.backoff_first
                finally:
                    peer.outbox.connected = False
                    peer.outbox.clear()  # stale when a connection exists again; Raft sends anew (fault F123)
                    self._report(peer)
                with anyio.move_on_after(pause * self._random.uniform(0.5, 1.0)):
                    await peer.heard()
                pause = min(2 * pause, self._limits.backoff_last)

    async def _connect(self, peer: Peer) -> bool:
        """Connect and send until the connection ends; whether a handshake succeeded."""
        host, port = split_address(peer.address)
        stream: SocketStream | None = None
        agreed = False
        try:
            limits = self._limits
            stream = await reach(host, port, resolving=limits.handshake, connecting=limits.connect)
            await dial(stream, self.identity, peer.id, self._admission, seconds=self._limits.handshake)
            agreed = True
            peer.agreed(DIALED)
            peer.outbox.connected = True
            peer.failed(await send_side(stream, peer.outbox, self._limits, lambda: self._drained(peer)))
        except Refused as refusal:
            peer.refused(DIALED, str(refusal))
        except HandshakeFailed as failure:
            peer.failed(str(failure))
        except (OSError, UnicodeError) as error:
            if stream is not None:  # nothing but `admit` raises these once there is a connection: not the peer's fault
                raise
            peer.failed(f"cannot connect to {peer.address}: {str(error.__cause__ or error) or 'no answer'}")
        finally:
            if stream is not None:
                await anyio.aclose_forcefully(stream)
        return agreed

    def _drained(self, peer: Peer) -> None:
        peer.reported = False

    # The side that accepts.

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
            theirs, rest = await self._answer(stream)
            peer = self._peers.get(theirs.node_id)
            if peer is not None:  # it may have been removed in the meantime
                await self._receive(stream, peer, theirs, rest)
        except RefusedPeer as refusal:
            self._note_refusal(refusal)
        except HandshakeFailed as failure:
            self._note_stranger(str(failure))
        except DecodeError as error:
            self.bad_frames += 1
            logger.warning("connection of %s closed: %s", peer.id if peer else "a stranger", error)
        finally:
            self._connections -= 1
            await anyio.aclose_forcefully(stream)

    async def _answer(self, stream: SocketStream) -> tuple[Identity, bytes]:
        self._handshakes += 1
        try:
            return await answer(stream, self.identity, self._check, self._admission, seconds=self._limits.handshake)
        finally:
            self._handshakes -= 1

    def _check(self, theirs: Identity) -> None:
        mine = self.identity.node_id
        if theirs.node_id == mine:
            raise Refused(f"a node calls itself {mine}, as the node that it dialed does: two nodes have one name")
        peer = self._peers.get(theirs.node_id)
        if peer is None:
            raise Refused(f"{theirs.node_id} is unknown to {mine}, whose peers are {', '.join(self._peers) or 'none'}")
        if peer.accepted is not None and peer.accepted.boot > theirs.boot:
            raise Refused(
                f"{theirs.node_id} is connected to {mine} in boot {peer.accepted.boot}, this is {theirs.boot}"
            )

    async def _receive(self, stream: SocketStream, peer: Peer, theirs: Identity, rest: bytes) -> None:
        while (older := peer.accepted) is not None:
            older.scope.cancel()
            await older.ended.wait()
        peer.accepted = connection = AcceptedConnection(theirs.boot)
        peer.agreed(ACCEPTED)
        peer.hurry()
        try:
            with connection.scope:
                await receive_side(stream, rest, peer.id, self.identity.node_id, self._inbox, self._limits)
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


def split_address(address: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[host]:port"; the host may be empty. Raises `ValueError` if it is neither."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(f"an address is host:port, not {address!r:.100}")
    return host.removeprefix("[").removesuffix("]"), int(port)
