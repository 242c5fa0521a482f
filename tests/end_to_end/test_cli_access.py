"""How the command line comes to nodes: passwords, the user admin, TLS; and what it says where it is not let in."""

import argparse
import os
import subprocess
from functools import partial
from pathlib import Path

import anyio
import pytest

from rafty_transports.argument_types import password_file
from rafty_transports.demo_cluster import free_ports
from rafty_transports.service import RespServer
from tests.end_to_end import forks
from tests.end_to_end.cluster import Cluster, wait_until
from tests.end_to_end.test_bad_input import check_refused, serve_arguments
from tests.end_to_end.test_cli_commands import rafty
from tests.transports.service_kit import OneReplica, serving
from tests.transports.test_administration import AdministeredReplica, administered

pytest.importorskip("cryptography", reason="certificates for the tests are made with cryptography")

from tests.transports.client_certificates import Authority

ROOT = Path(__file__).parents[2]
NOBODY = "127.0.0.1:1"


async def asked(*arguments: str, **environment: str) -> tuple[int, str, str]:
    """The exit code of `rafty` with these arguments, and what it prints."""
    run = partial(forks.run, *arguments, environment={**os.environ, **environment})
    done = await anyio.to_thread.run_sync(run)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def administered_service(**options: str) -> tuple[AdministeredReplica, RespServer]:
    node = AdministeredReplica()
    return node, serving(node, "127.0.0.1:0", administration=administered(node), **options)


@pytest.mark.anyio
async def test_commands_that_administer_use_the_password_of_the_administrator(tmp_path: Path) -> None:
    node, service = administered_service(password="secret", admin_password="master")
    add = ("add", "n4", "127.0.0.1:7004", "--learner")
    async with service as server:
        where = ("--nodes", server.address, "--timeout", "5")
        for command in (add, ("transfer",), ("snapshot",), ("backup", str(tmp_path / "file"))):
            code, _, said = await asked(*command, *where, RAFTY_PASSWORD="secret")
            assert (code, said.count("\n")) == (2, 1), said
            assert "this command is for the user admin; give RAFTY_ADMIN_PASSWORD" in said
        code, _, said = await asked(*add, *where, RAFTY_PASSWORD="secret", RAFTY_ADMIN_PASSWORD="guess")
        assert code == 2
        assert "give the right RAFTY_ADMIN_PASSWORD" in said
        assert node.asked == []
        assert await asked(*add, *where, RAFTY_PASSWORD="guess", RAFTY_ADMIN_PASSWORD="master") == (0, "OK\n", "")
        assert len(node.asked) == 1


@pytest.mark.anyio
async def test_snapshots_of_which_one_is_taken_and_one_refused() -> None:
    """Something was changed, so that this is no longer wrong input of which nothing came."""
    _, open_to_all = administered_service()
    _, closed = administered_service(password="secret", admin_password="master")
    async with open_to_all as one, closed as other:
        code, printed, said = await asked("snapshot", "--nodes", f"{one.address},{other.address}")
        assert (code, printed.split(" has ")[0]) == (1, one.address)
        assert said == f"rafty: {other.address} refuses: authentication required; give the right RAFTY_PASSWORD\n"
        code, printed, _ = await asked("snapshot", "--nodes", f"{other.address},{one.address}")
        assert (code, printed) == (2, "")


@pytest.mark.anyio
async def test_commands_that_read_do_not_use_the_password_of_the_administrator() -> None:
    _, service = administered_service(password="secret", admin_password="master")
    async with service as server:
        for command in (("get", "a"), ("members",)):
            code, printed, said = await asked(*command, "--nodes", server.address, RAFTY_ADMIN_PASSWORD="master")
            assert (code, printed) == (2, "")
            assert said == f"rafty: {server.address} refuses: authentication required; give the right RAFTY_PASSWORD\n"
        code, printed, said = await asked("status", "--nodes", server.address)
        assert (code, said) == (1, "")
        assert printed.endswith(f"{server.address}  refuses: authentication required; give the right RAFTY_PASSWORD\n")
        code, printed, said = await asked("members", "--nodes", server.address, RAFTY_PASSWORD="secret")
        assert code == 0, said


@pytest.mark.anyio
async def test_password_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"two words\r\n")
    async with serving(OneReplica(), password="two words") as server:
        code, printed, _ = await asked("put", "a", "1", "--nodes", server.address, "--password-file", str(file))
        assert (code, printed) == (0, "OK\n")


@pytest.mark.anyio
async def test_tls_by_option_and_by_environment(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.sign("client"))
    ca = str(authority.certificate)
    async with serving(OneReplica(), tls=authority.server_context("127.0.0.1", clients=True)) as server:
        shown = ("--nodes", server.address, "--tls-cert", certificate, "--tls-key", key)
        assert await asked("put", "a", "1", *shown, "--tls-ca", ca) == (0, "OK\n", "")
        assert await asked("get", "a", *shown, RAFTY_TLS_CA=ca) == (0, "1\n", "")
        code, _, said = await asked("put", "a", "2", "--nodes", server.address, "--tls-ca", ca)
        assert code == 1  # nothing was changed, and the command knows it
        assert said.startswith("rafty: nothing was changed: ")
        code, _, said = await asked("put", "a", "2", "--nodes", server.address)
        assert code == 2
        assert "this port speaks TLS" in said
    async with serving(OneReplica(), tls=authority.server_context("n1")) as server:
        where = ("--nodes", server.address, "--tls-ca", ca)
        code, _, said = await asked("put", "a", "1", *where)
        assert (code, "is not trusted: IP address mismatch" in said) == (1, True), said
        assert await asked("put", "a", "1", *where, "--tls-any-name") == (0, "OK\n", "")


def test_cluster_whose_administration_is_apart(tmp_path: Path) -> None:
    """`rafty serve` with both passwords in files: a member is added by the administrator alone."""
    (tmp_path / "admin").write_text("master\n")
    (tmp_path / "secret").write_text("secret\n")
    options = ("--password-file", str(tmp_path / "secret"), "--admin-password-file", str(tmp_path / "admin"))
    with Cluster(1, tmp_path, options=options, idle=True) as cluster:
        cluster.start()
        wait_until(lambda: "n1 leads" in cluster.nodes["n1"].tail(), "n1 leads")
        nodes = ",".join(cluster.clients)
        assert rafty("put", "key", "value", "--nodes", nodes, RAFTY_PASSWORD="secret").returncode == 0
        add = ("add", "n2", f"127.0.0.1:{free_ports(1)[0]}", "--learner", "--nodes", nodes, "--timeout", "3")
        done = rafty(*add, RAFTY_PASSWORD="secret")
        assert done.returncode == 2
        assert b"this command is for the user admin" in done.stderr
        snapshot = ("snapshot", "--nodes", nodes)
        assert rafty(*snapshot, RAFTY_PASSWORD="secret").returncode != 0
        assert rafty(*snapshot, RAFTY_ADMIN_PASSWORD="master").returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: no such file or directory; give a file with a password"),
        (b"", "does not hold a password; write it there as one line of 1 to 1024 bytes"),
        (b"\n", "does not hold a password"),
        (b"one\ntwo\n", "does not hold a password"),
        (b"x" * 1025, "does not hold a password"),
    ],
)
def test_file_without_a_password(tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(argparse.ArgumentTypeError, match=words):
        password_file(str(file))


@pytest.mark.parametrize("content", [b"a b ", b"x" * 1024, b"p\xff"])
def test_file_with_a_password_is_its_one_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "password"
    for end in (b"", b"\n", b"\r\n"):
        file.write_bytes(content + end)
        assert password_file(str(file)).encode("utf-8", "surrogateescape") == content


def test_passwords_of_serve_without_sense(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b"secret")
    for changed, words in (
        ({"password": "secret", "password_file": str(file)}, "two passwords; give one of them"),
        ({"password": "secret", "admin_password_file": str(file)}, "give it one of its own"),
        ({"password": ""}, "a password is empty"),
        ({"admin_password_file": str(tmp_path / "nothing")}, "nothing cannot be read: no such file"),
        ({"protected_mode": "maybe"}, "protected-mode"),
    ):
        check_refused(tmp_path, serve_arguments(tmp_path / "data", **changed), words)


def test_tls_options_without_sense(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.sign("client"))
    ca, other = str(authority.certificate), str(Authority(tmp_path, "other").sign("third")[1])
    (tmp_path / "text").write_text("no certificate")
    text = str(tmp_path / "text")
    for options, words in (
        (("--tls-cert", certificate, "--tls-key", key), "--tls-cert is for TLS; give --tls-ca too"),
        (("--tls-any-name",), "--tls-any-name is for TLS; give --tls-ca too"),
        (("--tls-ca", ca, "--tls-cert", certificate), "--tls-cert and --tls-key belong together"),
        (("--tls-ca", str(tmp_path / "nothing")), "nothing cannot be used: no such file or directory"),
        (("--tls-ca", text), "text is not an authority's certificate in PEM; give the right file"),
        (("--tls-ca", ca, "--tls-cert", certificate, "--tls-key", other), "to which the key in"),
        (("--tls-ca", ca, "--tls-cert", text, "--tls-key", key), "text is not a certificate in PEM"),
    ):
        check_refused(tmp_path, ["get", "a", "--nodes", NOBODY, *options], words)


def test_encrypted_key_is_refused_and_nobody_is_asked_for_its_passphrase(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = map(str, authority.sign("client"))
    locked = str(tmp_path / "locked.pem")
    subprocess.run(
        ("openssl", "ec", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked), check=True, capture_output=True
    )
    options = ("--tls-ca", str(authority.certificate), "--tls-cert", certificate, "--tls-key", locked)
    check_refused(tmp_path, ["get", "a", "--nodes", NOBODY, *options], "the key is encrypted")
