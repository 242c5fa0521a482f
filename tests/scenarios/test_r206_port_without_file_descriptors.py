"""R206: strangers take the last file descriptor of a node.

Found by attacking a node: on trio the line that should have said so said nothing, since anyio has an error of its own
there, without a text; and a line was written ten times a second for as long as it lasted.
"""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
import pytest

from rafty_transports.complaints import BURST
from tests.transports.connections import connect_as, identity, node, until

pytestmark = pytest.mark.anyio


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process can open nothing while inside."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_it_says_so_and_goes_on_afterwards(caplog: pytest.LogCaptureFixture) -> None:
    async with node("n1", {}) as one:
        host, _, port = one.address.rpartition(":")
        with socket.socket() as early, no_more_files():
            early.connect((host, int(port)))
            await until(lambda: "cannot accept a connection: too many open files" in caplog.text)
        async with await connect_as(one.address, identity("n2"), "n1"):
            await until(lambda: "n2" in one.peers())


async def test_what_lasts_is_not_written_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rafty_transports.next_connection.PAUSE", 0.001)
    async with node("n1", {}) as one:
        host, _, port = one.address.rpartition(":")
        with socket.socket() as early, no_more_files():
            early.connect((host, int(port)))
            await anyio.sleep(0.5)
    assert 0 < len(caplog.records) <= BURST + 2
