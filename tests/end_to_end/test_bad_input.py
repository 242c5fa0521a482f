"""Whatever is given wrong is answered with one sentence and exit code 2, and nothing on the disk has changed."""

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from rafty_core.configuration import Configuration
from rafty_transports.demo_cluster import free_ports
from rafty_transports.storage import SqliteStore
from tests.end_to_end import forks
from tests.end_to_end.cluster import Cluster, wait_until

ROOT = Path(__file__).parents[2]

OPTIONS = {"--id": "n1", "--cluster": "n1=127.0.0.1:{0},n2=127.0.0.1:{1}", "--client": "127.0.0.1:{2}"}


def rafty(
    *arguments: str, given: bytes = b"", timeout: float = 20.0, new: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `rafty` with these arguments to its end; `new`: in an interpreter of its own, see `forks`."""
    if new:
        command = [sys.executable, "-m", "rafty_transports", *arguments]
        done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, timeout=timeout, check=False)
    else:
        done = forks.run(*arguments, given=given, timeout=timeout)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def serve_arguments(data: Path, **changed: str) -> list[str]:
    """Arguments of `rafty serve` for n1 of two nodes, with free ports and these options changed."""
    ports = free_ports(3)
    options = {name: value.format(*ports) for name, value in OPTIONS.items()} | {"--data": str(data)}
    options |= {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    return ["serve", *[part for pair in options.items() for part in pair]]


def snapshot(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and directory below, with its time of change and content."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        found[str(path)] = (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


def check_refused(directory: Path, arguments: Sequence[str], *words: str, new: bool = False) -> None:
    """Fail unless this is refused in one sentence that has these words, and all in `directory` stays as it was."""
    before = snapshot(directory)
    done = rafty(*arguments, new=new)
    assert done.returncode == 2, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("rafty: ")
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, (word, done.stderr)
    assert snapshot(directory) == before


def made(path: Path, node_id: str = "n1", cluster: str = "rafty", voters: Sequence[str] = ("n1", "n2")) -> Path:
    """A data directory as a node of this cluster leaves it behind."""
    store = SqliteStore.open(path, node_id=node_id, cluster=cluster, initial=Configuration.of(*voters))
    store.close()
    return path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--color"], ["required", "rafty serve --help"]),
        (["get", "--nodes", "127.0.0.1:1", "--color", "key"], ["unknown argument --color", "rafty get --help"]),
        (["fly"], ["fly", "serve"]),
        ([], ["a command is missing", "--help"]),
        (["get", "--nodes", "127.0.0.1", "key"], ["'127.0.0.1' is no address", "host:port"]),
        (["get", "--nodes", "127.0.0.1:1,127.0.0.1:1", "key"], ["127.0.0.1:1 is named twice"]),
        (["get", "--nodes", "127.0.0.1:1", "--timeout", "soon", "key"], ["'soon' is no time"]),
        (["demo", "--nodes", "1"], ["3, 5 or 7"]),
        (["add", "--nodes", "127.0.0.1:1", "n 2", "127.0.0.1:2"], ["a node id has printable ASCII characters only"]),
        (["add", "--nodes", "127.0.0.1:1", "n2", "127.0.0.1"], ["'127.0.0.1' is no address"]),
        (["add", "--nodes", "127.0.0.1:1", "n2"], ["ADDRESS", "rafty add --help"]),
        (["remove", "--nodes", "127.0.0.1:1"], ["required: ID"]),
        (["remove", "--nodes", "127.0.0.1:1", "n2", "--based-on", "0"], ["'0' is no log index"]),
        (["recover"], ["required: --data"]),
        (["demo", "--nodes", "many"], ["many"]),
        (["demo", "--seconds", "1"], ["between 3 and 600"]),
    ],
)
def test_arguments_without_sense(tmp_path: Path, arguments: list[str], words: list[str]) -> None:
    check_refused(tmp_path, arguments, *words)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"cluster": "n1"}, ["'n1' is no member", "id=host:port"]),
        ({"cluster": "n1=127.0.0.1"}, ["is no address"]),
        ({"cluster": "n1=127.0.0.1:70000"}, ["port of 1 to 65535"]),
        ({"cluster": "n1=::1:7000"}, ["is no address"]),
        ({"cluster": "n1=127.0.0.1:7001,n1=127.0.0.1:7002"}, ["n1 is named twice"]),
        ({"cluster": "n1=127.0.0.1:7001,n2=127.0.0.1:7001"}, ["the address of two nodes"]),
        ({"cluster": "n 1=127.0.0.1:7001"}, ["a node id has"]),
        ({"id": "n9"}, ["n9 is not in --cluster", "n1, n2"]),
        ({"cluster": "n1=127.0.0.1:7001", "client": "127.0.0.1:7001"}, ["a port of its own"]),
        ({"client": "0.0.0.0:7009"}, ["plain text", "--insecure"]),
        ({"listen": "192.0.2.1:7009"}, ["plain text", "--insecure"]),
        ({"name": "my cluster"}, ["a cluster's name"]),
        ({"backend": "curio"}, ["curio", "asyncio"]),
    ],
)
def test_options_of_serve_without_sense(tmp_path: Path, changed: dict[str, str], words: list[str]) -> None:
    check_refused(tmp_path, serve_arguments(tmp_path / "data", **changed), *words)


@pytest.mark.parametrize("option", ["client", "listen"])
def test_address_in_use(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = f"127.0.0.1:{server.getsockname()[1]}"
        check_refused(tmp_path, serve_arguments(tmp_path / "data", **{option: where}), where, "in use", "another")


def test_address_of_another_machine(tmp_path: Path) -> None:
    arguments = [*serve_arguments(tmp_path / "data", client="192.0.2.1:7009"), "--insecure"]
    check_refused(tmp_path, arguments, "192.0.2.1:7009", "address of this machine")


def test_data_directory_of_another_node(tmp_path: Path) -> None:
    made(tmp_path / "data", node_id="n2")
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "belongs to node n2, not to n1", "of its own")


def test_data_directory_of_another_cluster(tmp_path: Path) -> None:
    made(tmp_path / "data", cluster="stock")
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "belongs to cluster stock, not to rafty")


def test_data_directory_of_a_cluster_with_other_voters(tmp_path: Path) -> None:
    made(tmp_path / "data", voters=("n1", "n7"))
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "bootstrapped with the voters n1,n7, not with n1,n2")


def test_data_directory_of_another_version(tmp_path: Path) -> None:
    with closing(sqlite3.connect(made(tmp_path / "data") / "raft.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA user_version=999")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "version")


def test_data_directory_in_use(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "data", node_id="n1", cluster="rafty", initial=Configuration.of("n1", "n2"))
    try:
        check_refused(tmp_path, serve_arguments(tmp_path / "data"), f"in use by process {os.getpid()}")
    finally:
        store.close()


def test_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "is not a directory")


def test_data_directory_without_a_parent(tmp_path: Path) -> None:
    check_refused(tmp_path, serve_arguments(tmp_path / "no" / "data"), "cannot be used", "No such file or directory")


def test_data_directory_with_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("mine")
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "not empty (thesis.txt)")


@pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="needs a directory in which nobody can create a file")
def test_data_directory_that_cannot_be_written(tmp_path: Path) -> None:
    check_refused(tmp_path, serve_arguments(Path("/proc/sys/data")), "/proc/sys/data cannot be used")


def test_data_directory_that_is_corrupt(tmp_path: Path) -> None:
    database = made(tmp_path / "data") / "raft.db"
    content = bytearray(database.read_bytes())
    content[100:] = bytes(len(content) - 100)
    database.write_bytes(content)
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "raft.db", "do not delete it lightly")


def test_data_directory_behind_its_mark(tmp_path: Path) -> None:
    older = shutil.copy(made(tmp_path / "data") / "raft.db", tmp_path / "older.db")
    made(tmp_path / "data")
    shutil.copy(older, tmp_path / "data" / "raft.db")
    check_refused(tmp_path, serve_arguments(tmp_path / "data"), "was durable", "is lost", "membership change")


def test_demo_in_a_directory_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    check_refused(tmp_path, ["demo", "--dir", str(tmp_path)], "is not empty")


@pytest.mark.parametrize("difference", ["voters", "name"])
def test_peer_of_another_cluster(tmp_path: Path, difference: str) -> None:
    """Of other voters under the same name, or of another name: both go on running, and each says so in one line."""
    one, two = Cluster(2, tmp_path, idle=True), Cluster(3, tmp_path, idle=True)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(3)]
    members = f"n1={addresses[0]},n2={addresses[1]}"
    first, second = nodes = [one.nodes["n1"], two.nodes["n2"]]
    first.arguments[1] = second.arguments[1] = members
    if difference == "voters":
        second.arguments[1] += f",n3={addresses[2]}"
        words = "one was bootstrapped with n1,n2, the other with n1,n2,n3; only the other has n3"
    else:
        second.arguments += ["--name", "stock"]
        words = "n1 belongs to cluster rafty."
    with one, two:
        for node in nodes:
            node.start()
        wait_until(lambda: all(words in node.tail() for node in nodes), "both say why")
        wait_until(lambda: all(one.info(node) for node in nodes), "both serve")
        for node in nodes:
            lines = [line for line in node.tail(100).splitlines() if "refused" in line]
            assert len(lines) == 1, lines


def test_value_over_the_limit(tmp_path: Path) -> None:
    done = rafty("put", "--nodes", "127.0.0.1:1", "key", "-", given=bytes(1024 * 1024 + 1))
    assert (done.returncode, done.stdout) == (2, "")
    assert "larger than the limit of 1048576 bytes" in done.stderr


@pytest.mark.slow
def test_write_without_a_quorum(tmp_path: Path) -> None:
    """The error names who was heard, and since when the others were not."""
    with Cluster(3, tmp_path) as cluster:
        alone = cluster.wait_for_leader()
        others = [node.id for node in cluster.nodes.values() if node is not alone]
        for node in cluster.nodes.values():
            if node is not alone:
                node.kill()
        wait_until(lambda: cluster.info(alone).get("raft_leader") == "none", "it knows no leader")
        done = rafty("put", "--nodes", ",".join(cluster.clients), "key", "value")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("rafty: nothing was changed: ")
        assert "heard 1 of 3 voters" in done.stderr
        assert "connection refused" in done.stderr
        for other in others:
            assert re.search(rf"{other} last \d+\.\d s ago", done.stderr), done.stderr
