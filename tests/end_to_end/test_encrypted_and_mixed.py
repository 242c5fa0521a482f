"""One cluster whose nodes differ in all that is below the protocol: event loop, TCP or WebSocket, encrypted or not."""

import socket
import subprocess
from pathlib import Path

import pytest
import redis

from rafty_transports.certs import make
from tests.end_to_end.cluster import Cluster, Writer, check_present, wait_for_progress, wait_until
from tests.end_to_end.test_bad_input import check_refused, rafty, serve_arguments


def tls_options(certificates: Path, *more: str) -> tuple[str, ...]:
    """What gives each node of a cluster its certificate."""
    files = {"cert": "{id}.pem", "key": "{id}-key.pem", "ca": "ca.pem"}
    return (*(part for name, file in files.items() for part in (f"--tls-{name}", str(certificates / file))), *more)


def peer_lines(status: str) -> dict[str, str]:
    """The lines "name:value" of RAFTY STATUS."""
    return {name: value for name, _, value in (line.partition(":") for line in status.splitlines())}


def test_writes_survive_the_leader_of_a_plain_cluster_of_tcp_and_websocket(tmp_path: Path) -> None:
    with Cluster(3, tmp_path, backends=("asyncio", "trio"), schemes=("ws://", "", "ws://")) as cluster:
        cluster.wait_for_leader()
        writers = [Writer(number, cluster.clients) for number in range(2)]
        for writer in writers:
            writer.start()
        wait_for_progress(writers)
        leader = cluster.leader() or cluster.wait_for_leader()
        leader.kill()
        wait_for_progress(writers)
        leader.start()
        wait_until(lambda: "raft_role" in cluster.info(leader), "the killed node serves again")
        wait_for_progress(writers)
        for writer in writers:
            writer.stop()
            assert not writer.strange
        cluster.wait_until_equal()
        check_present([key for writer in writers for key in writer.acknowledged], cluster.clients[0])


def test_encrypted_cluster_of_tcp_and_websocket_serves_clients_by_tls(tmp_path: Path) -> None:
    certificates = tmp_path / "certificates"
    make(certificates, ["n1", "n2", "n3"], 1)
    options = tls_options(certificates, "--client-tls")
    backends = ("asyncio", "trio", "uvloop")
    with Cluster(3, tmp_path, backends=backends, schemes=("", "wss://", ""), options=options) as cluster:
        files = ("--tls-ca", certificates / "ca.pem", "--tls-cert", certificates / "n1.pem")
        access = [*map(str, files), "--tls-key", str(certificates / "n1-key.pem")]
        nodes = ",".join(cluster.clients)
        wait_until(lambda: rafty("status", "--nodes", nodes, *access).returncode == 0, "all follow one leader", 30.0)
        assert rafty("put", "--nodes", nodes, *access, "greeting", "hello").returncode == 0
        client = redis_client(cluster.clients[1], certificates)
        assert client.get("greeting") == b"hello"
        status = client.execute_command("RAFTY", "STATUS")  # type: ignore[no-untyped-call]
        lines = peer_lines(status.decode() if isinstance(status, bytes) else str(status))
        assert lines["network.n1"] == "connected=yes,accepted=yes,guest=no,dropped=0"
        wait_until(lambda: seen_by_openssl(cluster, certificates), "openssl sees TLS 1.3", 10.0)
        with socket.create_connection(host_and_port(cluster.clients[0])) as plain:
            plain.sendall(b"*1\r\n$4\r\nPING\r\n")
            assert b"PONG" not in plain.recv(4096)


@pytest.mark.parametrize(
    "backends", [("asyncio", "trio"), pytest.param(("trio", "asyncio"), marks=pytest.mark.slow)], ids="-".join
)
def test_plain_cluster_becomes_an_encrypted_one_while_all_its_nodes_are_stopped(
    tmp_path: Path, backends: tuple[str, ...]
) -> None:
    """As the README says: the same data and ids, certificates, wss:// in the place of ws://."""
    certificates = tmp_path / "certificates"
    make(certificates, ["n1", "n2", "n3"], 1)
    with Cluster(3, tmp_path, backends=backends, schemes=("ws://",)) as cluster:
        cluster.wait_for_leader()
        nodes = ",".join(cluster.clients)
        assert rafty("put", "--nodes", nodes, "greeting", "hello").returncode == 0
        before = rafty("members", "--nodes", nodes).stdout
        cluster.stop()
        for node in cluster.nodes.values():
            node.arguments = [argument.replace("ws://", "wss://") for argument in node.arguments]
            node.arguments += [part.replace("{id}", node.id) for part in tls_options(certificates, "--client-tls")]
        cluster.start()
        files = ("--tls-ca", certificates / "ca.pem", "--tls-cert", certificates / "n1.pem")
        access = ["--nodes", nodes, *map(str, files), "--tls-key", str(certificates / "n1-key.pem")]
        wait_until(lambda: rafty("status", *access).returncode == 0, "all follow one leader", 30.0)
        assert rafty("get", *access, "greeting").stdout == "hello\n"
        for line in before.splitlines():
            node_id, _, address = line.partition("ws://")
            if address:
                moved = rafty("address", *access, node_id.strip(), f"wss://{address.split()[0]}")
                assert (moved.returncode, moved.stdout) == (0, "OK\n"), moved.stderr
        after = rafty("members", *access).stdout
        assert before.split(",")[0] == after.split(",")[0]  # the id of the cluster
        assert " ws://" not in after
        assert after.count("wss://") == 3
        assert rafty("put", *access, "greeting", "again").returncode == 0


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of an address."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def redis_client(address: str, certificates: Path) -> "redis.Redis":
    """A client of redis-py that speaks TLS, and proves itself with the certificate of n1."""
    host, port = host_and_port(address)
    return redis.Redis(
        host=host,
        port=port,
        ssl=True,
        ssl_ca_certs=str(certificates / "ca.pem"),
        ssl_certfile=str(certificates / "n1.pem"),
        ssl_keyfile=str(certificates / "n1-key.pem"),
    )


def seen_by_openssl(cluster: Cluster, certificates: Path) -> bool:
    """Whether `openssl s_client` sees TLS 1.3 at the port for nodes of n1, and that it wants a certificate."""
    arguments = cluster.nodes["n1"].arguments
    address = dict(pair.split("=", 1) for pair in arguments[arguments.index("--cluster") + 1].split(","))["n1"]
    command = ["openssl", "s_client", "-state", "-connect", address, "-CAfile", str(certificates / "ca.pem")]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=10, check=False)
    seen = (done.stdout + done.stderr).decode()
    return "TLSv1.3" in seen and "read server certificate request" in seen


def test_node_with_a_certificate_of_another_authority_is_told_so_and_so_are_the_others(tmp_path: Path) -> None:
    make(tmp_path / "ours", ["n1", "n2", "n3"], 1)
    make(tmp_path / "theirs", ["n1", "n2", "n3"], 1)
    with Cluster(3, tmp_path, options=tls_options(tmp_path / "ours"), idle=True) as cluster:
        foreign = cluster.nodes["n3"]
        foreign.arguments = [argument.replace("/ours/", "/theirs/") for argument in foreign.arguments]
        cluster.start()
        sentence = "not signed by the authority"
        wait_until(lambda: sentence in foreign.tail(20), "n3 is told why it is refused", 20.0)
        wait_until(lambda: sentence in cluster.nodes["n1"].tail(20), "n1 is told whom it refuses", 20.0)
        wait_until(lambda: cluster.info(cluster.nodes["n1"]).get("raft_leader") in ("n1", "n2"), "the two go on", 20.0)

        def counted() -> bool:
            info = cluster.info(cluster.nodes["n1"])
            return int(info.get("refused.nodes.certificate", 0)) + int(info.get("refused.nodes.tls", 0)) > 0

        wait_until(counted, "n1 counts whom it refuses", 20.0)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tls_cert": "n1.pem"}, ["belong together"]),
        ({"listen": "tls://127.0.0.1:7009"}, ["no certificate"]),
        ({"listen": "http://127.0.0.1:7009"}, ["ws://"]),
        ({"listen": "tcp://127.0.0.1:7009/rafty"}, ["path"]),
    ],
)
def test_options_for_encryption_without_sense(tmp_path: Path, changed: dict[str, str], words: list[str]) -> None:
    check_refused(tmp_path, serve_arguments(tmp_path / "data", **changed), *words)


def test_certificate_of_another_node_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    make(tmp_path / "certificates", ["n2"], 1)
    arguments = [*serve_arguments(tmp_path / "data"), *tls_options(tmp_path / "certificates")]
    arguments = [argument.replace("{id}", "n2") for argument in arguments]
    check_refused(tmp_path, arguments, "is for n2", "this node is n1")


def test_plain_address_among_encrypted_ones_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "certificates", ["n1"], 1)
    arguments = serve_arguments(tmp_path / "data", cluster="n1=ws://127.0.0.1:7009")
    arguments += [argument.replace("{id}", "n1") for argument in tls_options(tmp_path / "certificates")]
    check_refused(tmp_path, arguments, "plain text", "wss://")


def test_websocket_without_its_library_is_refused_before_anything_is_made(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("absent")
    hidden = "import sys\nsys.modules['websockets'] = sys.modules['trio_websocket'] = None\n"
    (elsewhere / "sitecustomize.py").write_text(hidden)
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    arguments = serve_arguments(tmp_path / "data", cluster="n1=ws://127.0.0.1:7009")
    check_refused(tmp_path, arguments, "WebSocket needs websockets", "pip install 'rafty[websocket]'", new=True)
