"""Who is connected to the service, and what each may take: a place, time, and room in memory.

Law: *what a client may cost is decided before it costs anything; and one that keeps a place and does nothing loses it.*

Time. A client that has begun a request must end it, however it spreads its bytes; one that has begun none may be idle
for ever, unless a limit is set. Only time in which the service waits for the client counts. One task looks at all
clients now and then, so that no timer belongs to a client or to a request.

Places. A stranger (a client that must prove who it is and has not) keeps no place from others: when too many are
there, the one that came first is hung up on. Were the newest refused instead, a few idle connections would keep
everybody out.

Room. Each client has room for one chunk of its own; beyond it, all share one budget, and whoever asks for more than is
left is hung up on. So small requests are served however much others have taken.
"""

import math
from dataclasses import dataclass

import anyio

from rafty_transports.addresses import Origin
from rafty_transports.refusals import Refusals

CHUNK = 64 * 1024
"""How many bytes are received at once, at most: the room that each client has of its own."""

REASONS = {
    "max_clients": "ERR max number of clients reached",
    "max_per_address": "ERR max number of clients from this address reached",
    "max_unauthenticated": "ERR too many clients have not authenticated, and this one had waited longest",
    "denied": (
        "DENIED this node has no password and is in protected mode, so that it serves clients on its own machine "
        "alone. To be served from elsewhere, choose: 1) start the node with a password, in the environment as "
        "RAFTY_PASSWORD or with --password-file, and name it in AUTH; 2) start it with --protected-mode no, if nobody "
        "but you can reach its port; 3) connect from its own machine to a loopback address, such as 127.0.0.1."
    ),
    "tls": "",
    "late": "ERR not authenticated in time",
    "no_password": "NOAUTH Authentication required.",
    "wrong_password": "WRONGPASS invalid username-password pair or user is disabled.",
    "no_permission": "",
    "protocol": "",
    "http": "",
    "memory": "ERR no room for a request of this size while so many others are not complete; try again later",
    "slow": "ERR the request was not complete in time",
    "deaf": "",
    "idle": "",
}
"""Why a client or its request is refused, and what it is told; empty where it is told nothing, or more than this.

tls            the TLS handshake failed
late           no password was named in time, or the TLS handshake was not done in time
no_password    a request of a client that has not authenticated
no_permission  a request for the user admin, by another one
protocol       what was sent is no RESP, or exceeds its limits
http           a browser, or something else that speaks HTTP
deaf           it did not accept its replies in time
"""


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """What the clients of one service may take. Times are seconds, None is no limit.

    connections      how many are served at once
    per_address      how many of them from one address, or one /64 network of IPv6; from loopback all of them
    unauthenticated  how many of them that have not authenticated, or not finished the handshake of TLS
    authentication   how long that may take
    wrong_passwords  at which wrong password of one connection it is closed
    request_timeout  how long the client may take for one request, from its first byte to its last
    idle_timeout     how long it may be connected without beginning a request
    send_timeout     how long it may take to accept a piece of its replies
    room             bytes of all requests together that are being received or carried out, beyond a chunk for each
                     client; Python may take three times as much for a moment
    """

    connections: int = 1000
    per_address: int = 500
    unauthenticated: int = 250
    authentication: float = 10.0
    wrong_passwords: int = 5
    request_timeout: float = 30.0
    idle_timeout: float | None = None
    send_timeout: float = 10.0
    room: int = 256 * 1024 * 1024


class TurnedAway(Exception):
    """A client that is not served, or not any more; `reason` is one of `REASONS`, and counted already."""

    def __init__(self, reason: str) -> None:
        super().__init__(REASONS[reason])
        self.reason = reason


class Client:
    """One that is connected. What it does runs inside `scope`; `turned_away` says why that was cancelled."""

    __slots__ = ("origin", "scope", "turned_away", "taken", "prove_until", "_limits", "_until", "_why", "_left")

    def __init__(self, origin: Origin, limits: ClientLimits, prove_until: float) -> None:
        self.origin = origin
        self.scope = anyio.CancelScope()
        self.turned_away = ""
        self.taken = 0
        """Bytes of the common room."""
        self.prove_until = prove_until
        self._limits = limits
        self._until = math.inf
        self._why = ""
        self._left = 0.0

    def waited_for(self, *, unfinished: bool, anew: bool) -> None:
        """From now on it is the client's turn: to end a request that has begun, `anew` since it was last waited for,
        or to begin one."""
        if unfinished:
            if anew or self._why != "slow":
                self._left = self._limits.request_timeout
            self._until, self._why = anyio.current_time() + self._left, "slow"
        elif self._limits.idle_timeout is not None:
            self._until, self._why = anyio.current_time() + self._limits.idle_timeout, "idle"
        else:
            self._why = ""

    def heard(self) -> None:
        """It sent something; now it is the service's turn, and the client's time stands still."""
        if self._until != math.inf:
            self._left = self._until - anyio.current_time()
            self._until = math.inf

    def overdue(self, now: float) -> str:
        """The reason why this client is to be hung up on now; empty if there is none."""
        if now >= self.prove_until:
            return "late"
        return self._why if now >= self._until else ""


class Clients:
    """All that are connected to one service.

    locked  whether they are strangers at first: they must authenticate, or do the handshake of TLS
    """

    def __init__(self, limits: ClientLimits, *, locked: bool) -> None:
        self.limits = limits
        self.refusals = Refusals(REASONS)
        self.room_taken = 0
        self._locked = locked
        self._clients: dict[Client, None] = {}
        self._strangers: dict[Client, None] = {}  # the one that came first stands first
        self._of_group: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._clients)

    def enter(self, origin: Origin) -> Client:
        """Give this client a place, until `leave`. Raises `TurnedAway` if there is none."""
        limits = self.limits
        if len(self._clients) >= limits.connections:
            raise self.refused("max_clients")
        of_group = self._of_group.get(origin.group, 0)
        if of_group >= limits.per_address and not origin.loopback:
            raise self.refused("max_per_address")
        if not self._locked:
            client = Client(origin, limits, math.inf)
        else:
            if len(self._strangers) >= limits.unauthenticated:
                self.turn_away(next(iter(self._strangers)), "max_unauthenticated")
            client = Client(origin, limits, anyio.current_time() + limits.authentication)
            self._strangers[client] = None
        self._clients[client] = None
        self._of_group[origin.group] = of_group + 1
        return client

    def leave(self, client: Client) -> None:
        """Take its place and its room back."""
        del self._clients[client]
        self._strangers.pop(client, None)
        self.give_room_back(client, 0)
        group = client.origin.group
        self._of_group[group] -= 1
        if not self._of_group[group]:
            del self._of_group[group]

    def proven(self, client: Client) -> None:
        """It is no stranger any more."""
        client.prove_until = math.inf
        self._strangers.pop(client, None)

    def take_room(self, client: Client, size: int) -> None:
        """Let `size` bytes be what is kept for this client.

        Raises `TurnedAway` if that exceeds what is left. Then nothing must be kept for it, and its room is others' at
        once: else many that ask in the same moment would all be turned away, and none be served.
        """
        beyond = max(size - CHUNK, 0)
        total = self.room_taken - client.taken + beyond
        if total > self.limits.room:
            self.give_room_back(client, 0)
            raise self.refused("memory")
        self.room_taken, client.taken = total, beyond

    def give_room_back(self, client: Client, size: int) -> None:
        """Let no more than `size` bytes be what is kept for this client."""
        beyond = min(max(size - CHUNK, 0), client.taken)
        self.room_taken += beyond - client.taken
        client.taken = beyond

    def refused(self, reason: str) -> TurnedAway:
        """Count it; return the exception that says so."""
        self.refusals.count(reason)
        return TurnedAway(reason)

    def turn_away(self, client: Client, reason: str) -> None:
        """Cancel what this client does, for this reason. The first reason counts."""
        if not client.turned_away:
            self.refusals.count(reason)
            client.turned_away = reason
            self._strangers.pop(client, None)
            client.scope.cancel()

    async def watch(self) -> None:
        """Hang up on whoever lets its time pass, for ever; a little later than to the second, and never sooner."""
        limits = self.limits
        shortest = min(limits.authentication, limits.request_timeout, limits.idle_timeout or math.inf)
        pause = min(max(shortest / 4, 0.02), 1.0)
        while True:
            await anyio.sleep(pause)
            now = anyio.current_time()
            for client in list(self._clients):
                if reason := client.overdue(now):
                    self.turn_away(client, reason)
