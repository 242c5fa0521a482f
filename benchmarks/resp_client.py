"""Clients of the key-value service in one process of their own: sockets, a selector, and nothing else.

Law: *each connection keeps its share of the requests in flight: a reply that comes in lets one request out.*
"""

import selectors
import socket
from collections import deque

from benchmarks.control import raise_file_limit, requests, say
from benchmarks.sampling import Result, Samples, clock, shares

OK = b"+OK\r\n"
POOL = 256

Exchange = tuple[list[bytes], bytes]
"""Requests, and the reply that is right for each of them."""


class Connection:
    """One client: a socket, and when its requests in flight were sent."""

    def __init__(self, opened: socket.socket, exchange: Exchange, samples: Samples) -> None:
        self.socket = opened
        self.waiting = 0
        self._requests, self._right = exchange
        self._samples = samples
        self._sent: deque[tuple[float, int]] = deque()
        self._rest = b""
        self._next = 0

    def send(self, count: int) -> None:
        """Let out `count` requests now, in one send."""
        start = self._next % POOL
        self._next += count
        self.waiting += count
        self._sent.append((clock(), count))
        # The service reads on whenever it owes no replies, so that this never waits for long.
        self.socket.sendall(b"".join(self._requests[start : start + count]))

    def receive(self) -> None:
        """Take the replies that have come, and let out as many requests while the load lasts."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("the service hung up")
        now = clock()
        good, wrong, self._rest = split_replies(self._rest + chunk, self._right)
        if wrong:
            self._samples.fail(wrong[0].decode(errors="replace"), len(wrong))
        count = good + len(wrong)
        self.waiting -= count
        self._note(now, count)
        if count and now < self._samples.end:
            self.send(count)

    def _note(self, now: float, count: int) -> None:
        while count:
            began, sent = self._sent[0]
            taken = min(count, sent)
            self._samples.add(began, now, taken)
            if taken == sent:
                self._sent.popleft()
            else:
                self._sent[0] = began, sent - taken
            count -= taken


def split_replies(data: bytes, right: bytes) -> tuple[int, list[bytes], bytes]:
    """How many replies are `right`; the others, which are one line each; and the rest, which is no whole reply."""
    count, rest = divmod(len(data), len(right))
    whole = len(data) - rest
    if data[:whole] == right * count and right.startswith(data[whole:]):
        return count, [], data[whole:]
    position, good, wrong = 0, 0, []
    while position < len(data):
        if data.startswith(right, position):
            good += 1
            position += len(right)
        elif right.startswith(data[position:]) or (end := data.find(b"\r\n", position)) < 0:
            break
        else:
            wrong.append(data[position:end])
            position = end + 2
    return good, wrong, data[position:]


def sets(size: int) -> Exchange:
    """SETs of `size` bytes, as commands in the log."""
    value = value_of(size)
    requests = [b"*3\r\n$3\r\nSET\r\n$8\r\n%b\r\n$%d\r\n%b\r\n" % (key, len(value), value) for key in keys()]
    return requests, OK


def gets(size: int) -> Exchange:
    """GETs of what SETs of `size` bytes wrote."""
    value = value_of(size)
    return [b"*2\r\n$3\r\nGET\r\n$8\r\n%b\r\n" % key for key in keys()], b"$%d\r\n%b\r\n" % (len(value), value)


def keys() -> list[bytes]:
    """Keys of 8 bytes."""
    return [b"k%07d" % number for number in range(POOL)]


def value_of(size: int) -> bytes:
    """The value that makes a command of `size` bytes: operation, length of the key, key of 8 bytes, value."""
    return b"v" * (size - 13)


def open_connections(port: int, count: int, greeting: bytes = b"PING\r\n") -> list[socket.socket]:
    """Connections that the service has accepted: each has answered a greeting. That is no part of the load."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for opened in sockets:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(greeting)
    for opened in sockets:
        answer = opened.recv(64)
        if answer not in (b"+PONG\r\n", OK):
            raise ConnectionError(f"the service answered {greeting!r} with {answer!r}")
    return sockets


def run_clients(
    sockets: list[socket.socket], exchange: Exchange, in_flight: int, warmup: float, seconds: float
) -> Result:
    """Keep `in_flight` of these requests under way on these connections."""
    requests, right = exchange
    exchange = requests * (1 + in_flight // POOL + 1), right
    samples = Samples(warmup, seconds)
    with selectors.DefaultSelector() as selector:
        clients = [Connection(opened, exchange, samples) for opened in sockets]
        for client, share in zip(clients, shares(in_flight, len(clients)), strict=True):
            selector.register(client.socket, selectors.EVENT_READ, client)
            client.send(share)
        while clock() < samples.end or any(client.waiting for client in clients):
            for key, _ in selector.select(timeout=10):
                key.data.receive()
    return samples.result()


def main() -> None:
    """The process."""
    raise_file_limit()
    incoming = requests()
    opening = incoming.get()
    reading = "mode" in opening  # how this client reads, if it does
    greeting = f"RAFTY READ {opening['mode']}\r\n" if reading else "PING\r\n"
    sockets = open_connections(opening["port"], opening["connections"], greeting.encode())
    say(done=True)
    load = incoming.get()
    exchange = gets(opening["size"]) if reading else sets(load["size"])
    result = run_clients(sockets, exchange, load["in_flight"], load["warmup"], load["seconds"])
    say(**result.as_dict())
    incoming.get()  # the connections are kept until the input ends


if __name__ == "__main__":
    main()
