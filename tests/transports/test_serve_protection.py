"""`rafty serve`: what may be plain text, what a certificate asks for, and how clients are served by TLS."""

import argparse
import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from rafty_transports import serve
from rafty_transports.certs import make
from rafty_transports.exits import WrongInput
from rafty_transports.security import Credentials
from rafty_transports.serve import Settings
from rafty_transports.serve_arguments import add_serve, run_serve

FAR = "192.0.2.1"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of n1 and n2."""
    directory = tmp_path_factory.mktemp("certificates") / "all"
    make(directory, ["n1", "n2"], 1)
    return directory


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """With which settings a node would have been started; none is."""
    settings: list[Settings] = []

    def run(given: Settings) -> int:
        settings.append(given)
        return 0

    monkeypatch.setattr(serve, "run", run)
    return settings


def start(*options: str, cluster: str = "", listen: str = "", client: str = "127.0.0.1:7009") -> None:
    """`rafty serve` for n1 with these options."""
    parser = argparse.ArgumentParser()
    add_serve(parser)
    given = ["--id", "n1", "--data", "data", "--client", client, *options]
    given += ["--cluster", cluster] * bool(cluster) + ["--listen", listen] * bool(listen)
    run_serve(parser.parse_args(given))


def with_certificate(certificates: Path, *more: str) -> list[str]:
    """What gives n1 its certificate."""
    files = {"cert": "n1.pem", "key": "n1-key.pem", "ca": "ca.pem"}
    return [part for name, file in files.items() for part in (f"--tls-{name}", str(certificates / file))] + [*more]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"listen": f"{FAR}:7001"}, f"--listen {FAR}:7001 can be reached"),
        ({"listen": f"127.0.0.1:7001,ws://{FAR}:7002"}, f"--listen ws://{FAR}:7002 can be reached"),
        ({"cluster": f"n1={FAR}:7001"}, f"--listen {FAR}:7001 can be reached"),
        ({"listen": "127.0.0.1:7001", "client": f"{FAR}:7009"}, "give --client-tls"),
    ],
)
def test_plain_text_is_for_this_machine_alone(options: dict[str, str], words: str, begun: list[Settings]) -> None:
    with pytest.raises(WrongInput, match=words):
        start(**options)
    assert begun == []
    start("--insecure", **options)
    assert begun[0].credentials is None


def test_with_a_certificate_nodes_and_clients_may_be_anywhere(certificates: Path, begun: list[Settings]) -> None:
    options = {"listen": f"{FAR}:7001,wss://{FAR}:7002", "client": f"{FAR}:7009"}
    with pytest.raises(WrongInput, match=r"--client .* can be reached from other machines"):
        start(*with_certificate(certificates), **options)
    assert begun == []
    start(*with_certificate(certificates, "--client-tls"), **options)
    assert begun[0].client_tls
    assert begun[0].credentials == tuple(str(certificates / name) for name in ("n1.pem", "n1-key.pem", "ca.pem"))


@pytest.mark.parametrize("place", ["listen", "advertise", "cluster"])
def test_every_address_speaks_as_the_certificate_wants_it(
    place: str, certificates: Path, begun: list[Settings]
) -> None:
    for plain in ("tcp", "ws"):
        secured = {"tcp": "tls", "ws": "wss"}[plain]
        for scheme, given, words in (
            (
                plain,
                with_certificate(certificates),
                f"is plain text, and this node has a certificate; use {secured}://",
            ),
            (secured, [], "is encrypted, and this node has no certificate"),
        ):
            odd = f"{scheme}://127.0.0.1:7002"
            cluster = f"n1=127.0.0.1:7001,n2={odd}" if place == "cluster" else ""
            listen = "" if cluster else f"127.0.0.1:7001,{odd}" if place == "listen" else "127.0.0.1:7001"
            more = ["--advertise", odd] if place == "advertise" else []
            with pytest.raises(WrongInput, match=words):
                start(*given, *more, cluster=cluster, listen=listen)
    assert begun == []


@pytest.mark.parametrize("given", [["cert"], ["key"], ["ca"], ["cert", "key"], ["cert", "ca"], ["key", "ca"]])
def test_files_of_a_certificate_belong_together(given: list[str], begun: list[Settings]) -> None:
    with pytest.raises(WrongInput, match="belong together; give all three, or none"):
        start(*(part for name in given for part in (f"--tls-{name}", "file")), listen="127.0.0.1:7001")
    assert begun == []


def test_clients_are_served_by_tls_with_a_certificate_only(begun: list[Settings]) -> None:
    with pytest.raises(WrongInput, match="--client-tls needs a certificate"):
        start("--client-tls", listen="127.0.0.1:7001")
    assert begun == []


def settings(certificates: Path, **changed: object) -> Settings:
    """Settings of n1."""
    files = tuple(str(certificates / name) for name in ("n1.pem", "n1-key.pem", "ca.pem"))
    plain = Settings(node_id="n1", cluster={}, data="data", client="127.0.0.1:1", listen=(), client_tls=True)
    return replace(plain, credentials=files, **changed)  # type: ignore[arg-type]


def test_a_certificate_that_is_another_nodes_is_refused_and_none_is_none(certificates: Path) -> None:
    assert isinstance(serve._credentials(settings(certificates)), Credentials)
    with pytest.raises(WrongInput, match="is for n1, and this node is n2"):
        serve._credentials(replace(settings(certificates), node_id="n2"))
    with pytest.raises(WrongInput, match="cannot be read"):
        serve._credentials(settings(certificates / "nowhere"))
    assert serve._credentials(replace(settings(certificates), credentials=None)) is None


def test_clients_without_a_password_show_a_certificate(certificates: Path) -> None:
    for password, mode in ((None, ssl.CERT_REQUIRED), ("secret", ssl.CERT_NONE)):
        wanted = settings(certificates, password=password)
        context = serve._for_clients(wanted, serve._credentials(wanted))
        assert context is not None
        assert context.verify_mode == mode
        assert context.current.minimum_version == ssl.TLSVersion.TLSv1_2
        assert serve._for_clients(replace(wanted, client_tls=False), serve._credentials(wanted)) is None
        assert serve._for_clients(wanted, None) is None


def shown_by(context: ssl.SSLContext, *, shows: Path | None = None) -> bytes | None:
    """The certificate that a client of this context sees, who shows that of n1 of this directory; None if it fails."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    if shows is not None:
        client_context.load_cert_chain(shows / "n1.pem", shows / "n1-key.pem")
    client, server = client_context.wrap_bio(down, up), context.wrap_bio(up, down, server_side=True)
    for end in (client, server, client, server):
        try:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
        except ssl.SSLError:
            return None
    return client.getpeercert(binary_form=True)


def certificate_in(directory: Path) -> bytes:
    """The certificate of n1 in this directory."""
    text = (directory / "n1.pem").read_text()
    end = "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(text[: text.index(end) + len(end)])


def test_a_client_shows_a_certificate_of_the_same_authority(certificates: Path, tmp_path: Path) -> None:
    make(tmp_path / "others", ["n1"], 1)
    wanted = settings(certificates)
    context = serve._for_clients(wanted, serve._credentials(wanted))
    assert context is not None
    assert shown_by(context.current, shows=certificates) == certificate_in(certificates)
    for shows in (None, tmp_path / "others"):
        assert shown_by(context.current, shows=shows) is None


@pytest.mark.anyio
async def test_a_certificate_that_is_replaced_is_shown_to_clients_too(tmp_path: Path) -> None:
    make(tmp_path / "now", ["n1"], 1)
    make(tmp_path / "later", ["n1"], 1)
    wanted = settings(tmp_path / "now", password="secret")
    credentials = serve._credentials(wanted)
    context = serve._for_clients(wanted, credentials)
    assert credentials is not None
    assert context is not None
    assert shown_by(context.current) == certificate_in(tmp_path / "now")
    for file in (tmp_path / "later").iterdir():
        (tmp_path / "now" / file.name).write_bytes(file.read_bytes())
    await credentials.contexts()
    assert shown_by(context.current) == certificate_in(tmp_path / "later")


def test_contexts_of_ones_own_are_none_for_clients() -> None:
    accepting, dialing = (ssl.SSLContext(end) for end in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT))
    for context in (accepting, dialing):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
    with pytest.raises(ValueError, match="give the service one of yours"):
        Credentials(accepting, dialing).for_clients(certificate_required=True)
