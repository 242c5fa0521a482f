"""What goes over the wire: TLS 1.3 as `openssl` sees it, a certificate that is asked for, and no plain text."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from rafty_transports.handshake import RefusedPeer
from rafty_transports.security import Credentials, secure_accepted, secure_dialed
from tests.transports.connections import until
from tests.transports.tls_kit import Authority, connection, listening, outcome_of, sentence_of, together

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom all trust."""
    return Authority(tmp_path_factory.mktemp("tls"))


@asynccontextmanager
async def openssl(credentials: Credentials, *arguments: str) -> AsyncIterator[tuple[Any, anyio.abc.Process]]:
    """What comes of it when `openssl s_client` dials and agrees, and the process."""
    accepted: list[SocketStream] = []
    async with listening(accepted) as port:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-msg", *arguments]
        async with await anyio.open_process(command, stdin=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            await say(process, b"\x01")
            await until(lambda: accepted)
            with anyio.fail_after(8):
                outcome = await outcome_of(secure_accepted, accepted[0], credentials)
            yield outcome, process
            if process.returncode is None:
                process.kill()


async def say(process: anyio.abc.Process, text: bytes) -> None:
    """Type this."""
    assert process.stdin is not None
    await process.stdin.send(text)


async def output_of(process: anyio.abc.Process, until_word: str = "") -> str:
    """What the process prints until it ends, or has printed this."""
    text = ""
    assert process.stdout is not None
    with anyio.fail_after(8):
        try:
            while not until_word or until_word not in text:
                text += (await process.stdout.receive()).decode(errors="replace")
        except anyio.EndOfStream:
            pass
    return text


async def test_openssl_without_a_certificate(authority: Authority) -> None:
    """It is asked for one, in TLS 1.3, and gets no further without."""
    async with openssl(authority.issue("n2", "n2").credentials(), "-CAfile", str(authority.file)) as (outcome, process):
        assert "the dialing node showed no certificate" in sentence_of(outcome, RefusedPeer)
        text = await output_of(process)
    for word in ("New, TLSv1.3", "Verify return code: 0", "CertificateRequest", "alert certificate required"):
        assert word in text, text


async def test_openssl_of_an_older_tls(authority: Authority) -> None:
    async with openssl(authority.issue("n2", "n2").credentials(), "-tls1_2") as (outcome, process):
        assert "speaks no newer TLS than 1.2" in sentence_of(outcome, RefusedPeer)
        assert "alert protocol version" in await output_of(process)


async def test_openssl_gets_no_ticket_and_new_keys(authority: Authority) -> None:
    """A ticket would let a certificate in that is not looked at any more; a new key is asked for, and given."""
    files = authority.issue("n1", "n1")
    shown = ["-cert", str(files.certificate), "-key", str(files.key)]
    async with openssl(authority.issue("n2", "n2").credentials(), *shown) as (outcome, process):
        tls, names = outcome
        assert names == {"n1"}
        await say(process, b"one\n")
        assert await tls.receive() == b"one\n"
        await say(process, b"K\n")
        text = await output_of(process, "KeyUpdate")
        await say(process, b"two\n")
        assert await tls.receive() == b"two\n"
        await tls.send(b"MARK")
        text += await output_of(process, "MARK")
    assert text.count("KeyUpdate") == 2, text
    assert "NewSessionTicket" not in text


async def test_no_plain_text_on_the_wire(authority: Authority) -> None:
    """A proxy between both sides sees neither what they say nor who they are."""
    files = authority.issue("n1", "a-node-with-a-name")
    seen: list[bytes] = []

    async def carry(source: SocketStream, sink: SocketStream) -> None:
        try:
            while True:
                seen.append(await source.receive())
                await sink.send(seen[-1])
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            await anyio.aclose_forcefully(sink)

    async with connection() as (near, left), connection() as (right, far), anyio.create_task_group() as tasks:
        tasks.start_soon(carry, left, right)
        tasks.start_soon(carry, right, left)
        credentials = files.credentials()
        dialed, (accepted, _) = await together(
            secure_dialed(near, credentials, "a-node-with-a-name"), secure_accepted(far, credentials)
        )
        await dialed.send(b"a marker of mine" * 1000)
        received = b""
        while len(received) < 16000:
            received += await accepted.receive()
        await accepted.send(b"another marker")
        assert await dialed.receive() == b"another marker"
        tasks.cancel_scope.cancel()
    wire = b"".join(seen)
    assert len(wire) > 16000
    for marker in (b"marker", b"a-node-with-a-name"):
        assert marker not in wire
