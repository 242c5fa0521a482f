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


class Connection:
    """One client: a socket, and when its requests in flight were sent."""

    def __init__(self, opened: socket.socket, requests: list[bytes], samples: Samples) -> None:
        self.socket = opened
        self.waiting = 0
        self._requests = requests
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
        data = self._rest + self.socket.recv(65536)
        if data == self._rest:
            raise ConnectionError("the service hung up")
        now = clock()
        whole = data.rfind(b"\n") + 1
        replies, self._rest = data[:whole], data[whole:]
        count = replies.count(b"\n")
        good = replies.count(OK)
        if good < count:
            error = next(line for line in replies.split(b"\r\n") if line != b"+OK")
            self._samples.fail(error.decode(errors="replace"), count - good)
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


def open_connections(port: int, count: int) -> list[socket.socket]:
    """Connections that the service has accepted: each has answered a PING. That is no part of the load."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    for opened in sockets:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.sendall(b"PING\r\n")
    for opened in sockets:
        answer = opened.recv(64)
        if answer != b"+PONG\r\n":
            raise ConnectionError(f"the service answered PING with {answer!r}")
    return sockets


def run_clients(sockets: list[socket.socket], in_flight: int, size: int, warmup: float, seconds: float) -> Result:
    """Keep `in_flight` SETs of `size` bytes (as commands in the log) under way on these connections."""
    value = b"v" * (size - 13)  # as the encoded command has it: operation, length of the key, key of 8 bytes
    keys = [b"k%07d" % number for number in range(POOL)]
    requests = [b"*3\r\n$3\r\nSET\r\n$8\r\n%b\r\n$%d\r\n%b\r\n" % (key, len(value), value) for key in keys]
    requests = requests * (1 + in_flight // POOL + 1)
    samples = Samples(warmup, seconds)
    with selectors.DefaultSelector() as selector:
        clients = [Connection(opened, requests, samples) for opened in sockets]
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
    sockets = open_connections(opening["port"], opening["connections"])
    say(done=True)
    load = incoming.get()
    result = run_clients(sockets, load["in_flight"], load["size"], load["warmup"], load["seconds"])
    say(**result.as_dict())
    incoming.get()  # the connections are kept until the input ends


if __name__ == "__main__":
    main()
