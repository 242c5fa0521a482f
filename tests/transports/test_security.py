"""Both sides prove who they are; whoever is refused is told why, on both sides, each in a sentence of its own."""

import ssl
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from rafty_transports.handshake import HandshakeFailed, RefusedPeer, all_pass, answer, dial
from rafty_transports.security import Credentials, secure_accepted, secure_dialed
from rafty_transports.tls_stream import TlsStream
from tests.transports.connections import admission, closed_by_peer, identity
from tests.transports.tls_kit import (
    CLIENT,
    SERVER,
    Authority,
    bare_context,
    connection,
    meet,
    outcome_of,
    secured,
    sentence_of,
    together,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom all nodes trust, but for those that do not."""
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another authority."""
    return Authority(tmp_path_factory.mktemp("other"), "another")


async def test_two_nodes(authority: Authority) -> None:
    one, two = authority.issue("n1", "n1").credentials(), authority.issue("n2", "n2").credentials()
    async with connection() as (near, far):
        dialed, (accepted, names) = await together(secure_dialed(near, one, "n2"), secure_accepted(far, two))
        assert names == {"n1"}
        await dialed.send(b"to n2")
        await accepted.send(b"to n1")
        assert (await accepted.receive(), await dialed.receive()) == (b"to n2", b"to n1")


@pytest.mark.parametrize(
    ("names", "common", "proved"),
    [
        (("n2",), "n9", {"n2"}),
        (("n2", "n3"), "n9", {"n2", "n3"}),
        ((), "n2", {"n2"}),
        (("n2", "localhost"), "n9", {"n2"}),
    ],
)
async def test_names_of_a_certificate(
    authority: Authority, names: tuple[str, ...], common: str, proved: set[str]
) -> None:
    files = authority.issue("names", *names, common=common)
    one, (_, found) = await meet(files.credentials(), files.credentials(), "n2")
    assert isinstance(one, TlsStream)
    assert found == proved


@pytest.mark.parametrize(
    ("names", "common", "peer", "named"),
    [
        (("n3",), "n2", "n2", "n3"),  # the common name counts only without a subjectAltName
        (("*",), "x", "n2", "*"),
        (("n*", "*.n2"), "x", "n2", "*.n2, n*"),
        (("N2",), "x", "n2", "N2"),
        (("n2.example",), "x", "n2", "n2.example"),
        (("localhost",), "n2", "localhost", "nobody"),
    ],
)
async def test_certificate_of_another_node(
    authority: Authority, names: tuple[str, ...], common: str, peer: str, named: str
) -> None:
    """The side that dialed says it, and the other one knows the same sentence, and from whom."""
    one = authority.issue("n1", "n1").credentials()
    two = authority.issue("wrong", *names, common=common).credentials()
    dialed, accepted = await meet(one, two, peer)
    assert f"has a certificate for {named}, not for {peer}" in sentence_of(dialed)
    assert sentence_of(accepted, RefusedPeer) == str(dialed)
    assert accepted.peer == "n1"


async def test_dialing_node_whose_certificate_names_nobody(authority: Authority) -> None:
    one = authority.issue("nobody", "localhost").credentials()
    two = authority.issue("n2", "n2").credentials()
    dialed, accepted = await meet(one, two, "n2")
    assert "names nobody" in sentence_of(dialed)
    assert sentence_of(accepted, RefusedPeer) == str(dialed)


WRONG_DIALING = {
    "authority": ("of the dialing node is not signed by the authority of this node", "not signed by the authority"),
    "expired": ("of the dialing node has expired", "it has expired"),
    "not yet valid": ("of the dialing node is not valid yet", "it is not valid yet"),
    "purpose": ("of the dialing node is not made for this use", "it is not made for this use"),
    "none": ("the dialing node showed no certificate", "n2 wants a certificate of this node"),
}
"""What is wrong with the node that dials; what the other one says, and what it says itself."""


def faulty(fault: str, authority: Authority, stranger: Authority, purpose: Any) -> Credentials:
    """Credentials of a node with this fault; it trusts `authority`. `purpose` is what its certificate is good for."""
    good = authority.issue("good", "good")
    if fault == "none":
        dialing = bare_context(ssl.PROTOCOL_TLS_CLIENT, authority.file)
        return Credentials(good.context(ssl.PROTOCOL_TLS_SERVER), dialing)
    signer = stranger if fault == "authority" else authority
    days = {"expired": (-2, -1), "not yet valid": (1, 2)}.get(fault, (-1, 1))
    bad = signer.issue("bad", "n1", "n2", days=days, purposes=[purpose if fault == "purpose" else SERVER, CLIENT])
    if fault == "purpose":
        bad = signer.issue("bad", "n1", "n2", purposes=[purpose])
    contexts = [
        bare_context(protocol, authority.file) for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)
    ]
    for context in contexts:
        context.load_cert_chain(bad.certificate, bad.key)
    return Credentials(contexts[0], contexts[1])


@pytest.mark.parametrize("fault", WRONG_DIALING)
async def test_dialing_node_is_refused(authority: Authority, stranger: Authority, fault: str) -> None:
    two = authority.issue("n2", "n2").credentials()
    dialed, accepted = await meet(faulty(fault, authority, stranger, SERVER), two, "n2")
    says, hears = WRONG_DIALING[fault]
    assert says in sentence_of(accepted, RefusedPeer)
    assert hears in sentence_of(dialed)


@pytest.mark.parametrize("fault", [fault for fault in WRONG_DIALING if fault != "none"])
async def test_accepting_node_is_refused(authority: Authority, stranger: Authority, fault: str) -> None:
    one = authority.issue("n1", "n1").credentials()
    dialed, accepted = await meet(one, faulty(fault, authority, stranger, CLIENT), "n2")
    says, hears = WRONG_DIALING[fault]
    assert says.replace("the dialing node", "n2") in sentence_of(dialed)
    assert hears in sentence_of(accepted, RefusedPeer)
    assert "the dialing node did not accept" in str(accepted)


async def test_authority_of_the_same_name(authority: Authority, tmp_path: Path) -> None:
    """Then the signature does not fit, instead of nobody being found who made it."""
    twin = Authority(tmp_path, "authority").issue("n1", "n1").credentials()
    dialed, accepted = await meet(authority.issue("n1", "n1").credentials(), twin, "n2")
    assert "is not signed by the authority of this node" in sentence_of(dialed)
    assert "did not accept the certificate of this node: its signature" in sentence_of(accepted, RefusedPeer)


async def test_dialing_node_of_an_older_tls(authority: Authority) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode, old.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    async with connection() as (near, far):
        dialed, accepted = await together(
            outcome_of(lambda stream: TlsStream(stream, old, server_side=False).handshake(), near),
            outcome_of(secure_accepted, far, authority.issue("n2", "n2").credentials()),
        )
    assert "speaks no newer TLS than 1.2" in sentence_of(accepted, RefusedPeer)
    assert "PROTOCOL_VERSION" in str(dialed)


async def test_accepting_node_of_an_older_tls(authority: Authority) -> None:
    files = authority.issue("n2", "n2")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(files.certificate, files.key)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    async with connection() as (near, far):
        dialed, _ = await together(
            outcome_of(secure_dialed, near, authority.issue("n1", "n1").credentials(), "n2"),
            outcome_of(lambda stream: TlsStream(stream, old, server_side=True).handshake(), far),
        )
    assert "n2 does not speak TLS 1.3" in sentence_of(dialed)


async def test_plain_text_of_a_node(authority: Authority) -> None:
    """A node without certificates dials: it is told so in its own words."""
    async with connection() as (near, far):
        dialed, accepted = await together(
            outcome_of(dial, near, identity("n1"), "n2", admission()),
            outcome_of(secure_accepted, far, authority.issue("n2", "n2").credentials()),
        )
    assert "the dialing node speaks plain text, and the other side TLS" in sentence_of(accepted, RefusedPeer)
    assert sentence_of(dialed) == str(accepted)


async def test_plain_text_is_dialed(authority: Authority) -> None:
    async with connection() as (near, far):
        dialed, accepted = await together(
            outcome_of(secure_dialed, near, authority.issue("n1", "n1").credentials(), "n2"),
            outcome_of(lambda stream: answer(stream, identity("n2"), all_pass, admission()), far),
        )
    assert "n2 speaks plain text" in sentence_of(dialed)
    assert "the dialing node speaks TLS, and the other side plain text" in sentence_of(accepted)


async def test_plain_text_of_a_browser(authority: Authority) -> None:
    async with connection() as (near, far):
        await near.send(b"GET / HTTP/1.1\r\n\r\n")
        _, accepted = await together(
            closed_by_peer(near), outcome_of(secure_accepted, far, authority.issue("n2", "n2").credentials())
        )
    assert "the dialing node speaks plain text" in sentence_of(accepted, RefusedPeer)


async def test_connection_ends_in_the_middle(authority: Authority) -> None:
    credentials = authority.issue("n2", "n2").credentials()
    async with connection() as (near, far):
        await near.send(b"\x16\x03\x01\x02\x00\x01")
        await near.aclose()
        accepted = await outcome_of(secure_accepted, far, credentials)
    assert "ended the connection during the handshake of TLS" in sentence_of(accepted, HandshakeFailed)
    async with connection() as (near, far):
        await far.aclose()
        dialed = await outcome_of(secure_dialed, near, credentials, "n2")
    assert "n2 ended the connection" in sentence_of(dialed, HandshakeFailed)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\x07", "neither agrees nor refuses"),
        (b"\x02\xff\xff", "refuses in 65535 bytes"),
        (b"\x02\x00\x04ab", "ended"),
    ],
)
async def test_verdict_that_is_none(authority: Authority, said: bytes, words: str) -> None:
    files = authority.issue("n1", "n1")

    async def speak(stream: SocketStream) -> None:
        tls = TlsStream(stream, files.context(ssl.PROTOCOL_TLS_SERVER), server_side=True)
        await tls.handshake()
        await tls.send(said)
        await tls.aclose()

    async with connection() as (near, far):
        dialed, _ = await together(outcome_of(secure_dialed, near, files.credentials(), "n1"), speak(far))
    assert words in sentence_of(dialed, HandshakeFailed)


@pytest.mark.parametrize("fault", ["authority", "name"])
async def test_refusal_waits_to_be_read(authority: Authority, stranger: Authority, fault: str) -> None:
    """Whoever refuses lets the other side hang up, for half a second: a reset could overtake the reason."""
    files = stranger.issue("n1", "n1") if fault == "authority" else authority.issue("n1", "localhost")
    context = bare_context(ssl.PROTOCOL_TLS_CLIENT, authority.file)
    context.load_cert_chain(files.certificate, files.key)

    async with connection() as (near, far):
        start = anyio.current_time()
        _, accepted = await together(
            TlsStream(near, context, server_side=False).handshake(),
            outcome_of(secure_accepted, far, authority.issue("n2", "n2").credentials()),
        )
        assert anyio.current_time() - start >= 0.45
    sentence_of(accepted, RefusedPeer)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01"])
async def test_peer_that_stalls(authority: Authority, said: bytes) -> None:
    """The deadline of the caller ends it, on each side, and nothing is left behind."""
    credentials = authority.issue("n2", "n2").credentials()
    async with connection() as (near, far):
        await near.send(said)
        with anyio.move_on_after(0.1) as accepting, anyio.fail_after(3):
            await secure_accepted(far, credentials)
    async with connection() as (near, far):
        await far.send(said)
        with anyio.move_on_after(0.1) as dialing, anyio.fail_after(3):
            await secure_dialed(near, credentials, "n2")
    assert accepting.cancelled_caught
    assert dialing.cancelled_caught


async def test_peer_that_stalls_before_its_verdict(authority: Authority) -> None:
    files = authority.issue("n2", "n2")
    async with connection() as (near, far):
        tls = TlsStream(far, files.context(ssl.PROTOCOL_TLS_SERVER), server_side=True)
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(tls.handshake)
                with anyio.move_on_after(0.3) as dialing:
                    await secure_dialed(near, files.credentials(), "n2")
    assert dialing.cancelled_caught


async def test_secured_connection_ends(authority: Authority) -> None:
    credentials = authority.issue("n1", "n1").credentials()
    async with secured(credentials, credentials, "n1") as (one, other):
        await one.aclose()
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
        with pytest.raises(anyio.EndOfStream):
            await other.receive()
