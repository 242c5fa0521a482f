"""Whom a transport with connections talks to: members, guests, and those who were removed for ever.

Law: *whoever keeps to the handshake is heard, but those whom a committed configuration removed, and they are told.*

A node's configuration may be older than the one that its peers live in. Its next leader, or the candidate that needs
its vote, may be a node of which it has never heard (faults F24, F141): so a peer that is no member is a guest, heard
and answered, but not sought out. Guests are few and are forgotten when they fall silent. A node that joins has guests
alone until its first configuration arrives.

A removed pair of id and incarnation never returns (fault F73), and learns here that it was removed if the leader could
not tell it (fault F66). Nothing in this module waits or knows of sockets.
"""

import logging
from collections.abc import Callable, Iterable, Sequence

from rafty_core.configuration import Member, check_node_id
from rafty_transports.complaints import Complaints
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.links import Limits
from rafty_transports.peers import Peer

logger = logging.getLogger(__name__)


class Roster:
    """The peers of one node, in `peers` by id. `arrived` is called with each new one. What is wrong with any of them,
    or with strangers, goes to the log by way of `complaints`."""

    def __init__(self, mine: Identity, limits: Limits, arrived: Callable[[Peer], None]) -> None:
        self.peers: dict[str, Peer] = {}
        self.complaints = Complaints()
        self._mine = mine
        self._limits = limits
        self._arrived = arrived
        self._members: dict[str, str] = {}  # of the configuration: its id, its incarnation or ""
        self._removed: dict[str, set[str]] = {}

    def name(self, node_id: str, address: str) -> None:
        """This is a peer, to be dialed at this address ("": the one that is known). Raises `ValueError` for no id."""
        check_node_id(node_id)
        if node_id == self._mine.node_id:
            raise ValueError(f"{node_id} is this node, and no peer of itself")
        peer = self.peers.get(node_id) or self._add(node_id, member=True)
        if not peer.member:
            peer.member = True
            if not peer.outbox.connected:
                peer.attempt.cancel()  # it waits for something to be sent
        if address:
            peer.move(address)

    def follow(self, members: Sequence[Member], removed: Iterable[Member]) -> list[str]:
        """See `MembersTransport.set_members`. Without members nobody becomes a guest: this node only joins.

        Returns the ids of members whose earlier life was just cut off: what it said must not be taken for theirs.
        """
        cut_off = []
        self._removed = {}
        for member in removed:
            self._removed.setdefault(member.id, set()).add(member.incarnation)
        self._members = {member.id: member.incarnation for member in members if member.id != self._mine.node_id}
        for member in members:
            if member.id in self._members:
                self.name(member.id, member.address)
        for peer in self.peers.values():
            if members and peer.id not in self._members:
                peer.member = False
            if not self._is_gone(peer):
                peer.gone = None
            elif peer.id in self._members:
                peer.break_off()  # its successor under the same name is a member by now (fault F73)
                cut_off.append(peer.id)
            if peer.refusal is not None:
                peer.hurry()  # it may be admitted now
        return cut_off

    def check(self, theirs: Identity) -> None:
        """The `Check` of handshakes, in both directions."""
        mine = self._mine.node_id
        if theirs.node_id == mine:
            raise Refused(
                f"a node calls itself {mine}, as the node that it dialed does: two nodes have one name", "name"
            )
        self._check_removed(theirs)
        peer = self.peers.get(theirs.node_id)
        if peer is None:
            self._check_room(theirs)
        elif (
            (older := peer.accepted) is not None
            and older.peer.incarnation == theirs.incarnation
            and older.peer.boot > theirs.boot
        ):
            raise Refused(
                f"{theirs.node_id} is connected to {mine} in boot {older.peer.boot}, this is {theirs.boot}",
                "incarnation",
            )

    def _check_removed(self, theirs: Identity) -> None:
        node_id, incarnation = theirs.node_id, theirs.incarnation
        if not self._was_removed(node_id, incarnation):
            return
        if incarnation in self._removed[node_id] or theirs.bootstrap:
            raise RemovedFromCluster(
                f"{node_id} (incarnation {incarnation}) was removed from the cluster; "
                "give it an empty data directory and add it again"
            )
        # Which life of it was removed is not known, and this one joined the cluster later than its beginning. It may be
        # a member already, by a configuration that is not here yet: it must not take this for the end.
        raise Refused(
            f"{node_id} was removed from the cluster, and {self._mine.node_id} does not know that it was added again "
            f"(as incarnation {incarnation}); add it, if that was not done",
            "removed",
        )

    def _was_removed(self, node_id: str, incarnation: str) -> bool:
        gone = self._removed.get(node_id, ())
        member = self._members.get(node_id)
        if incarnation in gone:
            return True
        return "" in gone and member not in ("", incarnation)  # it is another life than the one that is a member

    def _check_room(self, theirs: Identity) -> None:
        guests = self._guests()
        if len(guests) >= self._limits.guests and all(guest.accepted is not None for guest in guests):
            raise Refused(
                f"{theirs.node_id} is no member that {self._mine.node_id} knows of, and {len(guests)} others that are "
                "none are connected; try again later",
                "guests",
            )

    def meet(self, theirs: Identity) -> Peer:
        """The peer whose handshake on a connection to this node was right. Raises `Refused` as `check` does."""
        self.check(theirs)
        peer = self.peers.get(theirs.node_id)
        if peer is None:
            self._make_room()
            peer = self._add(theirs.node_id, member=False)
            logger.info("%s is no member that %s knows of, and is heard", peer.id, self._mine.node_id)
        peer.tell(theirs.address)
        return peer

    def _make_room(self) -> None:
        guests = self._guests()
        if len(guests) >= self._limits.guests:
            idle = [guest for guest in guests if guest.accepted is None]
            self.forget(min(idle, key=lambda guest: guest.noticed or 0.0))

    def _guests(self) -> list[Peer]:
        return [peer for peer in self.peers.values() if not peer.member]

    def _add(self, node_id: str, *, member: bool) -> Peer:
        peer = self.peers[node_id] = Peer(node_id, self._limits, self.complaints, member=member)
        self._arrived(peer)
        return peer

    def forget(self, peer: Peer) -> None:
        """It is a peer no more, and its connections end."""
        if self.peers.get(peer.id) is peer:
            del self.peers[peer.id]
        peer.end()

    def tidy(self, now: float) -> None:
        """Forget guests that have been silent for long, and removed ones that had time to hear it. Call it often."""
        for peer in list(self.peers.values()):
            if peer.member:
                continue
            if self._is_gone(peer) and peer.gone is None:
                peer.gone = now
            if peer.noticed is None:
                peer.noticed = now
            told = peer.gone is not None and now - peer.gone >= self._limits.farewell
            if told or now - peer.noticed >= self._limits.guest_silence:
                self.forget(peer)

    def _is_gone(self, peer: Peer) -> bool:
        """Whether a committed configuration removed whom a handshake was made with last, as far as can be told."""
        if peer.incarnation:
            return self._was_removed(peer.id, peer.incarnation)
        return peer.id in self._removed and peer.id not in self._members
