"""R219: clients take the last file descriptor of a node, and it lasts.

Found by reading: the port for nodes says so a few times (R206); that for clients had a loop of its own, and wrote a
line ten times a second for as long as it lasted.
"""

import socket

import anyio
import pytest

from rafty_transports.complaints import BURST
from tests.scenarios.test_r206_port_without_file_descriptors import no_more_files
from tests.transports.service_kit import OneReplica, connected, serving

pytestmark = pytest.mark.anyio


async def test_r219_it_is_not_written_for_ever(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rafty_transports.next_connection.PAUSE", 0.001)
    async with serving(OneReplica()) as server:
        with socket.socket() as early, no_more_files():
            early.connect(("127.0.0.1", server.port))
            await anyio.sleep(0.5)
        async with connected(server) as client:
            await client.ask(b"PING\r\n", b"+PONG\r\n")
    assert 0 < len(caplog.records) <= BURST + 2
