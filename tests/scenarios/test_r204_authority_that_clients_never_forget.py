"""R204: certificate and authority of a node are replaced, and the port for clients goes on with the old ones.

Found by reading what a context does that loads a second authority: it knows both. Whoever had a certificate of the old
one, which was replaced because its key was stolen, was served until the node was started anew. And the files were only
looked at when another node connected, which may be never.
"""

import shutil
import ssl
from pathlib import Path

import anyio
import pytest

from rafty_transports.service import RespServer
from tests.transports.connections import until
from tests.transports.service_kit import OneReplica, serving
from tests.transports.tls_kit import Authority, Files

pytestmark = pytest.mark.anyio


def give(files: Files, place: Files) -> None:
    """Copy these files there."""
    for name in ("certificate", "key", "authority"):
        shutil.copy(getattr(files, name), getattr(place, name))


async def is_served(server: RespServer, client: Files, authority: Path) -> bool:
    """Whether a client with these files, which trusts this authority, gets an answer."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority)
    context.load_cert_chain(client.certificate, client.key)
    with anyio.fail_after(5):
        try:
            async with await anyio.connect_tcp(
                "127.0.0.1", server.port, ssl_context=context, tls_standard_compatible=False
            ) as stream:
                await stream.send(b"PING\r\n")
                return bytes(await stream.receive()) == b"+PONG\r\n"
        except (OSError, anyio.EndOfStream, anyio.BrokenResourceError):
            return False


async def test_what_replaces_certificate_and_authority_counts_for_clients_too(tmp_path: Path) -> None:
    directories = [tmp_path / name for name in ("old", "new", "used")]
    for directory in directories:
        directory.mkdir()
    old, new = (Authority(directory) for directory in directories[:2])
    clients = old.issue("c1", "c1"), new.issue("c1", "c1")
    used = Files(*(directories[2] / name for name in ("cert.pem", "key.pem", "ca.pem")))
    give(old.issue("n1", "n1"), used)
    credentials = used.credentials()
    port = credentials.for_clients(certificate_required=True)
    async with serving(OneReplica(), tls=port) as server:
        assert await is_served(server, clients[0], old.file)
        assert not await is_served(server, clients[1], old.file)
        first = port.current
        give(new.issue("n1", "n1"), used)
        with anyio.fail_after(8):
            while port.current is first:
                await is_served(server, clients[0], new.file)
        assert await is_served(server, clients[1], new.file)
        assert not await is_served(server, clients[0], new.file)
        assert not await is_served(server, clients[0], old.file)
    await until(lambda: server.connected == 0)
