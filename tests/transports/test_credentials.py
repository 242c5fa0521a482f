"""What a node proves itself with: contexts and files, also those that change; and a sentence for each that is wrong."""

import logging
import os
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSAttribute

from rafty_transports.credentials import LOOKS, Credentials, WrongCredentials
from tests.transports.tls_kit import CLIENT, SERVER, Authority, Files, bare_context, secured, together

pytestmark = pytest.mark.anyio


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """An authority of this test alone."""
    return Authority(tmp_path)


async def shown(dialing: Credentials, accepting: Credentials, peer: str = "n2") -> str:
    """The serial number of the certificate that the accepting side shows on a new connection."""
    async with secured(dialing, accepting, peer) as (one, _):
        certificate = one.extra(TLSAttribute.peer_certificate)
        assert one.extra(TLSAttribute.tls_version) == "TLSv1.3"
        assert certificate is not None
        return str(certificate["serialNumber"])


def put_in_place(new: Files, old: Files, *, certificate: bool = True, key: bool = True) -> None:
    """Replace files by others, each at once."""
    if certificate:
        os.replace(new.certificate, old.certificate)
    if key:
        os.replace(new.key, old.key)


async def test_replaced_certificate_is_used_by_the_next_connection(authority: Authority) -> None:
    one, files = authority.issue("n1", "n1").credentials(), authority.issue("n2", "n2")
    two = files.credentials()
    two.check_own("n2")
    first = await shown(one, two)
    async with secured(one, two, "n2") as (dialed, accepted):
        put_in_place(authority.issue("new", "n2"), files)
        second = await shown(one, two)
        assert second != first
        assert await shown(one, two) == second
        await dialed.send(b"still there")  # a connection that is there goes on
        assert await accepted.receive() == b"still there"


async def test_pair_that_is_half_replaced(authority: Authority, caplog: pytest.LogCaptureFixture) -> None:
    """A new certificate with the old key is not used, and said once; with its key it is."""
    one, files = authority.issue("n1", "n1").credentials(), authority.issue("n2", "n2")
    two = files.credentials()
    first = await shown(one, two)
    new = authority.issue("new", "n2")
    put_in_place(new, files, key=False)
    with caplog.at_level(logging.WARNING):
        assert [await shown(one, two) for _ in range(3)] == [first] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the certificates that were in use stay in use, since those on the disk are wrong: "
        f"{files.key} is not the key of the certificate {files.certificate}; give one pair"
    ]
    put_in_place(new, files, certificate=False)
    assert await shown(one, two) != first


def _other_authority(authority: Authority, files: Files) -> None:
    other = authority.directory / "other"
    other.mkdir()
    put_in_place(Authority(other, "another").issue("new", "n2"), files)


WRONG_REPLACEMENTS: dict[str, tuple[Callable[[Authority, Files], object], str]] = {
    "node": (
        lambda authority, files: put_in_place(authority.issue("new", "n3"), files),
        "is for n3, and this node is n2",
    ),
    "expired": (
        lambda authority, files: put_in_place(authority.issue("new", "n2", days=(-2, -1)), files),
        "has expired",
    ),
    "authority": (_other_authority, "is not signed by the authority"),
    "gone": (lambda _, files: files.certificate.unlink(), "no such file"),
    "garbage": (lambda _, files: files.key.write_text("half a k"), "holds no private key"),
    "cut": (lambda _, files: files.key.write_bytes(files.key.read_bytes()[:100]), "cannot be read as PEM"),
}


@pytest.mark.parametrize("wrong", WRONG_REPLACEMENTS)
async def test_wrong_replacement_is_not_used(
    authority: Authority, wrong: str, caplog: pytest.LogCaptureFixture
) -> None:
    one, files = authority.issue("n1", "n1").credentials(), authority.issue("n2", "n2")
    two = files.credentials()
    two.check_own("n2")
    first = await shown(one, two)
    replace, words = WRONG_REPLACEMENTS[wrong]
    replace(authority, files)
    with caplog.at_level(logging.WARNING):
        assert [await shown(one, two) for _ in range(2)] == [first] * 2
    assert len(caplog.records) == 1
    assert words in caplog.records[0].getMessage()


async def test_certificate_that_becomes_valid(authority: Authority) -> None:
    """What was wrong may be right later, though no file has changed."""
    one, files = authority.issue("n1", "n1").credentials(), authority.issue("n2", "n2")
    two = files.credentials()
    first = await shown(one, two)
    begins = time.time() + 2
    put_in_place(authority.issue("new", "n2", days=(3 / 86400, 1)), files)
    assert await shown(one, two) == first
    with anyio.fail_after(10):
        while await shown(one, two) == first:
            await anyio.sleep(0.1)
    assert time.time() > begins - 1


async def test_authority_that_is_replaced(authority: Authority, tmp_path: Path) -> None:
    """Both authorities in one file for a while, then the new one alone: the way to change it without a pause."""
    one, two = authority.issue("n1", "n1"), authority.issue("n2", "n2")
    dialing, accepting = one.credentials(), two.credentials()
    (tmp_path / "next").mkdir()
    other = Authority(tmp_path / "next", "another")
    authority.file.write_bytes(authority.file.read_bytes() + other.file.read_bytes())
    before = await shown(dialing, accepting)
    put_in_place(other.issue("n1", "n1"), one)
    put_in_place(other.issue("n2", "n2"), two)
    assert await shown(dialing, accepting) != before
    authority.file.write_bytes(other.file.read_bytes())
    await shown(dialing, accepting)


def looking() -> int:
    """How many threads look at files now."""
    return sum(thread.name == "rafty _look" for thread in threading.enumerate())


async def test_disk_that_hangs(authority: Authority) -> None:
    """Connections go on with what is known, and only a few threads are left waiting."""
    files = authority.issue("n2", "n2")
    credentials = files.credentials()
    spare = authority.directory / "spare"
    os.rename(files.certificate, spare)
    os.mkfifo(files.certificate)  # to open it is to wait until somebody writes
    start = time.monotonic()
    known = await together(*[credentials.contexts() for _ in range(3 * LOOKS)])
    assert known == [credentials._contexts] * 3 * LOOKS
    assert time.monotonic() - start < 3
    assert looking() == LOOKS
    hung = authority.directory / "hung"
    os.rename(files.certificate, hung)
    os.rename(spare, files.certificate)
    os.close(os.open(hung, os.O_WRONLY))
    with anyio.fail_after(8):
        while looking():
            await anyio.sleep(0.01)
    put_in_place(authority.issue("new", "n2"), files)
    assert await credentials.contexts() != known[0]


@pytest.mark.parametrize(
    ("names", "days", "purposes", "words"),
    [
        (("n3", "n4"), (-1, 1), (SERVER, CLIENT), "is for n3, n4, and this node is n2; give it one of its own"),
        (("localhost",), (-1, 1), (SERVER, CLIENT), "is for nobody, and this node is n2"),
        (("n2",), (-2, -1), (SERVER, CLIENT), "has expired"),
        (("n2",), (1, 2), (SERVER, CLIENT), "is not valid yet"),
        (("n2",), (-1, 1), (SERVER,), "is not made for this use"),
        (("n2",), (-1, 1), (CLIENT,), "is not made for this use"),
    ],
)
def test_own_certificate_is_wrong(
    authority: Authority, names: tuple[str, ...], days: tuple[float, float], purposes: tuple[object, ...], words: str
) -> None:
    credentials = authority.issue("own", *names, days=days, purposes=purposes).credentials()  # type: ignore[arg-type]
    with pytest.raises(WrongCredentials, match=words) as raised:
        credentials.check_own("n2")
    assert str(raised.value).startswith(f"the certificate {authority.directory / 'own.pem'} ")
    assert "\n" not in str(raised.value)


def test_own_certificate_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    theirs = Authority(tmp_path / "other", "another").issue("n2", "n2")
    credentials = Files(theirs.certificate, theirs.key, authority.file).credentials()
    with pytest.raises(WrongCredentials, match="is not signed by the authority of this node"):
        credentials.check_own("n2")


def test_authority_beneath_another(tmp_path: Path) -> None:
    """It may stand alone, and then only its own certificates are good; or stand behind the certificate."""
    root = Authority(tmp_path, "root")
    middle = Authority(tmp_path, "middle", parent=root)
    files = middle.issue("n2", "n2")
    files.credentials().check_own("n2")
    beneath = Files(files.certificate, files.key, root.file)
    with pytest.raises(WrongCredentials, match="is not signed by the authority of this node"):
        beneath.credentials().check_own("n2")
    files.certificate.write_bytes(files.certificate.read_bytes() + middle.file.read_bytes())
    beneath.credentials().check_own("n2")


def test_own_certificate_is_right(authority: Authority) -> None:
    authority.issue("n2", "n2").credentials().check_own("n2")
    files = authority.issue("n3", common="n3")
    files.credentials().check_own("n3")
    server, client = files.context(ssl.PROTOCOL_TLS_SERVER), files.context(ssl.PROTOCOL_TLS_CLIENT)
    Credentials(server, client).check_own("n3")
    with pytest.raises(WrongCredentials, match="the certificate of a context is for n3, and this node is n2"):
        Credentials(server, client).check_own("n2")


ENCRYPTED = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("certificate", None, "the certificate .* cannot be read: no such file or directory"),
        ("key", None, "the private key .* cannot be read"),
        ("authority", None, "the certificate of an authority .* cannot be read"),
        ("certificate", "nothing", "holds no certificate in PEM"),
        ("key", "nothing", "holds no private key in PEM"),
        ("authority", "nothing", "holds no certificate of an authority in PEM"),
        ("key", ENCRYPTED, "is encrypted"),
        ("certificate", "-----BEGIN CERTIFICATE-----\nAAAA", "cannot be read as PEM"),
        ("authority", "-----BEGIN CERTIFICATE-----\nAAAA", "the authority .* cannot be read as PEM"),
    ],
)
def test_file_that_cannot_be_used(authority: Authority, file: str, content: str | None, words: str) -> None:
    files = authority.issue("n2", "n2")
    path: Path = getattr(files, file)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(WrongCredentials, match=words) as raised:
        files.credentials()
    assert "\n" not in str(raised.value)


def test_key_of_another_certificate(authority: Authority) -> None:
    one, two = authority.issue("n1", "n1"), authority.issue("n2", "n2")
    with pytest.raises(WrongCredentials, match=r"n2-key.pem is not the key of the certificate .*n1.pem"):
        Credentials.from_files(one.certificate, two.key, authority.file)


def _loosen(context: ssl.SSLContext) -> None:
    context.verify_mode = ssl.CERT_OPTIONAL


def _age(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2


def _stop_short(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED


def _ask_later(context: ssl.SSLContext) -> None:
    context.post_handshake_auth = True


def _check_names(context: ssl.SSLContext) -> None:
    context.check_hostname = True


@pytest.mark.parametrize(
    ("change", "ends", "words"),
    [
        (_loosen, "server client", "does without a certificate of the other side"),
        (_ask_later, "server", "does without a certificate of the other side"),
        (_age, "server client", "speaks an older TLS than 1.3"),
        (_stop_short, "server client", "speaks an older TLS than 1.3"),
        (_check_names, "client", "checks host names"),
    ],
)
def test_context_that_cannot_be_used(
    authority: Authority, change: Callable[[ssl.SSLContext], None], ends: str, words: str
) -> None:
    for end in ends.split():
        contexts = [bare_context(kind, authority.file) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)]
        Credentials(contexts[0], contexts[1])
        change(contexts[0 if end == "server" else 1])
        name = "accepting" if end == "server" else "dialing"
        with pytest.raises(WrongCredentials, match=f"the {name} context {words}"):
            Credentials(contexts[0], contexts[1])


def test_contexts_the_wrong_way_round(authority: Authority) -> None:
    server, client = (bare_context(kind, authority.file) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(WrongCredentials, match="the accepting context is not for a server"):
        Credentials(client, client)
    with pytest.raises(WrongCredentials, match="the dialing context is not for a client"):
        Credentials(server, server)


def test_context_that_is_not_of_this_kind_of_keys(authority: Authority) -> None:
    """A context without any certificate is found out when a node meets itself."""
    server, client = (bare_context(kind, authority.file) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(WrongCredentials, match=r"cannot be used for TLS 1\.3"):
        Credentials(server, client).check_own("n2")
