"""One peer as a transport with connections sees it, and what it tells about it.

Law: *what goes wrong with a peer is visible, and is logged when it changes, not each time it happens.*
"""

import logging
from dataclasses import dataclass

import anyio

from rafty_transports.complaints import Complaints
from rafty_transports.interfaces import Identity
from rafty_transports.links import Limits
from rafty_transports.queues import Outbox

logger = logging.getLogger(__name__)

DIALED, ACCEPTED = "dialed", "accepted"


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A picture of one peer: for people, metrics and tests.

    connected  messages can leave for it now
    accepted   messages can come from it now
    guest      it is no member, but its handshake was right
    refusal    why the last handshake with it was refused, by either side; None if the last one was not
    trouble    why there is no connection to it, or None
    dropped    messages to it that were dropped, since this transport was opened
    """

    address: str
    connected: bool
    accepted: bool
    guest: bool
    refusal: str | None
    trouble: str | None
    dropped: int


class AcceptedConnection:
    """An incoming connection that has agreed: what is needed to end it, and to know that it has ended."""

    def __init__(self, peer: Identity) -> None:
        self.peer = peer
        self.scope = anyio.CancelScope()
        self.ended = anyio.Event()


class Peer:
    """State of one peer. `attempt` covers one attempt to connect, the connection, and the pause that follows.

    address      where it is reached, as the configuration says; "" if that does not say
    said         where it is reached, as it says itself; tried when the other fails: a node that catches up reads
                 configurations that are long over, with addresses that are, too
    member       dialed as long as it is one; a guest is dialed when there is something to be sent
    incarnation  of whom a handshake was right with last; "" if none was
    noticed      when a guest said something last, on the clock of the event loop; None before anybody looked
    incoming     how many connections it has opened to this node: the one in `accepted`, and those that will replace it
    gone         since when it is known that it was removed; None if it was not
    """

    def __init__(self, node_id: str, limits: Limits, complaints: Complaints, *, member: bool) -> None:
        self.id = node_id
        self.address = ""
        self.said = ""
        self.turn = 0
        self.member = member
        self.incarnation = ""
        self.noticed: float | None = None
        self.gone: float | None = None
        self.outbox = Outbox(limits.outbox_messages, limits.outbox_bytes)
        self.outbox.holding = False
        self.accepted: AcceptedConnection | None = None
        self.incoming = 0
        self.attempt = anyio.CancelScope()
        self.reported = False
        self.trouble: str | None = None
        self._complaints = complaints
        self._heard = anyio.Event()
        self._refusals: dict[str, str] = {}

    @property
    def status(self) -> PeerStatus:
        """The picture of now."""
        return PeerStatus(
            address=self.next_address,
            connected=self.outbox.connected,
            accepted=self.accepted is not None,
            guest=not self.member,
            refusal=self.refusal,
            trouble=self.trouble,
            dropped=self.outbox.dropped,
        )

    @property
    def refusal(self) -> str | None:
        """Why the last handshake was refused, in either direction; None if none was."""
        return self._refusals.get(DIALED) or self._refusals.get(ACCEPTED)

    @property
    def addresses(self) -> list[str]:
        """Where it may be reached, each once; the configuration's word first."""
        return list(dict.fromkeys(address for address in (self.address, self.said) if address))

    @property
    def next_address(self) -> str:
        """Where to dial next: another one of its addresses after each attempt that failed; "" if none is known."""
        known = self.addresses
        return known[self.turn % len(known)] if known else ""

    def move(self, address: str) -> None:
        """From now on the configuration has this address for it ("": none); a connection to another one is ended."""
        if address != self.address:
            self.address, self.turn = address, 0
            self.outbox.holding = bool(self.addresses)
            self.attempt.cancel()

    def tell(self, address: str) -> None:
        """It says itself that it is reached at this address ("": it does not say)."""
        if address and address != self.said:
            waits = not self.addresses
            self.said = address
            self.outbox.holding = True
            if waits:
                self.attempt.cancel()

    def note(self, now: float) -> None:
        """It said something."""
        self.noticed = now

    def end(self) -> None:
        """End its connections, in both directions."""
        self.attempt.cancel()
        if self.accepted is not None:
            self.accepted.scope.cancel()

    def break_off(self) -> None:
        """End the connections that have agreed; an attempt under way goes on, and a pause ends."""
        if self.outbox.connected:
            self.attempt.cancel()
        if self.accepted is not None:
            self.accepted.scope.cancel()
        self.hurry()

    async def heard(self) -> None:
        """Wait until this peer comes to us: then it is back, and there is no reason to wait longer before dialing."""
        self._heard = anyio.Event()
        await self._heard.wait()

    def hurry(self) -> None:
        """End the pause before the next attempt to connect, if there is one now."""
        self._heard.set()

    def agreed(self, direction: str, theirs: Identity) -> None:
        """A handshake in this direction was right.

        What waits for an earlier incarnation is not for this one, and that one's connections end (fault F73).
        """
        self._refusals.pop(direction, None)
        if self.incarnation not in ("", theirs.incarnation):
            self.outbox.clear()
            if direction == ACCEPTED:
                self.attempt.cancel()
            elif self.accepted is not None:
                self.accepted.scope.cancel()
        self.incarnation = theirs.incarnation
        if direction == DIALED:
            self.trouble = None

    def drained(self) -> None:
        """All that waited was sent: the next loss is news."""
        self.reported = False

    def refused(self, direction: str, reason: str) -> None:
        """A handshake in this direction was refused, by either side."""
        if self._refusals.get(direction) != reason:
            self._refusals[direction] = reason
            self._complaints.write(logger, "connection with %s refused: %s", self.id, reason)
        if direction == DIALED:
            self.trouble = reason

    def failed(self, reason: str) -> None:
        """There is no connection to this peer, for this reason."""
        if self.trouble != reason:
            self.trouble = reason
            logger.info("no connection to %s: %s", self.id, reason)
