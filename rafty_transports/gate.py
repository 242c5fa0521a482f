"""The door of a port: how many may stand in it, in all, from one address, and before they have said who they are.

Law: *whoever crowds the door is the first to be sent away, and what strangers make us keep is kept once for all.*

Whoever connects costs a socket and a task until it has agreed or its time is over. A node of rafty agrees at once, so
that when there is no room left, in all or for one address, the connection goes that has stood there longest without
having agreed: of the same address, or of the one that has most of these. So neither a crowd from one address nor one
that is silent keeps out the others. It is no help against a crowd from many addresses that connects faster than a
handshake takes: a network that lets those in needs a filter of its own. No IO.
"""

from collections import Counter

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
        """Somebody of this host has connected. Raises `Refused`; otherwise `leave` must follow.

        May cancel another visit in its favour.
        """
        if self._from[host] >= self._limits.connections_per_address:
            if not self._crowd_out(host):
                raise Refused(f"{self._from[host]} connections come from {host} already", "address")
        elif self.connections >= self._limits.connections:
            if not self._crowd_out(self._crowded()):
                raise Refused(
                    f"there are {self.connections} incoming connections, and no more are taken", "connections"
                )
        elif len(self._half_open) >= self._limits.handshakes:
            self._crowd_out(self._crowded())
        visit = Visit(host)
        self._from[host] += 1
        self._half_open[visit] = None
        return visit

    def _crowded(self) -> str:
        """The host of which most visits are half open; "" if none is."""
        crowd = Counter(visit.host for visit in self._half_open)
        return max(crowd, key=crowd.__getitem__, default="")

    def _crowd_out(self, host: str) -> bool:
        """End the oldest half open visit of this host; False if there is none."""
        oldest = next((visit for visit in self._half_open if visit.host == host), None)
        if oldest is None:
            return False
        self.leave(oldest)
        oldest.crowded_out = True
        oldest.scope.cancel()
        return True

    def agreed(self, visit: Visit) -> None:
        """It has said who it is, and that was right: it counts as half open no more."""
        self._half_open.pop(visit, None)

    def leave(self, visit: Visit) -> None:
        """Its connection has ended. A visit that was crowded out has left already."""
        self.agreed(visit)
        if not visit.crowded_out:
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
