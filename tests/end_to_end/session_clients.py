"""Clients of the key-value service with sessions: they try again until they know, and count exactly.

Law: *a call keeps its number through all its tries* (thesis 6.3). That is all that a client has to do.
"""

import threading

from rafty_transports.client import Reply, ReplyError
from tests.end_to_end.cluster import ask, wait_until

PIPELINE = 25
"""Calls of one client that are under way at the same time."""

AGAIN = frozenset(("NOTLEADER", "UNKNOWN", "STOPPED", "SUPERSEDED", "OVERLOADED"))
"""Codes of errors after which a call is sent again; whether it was applied does not matter."""

SHARED = b"shared"


class Counting(threading.Thread):
    """Adds one, `operations` times: to a counter of its own and to one that all share, in turn; ends when all is known.

    nodes      where clients are served; the next one is asked after each failure
    """

    def __init__(self, number: int, nodes: list[str], operations: int) -> None:
        super().__init__(name=f"counting {number}", daemon=True)
        self.known = 0
        """How many calls are known to be applied."""
        self.tries = 0
        self.sums: list[int] = []
        self.strange: list[object] = []
        self.key = b"counter %d" % number
        self.session = 0
        self.hurried = threading.Event()
        """Set it to have the client end as soon as all that it has sent is known."""
        self._nodes = nodes
        self._turn = number
        self._operations = operations
        self._next = 1
        self._acknowledged = 0

    def run(self) -> None:
        while not self.session and not self.strange:
            for reply in self._ask([[b"RAFTY", b"SESSION", b"OPEN"]]):
                self._opened(reply)
        waiting: list[int] = []
        while (self._more() or waiting) and not self.strange:
            while self._more() and len(waiting) < PIPELINE:
                waiting.append(self._next)
                self._next += 1
            self.tries += len(waiting)
            replies = self._ask([self._call(sequence) for sequence in waiting])
            waiting = [
                sequence for sequence, reply in zip(waiting, replies, strict=True) if not self._done(sequence, reply)
            ]
            self._acknowledged = waiting[0] - 1 if waiting else self._next - 1

    def _more(self) -> bool:
        return self._next <= self._operations and not self.hurried.is_set()

    def _call(self, sequence: int) -> list[bytes]:
        key = self.key if sequence % 2 else SHARED
        numbers = [b"%d" % number for number in (self.session, sequence, self._acknowledged)]
        return [b"RAFTY", b"SESSION", b"CALL", *numbers, b"INCR", key]

    def _ask(self, requests: list[list[bytes]]) -> list[Reply]:
        """One reply for each request; None in the place of one that did not come."""
        try:
            return ask(self._nodes[self._turn % len(self._nodes)], *requests, timeout=2.5)
        except OSError:
            self._turn += 1
            self.hurried.wait(0.05)
            return [None] * len(requests)

    def _opened(self, reply: Reply) -> None:
        if isinstance(reply, int):
            self.session = reply
        else:
            self._another_try(reply)

    def _done(self, sequence: int, reply: Reply) -> bool:
        """Whether this call is known to be applied."""
        if isinstance(reply, int):
            self.known += 1
            if sequence % 2:
                self.sums.append(reply)
            return True
        self._another_try(reply)
        return False

    def _another_try(self, reply: Reply) -> None:
        if reply is not None and not (isinstance(reply, ReplyError) and reply.code in AGAIN):
            self.strange.append(reply)


class Crowd:
    """Several of these clients. Every call of theirs is run exactly once, or `check` fails."""

    def __init__(self, size: int, nodes: list[str], operations: int) -> None:
        self.clients = [Counting(number, nodes, operations) for number in range(size)]
        for client in self.clients:
            client.start()

    @property
    def known(self) -> int:
        """How many calls are known to be applied."""
        return sum(client.known for client in self.clients)

    @property
    def tries(self) -> int:
        """How often calls were sent."""
        return sum(client.tries for client in self.clients)

    def wait_for(self, count: int, timeout: float = 30.0) -> None:
        """Wait until so many calls are known to be applied."""

        def reached() -> bool:
            strange = [reply for client in self.clients for reply in client.strange]
            assert not strange, strange[:3]
            return self.known >= count

        wait_until(reached, f"{count} calls are known to be applied", timeout)

    def end(self, timeout: float = 60.0) -> None:
        """Wait until all clients are through; those who have more to do leave it, but for what is under way."""
        for client in self.clients:
            client.hurried.set()
        self.wait(timeout)

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until all clients are through with all that they had to do."""
        for client in self.clients:
            client.join(timeout)
            assert not client.is_alive(), f"{client.name} has {client.known} calls after {timeout:g} s more"
            assert not client.strange, client.strange[:3]

    def check(self, address: str) -> int:
        """Fail unless each call was run exactly once, as the node that serves clients at `address` has it."""
        for client in self.clients:
            own = (client.known + 1) // 2
            assert sorted(client.sums) == list(range(1, own + 1)), client.name
            assert ask(address, [b"GET", client.key]) == [b"%d" % own], client.name
        shared = sum(client.known // 2 for client in self.clients)
        assert ask(address, [b"GET", SHARED]) == [b"%d" % shared]
        return self.known
