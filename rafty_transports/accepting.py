"""The side that accepts: listens, lets in, and reads what comes of peers into the inbox.

Law: *a stranger costs no more than its connection, and each refusal is counted under one of a few words.*

A new connection of a peer ends its older one before anything is read from it, so that what was buffered for the older
one is not read after it (faults F122, F123). How many may stand in the door is `gate`, what is below the stream is
`wires`, who may come in is `handshake` and `roster`.
"""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream

from rafty_transports.addresses import Address, Origin
from rafty_transports.credentials import list_of
from rafty_transports.gate import Gate, Shared, Visit
from rafty_transports.handshake import Admission, HandshakeFailed, OnlyAsked, RefusedPeer, answer
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.links import FrameTooSlow, Limits, receive_side
from rafty_transports.next_connection import close_all, next_connection
from rafty_transports.packing import DecodeError
from rafty_transports.peers import ACCEPTED, AcceptedConnection, Peer
from rafty_transports.queues import Inbox
from rafty_transports.refusals import Refusals
from rafty_transports.roster import Roster
from rafty_transports.wires import Names, Wires

logger = logging.getLogger(__name__)

REASONS: Final = (
    "connections",
    "address",
    "half_open",
    "tls",
    "certificate",
    "websocket",
    "silent",
    "protocol",
    "version",
    "cluster",
    "name",
    "incarnation",
    "removed",
    "guests",
    "peer",
    "frame",
    "slow_frame",
    "other",
)
"""Why incoming connections are refused or closed, one word for each reason that is counted:

connections  there are as many as there may be           address      so many from one address
half_open    so many that have not agreed                tls          no TLS came about
certificate  it proves nothing, or another name          websocket    no WebSocket came about
silent       no handshake in time                        protocol     what came was no handshake
version      no common version, or another Raft group    cluster      of another cluster
name         for another node, or of no legal name       incarnation  met as another life, or in a later boot
removed      a committed configuration removed it        guests       too many that are no members
peer         too many of one peer                        frame        a frame that was none
slow_frame   a frame that was not finished in time       other        for a reason of `admit`
"""


class TransportError(OSError):
    """The transport cannot do its work on this host; the text is one sentence that says why."""


class Acceptor:
    """Accepts in the name of `mine`, as long as its tasks are: `start` starts one.

    inbox    where messages go
    wires    makes a stream of a socket
    removed  told when a peer says that this node was removed
    """

    def __init__(
        self,
        mine: Identity,
        roster: Roster,
        admission: Admission,
        limits: Limits,
        *,
        inbox: Inbox,
        wires: Wires,
        start: Callable[..., None],
        removed: Callable[[RemovedFromCluster], None],
    ) -> None:
        self.refusals = Refusals(REASONS)
        self.gate = Gate(limits)
        self._shared = Shared(limits.guest_bytes)
        self._mine = mine
        self._roster = roster
        self._admission = admission
        self._limits = limits
        self._inbox = inbox
        self._wires = wires
        self._start = start
        self._removed = removed
        self._listeners: list[tuple[SocketListener, Address]] = []
        self._last_stranger = ""

    @property
    def addresses(self) -> list[Address]:
        """What is listened on, with the hosts and ports that were taken; empty when nothing is."""
        return [address for _, address in self._listeners]

    async def listen(self, wanted: Sequence[Address]) -> None:
        """Listen on these addresses. Raises `TransportError` if one cannot be had, and then listens on none."""
        try:
            for address in wanted:
                self._listeners += await _listen(address)
        except BaseException:
            await self.close()
            raise

    def begin(self) -> None:
        """Take connections from now on."""
        for listener, address in self._listeners:
            self._start(self._accept, listener, address)

    async def close(self) -> None:
        """Listen no more. The connections that are there have tasks of their own."""
        listeners, self._listeners = self._listeners, []
        await close_all(listener for listener, _ in listeners)

    async def _accept(self, listener: SocketListener, at: Address) -> None:
        while True:
            text = "cannot accept a connection: %s"
            try:
                stream = await next_connection(listener, self._roster.complaints, logger, text)
            except anyio.ClosedResourceError:
                return
            try:
                visit = self.gate.enter(_host_of(stream))
            except Refused as refusal:
                self._note_stranger(refusal.reason, str(refusal))
                await anyio.aclose_forcefully(stream)
            else:
                self._start(self._serve, stream, at, visit)

    async def _serve(self, socket: SocketStream, at: Address, visit: Visit) -> None:
        peer: Peer | None = None
        try:
            with visit.scope:
                visit.scope.deadline = anyio.current_time() + self._limits.handshake  # for TLS and WebSocket
                async with self._wires.accepted(socket, at) as (stream, names):
                    visit.scope.deadline = math.inf
                    peer, theirs, rest = await self._answer(stream, names)
                    self.gate.agreed(visit)
                    await self._receive(stream, peer, theirs, rest)
            if visit.crowded_out:
                self._note_stranger("half_open", f"another connection took the place of one of {visit.host}")
            elif visit.scope.cancelled_caught:
                self._note_stranger("silent", f"{visit.host} did not begin within {self._limits.handshake:g} s")
        except RemovedFromCluster as removal:
            self._removed(removal)
        except RefusedPeer as refusal:
            self._note_refusal(refusal)
        except OnlyAsked:
            pass
        except (Refused, HandshakeFailed) as failure:
            self._note_stranger(failure.reason, str(failure))
        except DecodeError as error:
            self._count("slow_frame" if isinstance(error, FrameTooSlow) else "frame")
            whose = peer.id if peer else "a stranger"
            self._roster.complaints.write(logger, "connection of %s closed: %s", whose, error)
        finally:
            self.gate.leave(visit)

    async def _answer(self, stream: ByteStream, names: Names | None) -> tuple[Peer, Identity, bytes]:
        def check(theirs: Identity) -> None:
            if names is not None:
                _check_names(theirs.node_id, names)
            self._roster.check(theirs)

        theirs, rest = await answer(stream, self._mine, check, self._admission, seconds=self._limits.handshake)
        return self._meet(theirs), theirs, rest

    def _meet(self, theirs: Identity) -> Peer:
        try:
            return self._roster.meet(theirs)
        except Refused as refusal:  # the members have changed since it was checked
            raise RefusedPeer(str(refusal), theirs.node_id, refusal.reason) from refusal

    async def _receive(self, stream: ByteStream, peer: Peer, theirs: Identity, rest: bytes) -> None:
        if peer.incoming >= self._limits.connections_per_peer:
            raise Refused(f"{peer.incoming} connections of {peer.id} are open already", "peer")
        peer.incoming += 1
        try:
            while (older := peer.accepted) is not None:
                older.scope.cancel()
                await older.ended.wait()
            if self._roster.peers.get(peer.id) is peer:  # not forgotten in the meantime
                self._meet(theirs)  # nor removed (R217)
                await self._read(stream, peer, AcceptedConnection(theirs), rest)
        finally:
            peer.incoming -= 1

    async def _read(self, stream: ByteStream, peer: Peer, connection: AcceptedConnection, rest: bytes) -> None:
        peer.accepted = connection
        peer.agreed(ACCEPTED, connection.peer)
        peer.note(anyio.current_time())
        peer.hurry()
        source = _Source(peer, self._shared)
        try:
            with connection.scope:
                await receive_side(stream, rest, source, self._mine.node_id, self._inbox, self._limits)
        finally:
            source.hold(0)
            peer.accepted = None
            connection.ended.set()

    def _note_refusal(self, refusal: RefusedPeer) -> None:
        peer = self._roster.peers.get(refusal.peer or "")
        if peer is not None:
            self._count(refusal.reason)
            peer.refused(ACCEPTED, str(refusal))
        else:
            self._note_stranger(refusal.reason, str(refusal))

    def _count(self, reason: str) -> None:
        self.refusals.count(reason if reason in self.refusals else "other")  # `admit` may have reasons of its own

    def _note_stranger(self, reason: str, text: str) -> None:
        self._count(reason)
        if text != self._last_stranger:
            self._last_stranger = text
            self._roster.complaints.write(logger, "incoming connection refused: %s", text)


class _Source:
    """See `links.Source`."""

    def __init__(self, peer: Peer, shared: Shared) -> None:
        self.id = peer.id
        self.note = peer.note
        self._peer = peer
        self._shared = shared

    @property
    def guest(self) -> bool:
        """Whether it is no member now."""
        return not self._peer.member

    def hold(self, size: int) -> bool:
        """Members are few, and need no permission."""
        return self._shared.hold(self, size if self.guest else 0)


def _check_names(node_id: str, names: Names) -> None:
    """Raise `Refused` unless this is whom the certificate names."""
    if node_id not in names:
        raise Refused(
            f"who says that it is {node_id} has a certificate for {list_of(names)}, not for {node_id}: give each node "
            "one of its own",
            "certificate",
        )


async def _listen(where: Address) -> list[tuple[SocketListener, Address]]:
    try:
        multi = await anyio.create_tcp_listener(local_host=where.host or None, local_port=where.port)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise TransportError(getattr(error, "errno", None), f"cannot listen on {where.socket}: {reason}") from error
    listeners = [listener for listener in multi.listeners if isinstance(listener, SocketListener)]
    return [(listener, _taken(listener, where)) for listener in listeners]


def _taken(listener: SocketListener, where: Address) -> Address:
    """What is listened on, with the host and the port that were taken."""
    host = str(listener.extra(SocketAttribute.local_address)[0])
    return where._replace(host=host, port=listener.extra(SocketAttribute.local_port))


def _host_of(stream: SocketStream) -> str:
    """From which host this connection comes, or network, as it is counted; "" if it is over already."""
    try:
        return Origin.of(str(stream.extra(SocketAttribute.remote_address)[0])).group
    except Exception:  # what backends raise for a socket that was reset differs
        return ""
