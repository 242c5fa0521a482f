"""Requests to a node that runs, without a framework for tests: the benchmarks ask so, too."""

import socket
from collections.abc import Sequence

from rafty_transports.client import Reply, ReplyParser, encode_request


def ask(address: str, *requests: Sequence[bytes], timeout: float = 8.0) -> list[Reply]:
    """Send these requests to the node that serves clients at `address`; one reply for each.

    Raises `OSError`, of which `TimeoutError` and `ConnectionError` are kinds, if not all replies came.
    """
    host, _, port = address.rpartition(":")
    parser = ReplyParser()
    replies: list[Reply] = []
    with socket.create_connection((host, int(port)), timeout) as connection:
        connection.sendall(b"".join(map(encode_request, requests)))
        while len(replies) < len(requests):
            data = connection.recv(1 << 18)
            if not data:
                raise ConnectionResetError(f"{address} hung up")
            replies += parser.feed(data)
    return replies


def pairs_of(text: Reply) -> dict[str, str]:
    """The lines "name:value" of INFO or RAFTY STATUS."""
    assert isinstance(text, bytes), text
    pairs = [line.partition(":") for line in text.decode().splitlines()]
    return {name: value for name, colon, value in pairs if colon}
