"""The door of a port: how many may stand in it, in all, from one address, and before they have said who they are.

Law: *whoever crowds the door is the first to be sent away, and what strangers make us keep is kept once for all.*

Whoever connects costs a socket and a task until it has agreed or its time is over. When as many as may stand there
have not agreed yet, the address that has most of them loses its oldest to a newcomer of an address that has fewer; a
newcomer of that address itself is refused. So a crowd from one address does not keep out the others. It is no help
against a crowd from many addresses: a network that lets those in needs a filter of its own. No IO.
"""

from collections import Counter
from collections.abc import Iterator

import anyio

from rafty_transports.interfaces import Refused
from rafty_transports.links import Limits


class Visit:
    """One incoming connection, from this host ("" if that is not known); cancelling `scope` ends it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.crowded_out = False
        self.scope = anyio.CancelScope()


class Gate:
    """Counts the incoming connections of one port."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._from: Counter[str] = Counter()
        self._half_open: dict[Visit, None] = {}  # in the order in which they came

    @property
    def connections(self) -> int:
        """Incoming connections now."""
        return self._from.total()

    @property
    def half_open(self) -> int:
        """Those of them that have not agreed yet."""
        return len(self._half_open)

    def enter(self, host: str) -> Visit:
        """Somebody of this host has connected. Raises `Refused`; otherwise `leave` must follow."""
        if self.connections >= self._limits.connections:
            raise Refused(f"there are {self.connections} incoming connections, and no more are taken", "connections")
        if self._from[host] >= self._limits.connections_per_address:
            raise Refused(f"{self._from[host]} connections come from {host} already", "address")
        if len(self._half_open) >= self._limits.handshakes:
            self._make_room(host)
        visit = Visit(host)
        self._from[host] += 1
        self._half_open[visit] = None
        return visit

    def _make_room(self, host: str) -> None:
        crowd = Counter(visit.host for visit in self._half_open)
        crowded, most = crowd.most_common(1)[0]
        if crowd[host] >= most:
            raise Refused(f"{len(self._half_open)} incoming connections have not agreed yet", "half_open")
        oldest = next(self._of(crowded))
        oldest.crowded_out = True
        oldest.scope.cancel()
        self.agreed(oldest)

    def _of(self, host: str) -> Iterator[Visit]:
        return (visit for visit in self._half_open if visit.host == host)

    def agreed(self, visit: Visit) -> None:
        """It has said who it is, and that was right: it counts as half open no more."""
        self._half_open.pop(visit, None)

    def leave(self, visit: Visit) -> None:
        """Its connection has ended."""
        self.agreed(visit)
        self._from[visit.host] -= 1
        if not self._from[visit.host]:
            del self._from[visit.host]


class Shared:
    """Memory that several connections share: each holds some of it for what it has begun and not ended."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held: dict[object, int] = {}

    def hold(self, owner: object, size: int) -> bool:
        """From now on this owner holds so many bytes, none if 0. False if there is no room for them."""
        self._held.pop(owner, None)
        if size == 0:
            return True
        if sum(self._held.values()) + size > self._limit:
            return False
        self._held[owner] = size
        return True
