"""`rafty certs`: what it makes proves a node to another, and it overwrites nothing that it should not."""

import shutil
import ssl
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from cryptography import x509

from rafty_transports.security import Credentials, WrongCredentials
from rafty_transports.tls_stream import TlsStream
from tests.end_to_end.test_bad_input import ROOT, check_refused, rafty, snapshot
from tests.transports.tls_kit import Authority, meet, secured

NODES = ("n1", "n2", "n3")


def make(directory: Path, *arguments: str, nodes: str = ",".join(NODES)) -> str:
    """Run `rafty certs`; what it prints."""
    done = rafty("certs", "--dir", str(directory), "--nodes", nodes, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def credentials(directory: Path, node_id: str) -> Credentials:
    """What a node would load."""
    return Credentials.from_files(directory / f"{node_id}.pem", directory / f"{node_id}-key.pem", directory / "ca.pem")


def certificate(directory: Path, name: str) -> x509.Certificate:
    """The certificate of this name."""
    return x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with certificates of three nodes; not to be changed."""
    directory = tmp_path_factory.mktemp("certs") / "tls"
    make(directory)
    return directory


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A directory with certificates of three nodes, for this test alone."""
    return Path(shutil.copytree(made, tmp_path / "tls"))


@pytest.mark.anyio
async def test_nodes_know_each_other(made: Path) -> None:
    nodes = {node_id: credentials(made, node_id) for node_id in NODES}
    for node_id, own in nodes.items():
        own.check_own(node_id)
    with pytest.raises(WrongCredentials):
        nodes["n1"].check_own("n2")
    async with secured(nodes["n1"], nodes["n2"], "n2") as (one, other):
        await one.send(b"hello")
        assert await other.receive() == b"hello"
    dialed, accepted = await meet(nodes["n1"], nodes["n2"], "n3")
    assert isinstance(dialed, Exception)
    assert isinstance(accepted, Exception)


def test_files(made: Path) -> None:
    names = sorted(path.name for path in made.iterdir())
    assert names == sorted(f"{name}{end}.pem" for name in ("ca", *NODES) for end in ("", "-key"))
    for path in made.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == 0o600 if path.stem.endswith("-key") else mode & 0o400
    assert stat.S_IMODE(made.stat().st_mode) == 0o700


def test_keys_are_closed_whatever_the_umask(tmp_path: Path) -> None:
    command = f"umask 0; {sys.executable} -m rafty_transports certs --dir {tmp_path}/tls --nodes n1"
    subprocess.run(command, shell=True, check=True, cwd=ROOT, capture_output=True, timeout=20)
    for path in (tmp_path / "tls").glob("*-key.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_openssl_verifies_strictly(made: Path) -> None:
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(made / "ca.pem")]
        done = subprocess.run([*command, str(made / "n1.pem")], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0, done


def test_content_of_a_certificate(made: Path) -> None:
    """It is good for a year, and names the node and the loopback addresses, which host names of clients are."""
    found = certificate(made, "n1")
    alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == ["n1", "localhost"]
    assert [str(address) for address in alternative.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert timedelta(days=364) < found.not_valid_after_utc - datetime.now(UTC) < timedelta(days=366)
    assert found.not_valid_before_utc < datetime.now(UTC) - timedelta(minutes=30)  # clocks differ
    assert found.signature_hash_algorithm is not None
    authority = certificate(made, "ca")
    assert authority.not_valid_after_utc - datetime.now(UTC) > timedelta(days=3649)
    found.verify_directly_issued_by(authority)


@pytest.mark.anyio
async def test_client_that_checks_the_host_name(made: Path) -> None:
    """As clients of Redis do, with the standard contexts of `ssl`."""
    context = ssl.create_default_context(cafile=str(made / "ca.pem"))
    context.load_cert_chain(made / "n2.pem", made / "n2-key.pem")
    server = (await credentials(made, "n1").contexts())[0]
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def serve(stream: anyio.abc.SocketStream) -> None:
        tls = TlsStream(stream, server, server_side=True)
        await tls.handshake()
        await tls.send(b"hello")
        await tls.aclose()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        for host in ("127.0.0.1", "localhost"):
            async with await anyio.connect_tcp(
                "127.0.0.1", port, tls=True, tls_hostname=host, ssl_context=context
            ) as client:
                assert await client.receive() == b"hello"
        tasks.cancel_scope.cancel()


def test_what_is_printed_can_be_given(tmp_path: Path) -> None:
    directory = tmp_path / "a place"
    printed = make(directory, nodes="n1")
    line = next(line for line in printed.splitlines() if "--tls-cert" in line)
    assert line.strip() == (
        f"n1: --tls-cert '{directory}/n1.pem' --tls-key '{directory}/n1-key.pem' --tls-ca '{directory}/ca.pem'"
    )
    assert "a new authority" in printed
    assert "ca-key.pem" in printed


def test_another_node_of_the_same_authority(copied: Path) -> None:
    before = snapshot(copied)
    printed = make(copied, nodes="n4")
    assert "the authority" in printed
    after = snapshot(copied)
    assert {name for name in after if name not in before} == {f"{copied}/n4.pem", f"{copied}/n4-key.pem"}
    assert {name: content for name, content in after.items() if name in before and name != str(copied)} == {
        name: content for name, content in before.items() if name != str(copied)
    }
    credentials(copied, "n4").check_own("n4")


def test_certificates_are_replaced_by_force(copied: Path) -> None:
    """Those of nodes that are named, and never the authority."""
    before = snapshot(copied)
    make(copied, "--force", "--days", "10", nodes="n1")
    after = snapshot(copied)
    changed = {name for name in after if after[name] != before.get(name)} - {str(copied)}
    assert changed == {f"{copied}/n1.pem", f"{copied}/n1-key.pem"}
    credentials(copied, "n1").check_own("n1")
    assert stat.S_IMODE((copied / "n1-key.pem").stat().st_mode) == 0o600
    assert certificate(copied, "n1").not_valid_after_utc < datetime.now(UTC) + timedelta(days=11)


@pytest.mark.parametrize("there", ["n2.pem", "n2-key.pem"])
def test_nothing_is_overwritten(copied: Path, there: str) -> None:
    for path in copied.glob("n*.pem"):
        if path.name != there:
            path.unlink()
    check_refused(
        copied,
        ["certs", "--dir", str(copied), "--nodes", "n1,n2"],
        f"{there} is there already",
        "leave out n2",
        "--force",
    )


def test_authority_that_is_half_there(copied: Path) -> None:
    arguments = ["certs", "--dir", str(copied), "--nodes", "n4", "--force"]
    key = (copied / "ca-key.pem").read_bytes()
    (copied / "ca-key.pem").unlink()
    check_refused(copied, arguments, "ca.pem is there without ca-key.pem")
    (copied / "ca-key.pem").write_bytes(key)
    (copied / "ca.pem").unlink()
    check_refused(copied, arguments, "ca-key.pem is there without ca.pem")


def test_authority_that_is_none(copied: Path) -> None:
    arguments = ["certs", "--dir", str(copied), "--nodes", "n4"]
    shutil.copy(copied / "n1-key.pem", copied / "ca-key.pem")
    check_refused(copied, arguments, "ca-key.pem is not the key of ca.pem")
    shutil.copy(copied / "n1.pem", copied / "ca.pem")
    check_refused(copied, arguments, "is no authority")
    (copied / "ca.pem").write_text("nothing")
    check_refused(copied, arguments, "no certificate and bare key in PEM")


def test_authority_whose_time_is_short(tmp_path: Path) -> None:
    """A certificate that outlives its authority is good for nothing then."""
    Authority(tmp_path, "ca", days=(-1, 10.5), keep_key=True)
    arguments = ["certs", "--dir", str(tmp_path), "--nodes", "n1"]
    check_refused(tmp_path, [*arguments, "--days", "11"], "--days 11 is longer", "give at most 10")
    make(tmp_path, "--days", "10", nodes="n1")
    expired = tmp_path / "expired"
    expired.mkdir()
    Authority(expired, "ca", days=(-2, -1), keep_key=True)
    check_refused(expired, ["certs", "--dir", str(expired), "--nodes", "n1"], "has expired")


def test_new_authority_is_good_for_as_long_as_is_asked(tmp_path: Path) -> None:
    make(tmp_path / "tls", "--days", "5000", nodes="n1")
    assert (
        certificate(tmp_path / "tls", "ca").not_valid_after_utc
        > certificate(tmp_path / "tls", "n1").not_valid_after_utc
    )


@pytest.mark.parametrize(
    ("nodes", "days", "words"),
    [
        ("n1,n1", "1", ["n1 is named twice"]),
        ("n1,,n2", "1", ["a node id is a name of 1 to 64 characters"]),
        ("n 1", "1", ["printable ASCII characters only"]),
        ("../n1", "1", ["../n1 is no name of a file"]),
        (".n1", "1", ["is no name of a file"]),
        ("ca", "1", ["the files of ca would be those of the authority"]),
        ("ca-key", "1", ["the files of ca-key would be those of the authority"]),
        ("n1,n1-key", "1", ["the files of n1-key would be those"]),
        ("localhost", "1", ["localhost is every host"]),
        ("n1", "0", ["'0' is no number of days"]),
        ("n1", "36501", ["'36501' is no number of days", "36500"]),
        ("n1", "a year", ["'a year' is no number of days"]),
    ],
)
def test_arguments_without_sense(tmp_path: Path, nodes: str, days: str, words: list[str]) -> None:
    arguments = ["certs", f"--dir={tmp_path / 'tls'}", f"--nodes={nodes}", f"--days={days}"]
    check_refused(tmp_path, arguments, *words)


def test_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    check_refused(tmp_path, ["certs", "--dir", str(tmp_path / "file"), "--nodes", "n1"], "is no directory")
    check_refused(tmp_path, ["certs", "--dir", str(tmp_path / "a" / "b"), "--nodes", "n1"], "its parent is not there")
    check_refused(tmp_path, ["certs", "--nodes", "n1"], "required: --dir")


def test_file_that_cannot_be_written(copied: Path) -> None:
    (copied / "n4-key.pem.new").mkdir()
    check_refused(copied, ["certs", "--dir", str(copied), "--nodes", "n4"], "n4-key.pem.new cannot be", "another --dir")


def test_library_that_is_not_installed(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from rafty_transports.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "certs", "--dir", str(tmp_path / "tls"), "--nodes", "n1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=20)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "rafty: certificates are made with the library cryptography, which is not installed; install it "
        "(`pip install 'rafty[certs]'`)\n"
    )
    assert list(tmp_path.iterdir()) == []
