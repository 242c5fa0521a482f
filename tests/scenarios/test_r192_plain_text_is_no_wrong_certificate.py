"""R192: plain text at a port that speaks TLS was counted as a certificate that proves nothing.

Found by taking rules out and seeing which test fails: none did. Whoever looks at the counters would have searched for a
wrong certificate, where a node, or a scanner of ports, speaks no TLS at all.
"""

from pathlib import Path

import pytest

from rafty_transports.certs import make
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import ANYWHERE, admit_all, closed_by_peer, connect, identity, until

pytestmark = pytest.mark.anyio


def certificate(directory: Path) -> Credentials:
    """Credentials of n1."""
    make(directory / "all", ["n1"], 1)
    return Credentials.from_files(*(directory / "all" / name for name in ("n1.pem", "n1-key.pem", "ca.pem")))


async def test_plain_text_at_an_encrypted_port_is_no_tls(tmp_path: Path) -> None:
    one = TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, credentials=certificate(tmp_path))
    async with one, await connect(one.address) as stream:
        await stream.send(b"GET / HTTP/1.1\r\n\r\n")
        await closed_by_peer(stream)
        await until(lambda: one.refusals.total)
        assert one.refusals["tls"] == one.refusals.total == 1
