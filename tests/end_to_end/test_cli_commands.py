"""`rafty status`, `get`, `put` and `del` against real nodes, and against servers that behave badly."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from rafty_transports.client import Reply, ReplyError, ReplyParser
from rafty_transports.demo_cluster import free_ports
from tests.end_to_end import forks
from tests.end_to_end.cluster import EACH, Cluster, ask, wait_until

ROOT = Path(__file__).parents[2]


def rafty(*arguments: str, given: bytes = b"", **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run `rafty` with these arguments to its end."""
    return forks.run(*arguments, given=given, environment={**os.environ, **environment})


@contextmanager
def server(answers: Sequence[bytes | None]) -> Iterator[str]:
    """A server that answers its first connection with the first of these, and so on; None hangs up on a request.

    Behind the last answer nobody listens any more.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                try:
                    connection, _ = listener.accept()
                except OSError:  # the test is over, and did not come so often
                    return
                with connection:
                    connection.recv(65536)
                    if answer is not None:
                        connection.sendall(answer)
                        connection.recv(65536)
            listener.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            with contextlib.suppress(OSError):  # it is closed
                listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which else would go on with who gets its number
            thread.join(5.0)


def nobody() -> str:
    """An address at which nobody listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"


@pytest.mark.parametrize("backend", [*EACH, pytest.param("uvloop", marks=pytest.mark.slow)])
def test_commands_against_a_cluster(tmp_path: Path, backend: str) -> None:
    if backend == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    with Cluster(3, tmp_path, backends=(backend,)) as cluster:
        leader = cluster.wait_for_leader()
        nodes = ",".join(cluster.clients)
        done = rafty("put", "--nodes", nodes, "greeting", "héllo")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"OK\n", b"")
        assert rafty("put", "--nodes", nodes, "zeros", "-", given=bytes(300_000)).returncode == 0
        assert rafty("get", "--nodes", nodes, "greeting").stdout == "héllo\n".encode()
        assert rafty("get", "--nodes", f"{nobody()},{nodes}", "zeros").stdout == bytes(300_000) + b"\n"
        assert rafty("del", "--nodes", nodes, "greeting", "absent").stdout == b"1\n"
        done = rafty("get", "--nodes", nodes, "greeting")
        assert (done.returncode, done.stdout, done.stderr) == (4, b"", b"rafty: there is no key 'greeting'\n")

        wait_until(
            lambda: len({cluster.info(node)["raft_applied_index"] for node in cluster.nodes.values()}) == 1, "equal"
        )
        done = rafty("status", "--nodes", nodes)
        assert done.returncode == 0
        head, *rows = done.stdout.decode().splitlines()
        assert head.split() == [
            "node",
            "clients",
            "at",
            "role",
            "term",
            "leader",
            "commit",
            "applied",
            "lag",
            "keys",
            "refused",
        ]
        assert [row.split()[0] for row in rows] == ["n1", "n2", "n3"]
        assert [row.split()[2] for row in rows].count("leader") == 1
        assert {row.split()[4] for row in rows} == {leader.id}
        assert {tuple(row.split()[7:9]) for row in rows} == {("0", "1")}

        leader.kill()
        done = rafty("status", "--nodes", nodes)
        assert done.returncode == 1
        assert f"?     {leader.client}  cannot be reached: connection refused" in done.stdout.decode()


def test_node_says_whom_it_follows_and_asks_for_its_password(tmp_path: Path) -> None:
    with Cluster(3, tmp_path, options=("--password", "secret", "--name", "stock"), idle=True) as cluster:
        cluster.start()
        wait_until(lambda: all("term" in node.tail() for node in cluster.nodes.values()), "all say whom they follow")
        said = [
            [line for line in node.tail().splitlines() if line.startswith(f"{node.id} ")]  # not what is logged
            for node in cluster.nodes.values()
        ]
        assert sorted("leads" in lines[1] for lines in said) == [False, False, True]
        leader = next(lines[1].split()[0] for lines in said if "leads" in lines[1])
        assert sum(f"follows {leader}, term" in lines[1] for lines in said) == 2
        nodes = ",".join(cluster.clients)
        done = rafty("put", "--nodes", nodes, "key", "value")
        assert done.returncode == 2
        assert b"give the right RAFTY_PASSWORD" in done.stderr
        assert rafty("get", "--nodes", nodes, "key", "--password", "guess").returncode == 2
        assert rafty("put", "--nodes", nodes, "key", "value", RAFTY_PASSWORD="secret").returncode == 0
        assert rafty("get", "--nodes", nodes, "key", "--password", "secret").stdout == b"value\n"
        assert rafty("status", "--nodes", nodes, RAFTY_PASSWORD="secret").returncode == 0


def test_write_is_not_repeated_when_its_outcome_is_unknown() -> None:
    """A second node is asked only after a refusal; here it would say OK."""
    for answer in (None, b"-UNKNOWN no outcome in time (may still be applied)\r\n"):
        with server([answer]) as first, server([b"+OK\r\n"]) as second:
            done = rafty("put", "--nodes", f"{first},{second}", "key", "value")
            assert (done.returncode, done.stdout) == (3, b"")
            assert b"the outcome is unknown, look before you repeat the command" in done.stderr
            assert done.stderr.count(b"\n") == 1


def test_write_in_time_or_unknown() -> None:
    with server([b""]) as silent:
        done = rafty("del", "--nodes", silent, "--timeout", "0.3", "key")
        assert done.returncode == 3
        assert b"did not answer within 0.3 s" in done.stderr


@pytest.mark.parametrize("code", ["NOTLEADER", "OVERLOADED", "STOPPED", "SUPERSEDED"])
def test_write_goes_on_to_the_next_node_when_it_was_not_taken(code: str) -> None:
    with server([f"-{code} for a reason\r\n".encode()]) as first, server([b"+OK\r\n"]) as second:
        done = rafty("put", "--nodes", f"{nobody()},{first},{second}", "key", "value")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"OK\n", b"")
    with server([f"-{code} for a reason\r\n".encode()]) as first:
        done = rafty("put", "--nodes", first, "key", "value")
        assert done.returncode == 1
        assert done.stderr == f"rafty: nothing was changed: {first}: for a reason\n".encode()


def test_read_is_repeated_whatever_happened() -> None:
    unknown = b"-UNKNOWN no outcome in time (may still be applied)\r\n"
    with server([None]) as first, server([unknown]) as second, server([b"$2\r\nhi\r\n"]) as third:
        done = rafty("get", "--nodes", f"{first},{second},{third}", "key")
        assert (done.returncode, done.stdout) == (0, b"hi\n")


def test_read_of_nobody() -> None:
    done = rafty("get", "--nodes", f"{nobody()},{nobody()}", "key")
    assert done.returncode == 1
    assert done.stderr.count(b"cannot be reached: connection refused") == 2


def test_server_that_speaks_something_else() -> None:
    with server([b"HTTP/1.1 400 Bad Request\r\n\r\n"]) as web:
        done = rafty("status", "--nodes", web)
        assert done.returncode == 1
        assert b"does not speak RESP" in done.stdout
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", [("demo",), ("status", "--nodes", "127.0.0.1:1")])
def test_output_that_nobody_reads(command: tuple[str, ...]) -> None:
    """As in `rafty demo | head -1`: no traceback, and no exit code that claims success."""
    reader, writer = os.pipe()
    with open(reader, "rb", buffering=0) as seen:
        arguments = [sys.executable, "-m", "rafty_transports", *command]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE) as process:
            os.close(writer)
            if command[0] == "demo":
                assert b"starting 3 nodes" in seen.read(200)
            seen.close()
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (-signal.SIGPIPE, b"")


COMMANDS = ["serve", "status", "get", "put", "del", "demo", "members", "add", "remove", "replace", "promote", "demote"]
COMMANDS += ["address", "transfer", "snapshot", "backup", "restore", "recover", "certs"]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_tells_the_exit_codes(command: str | None) -> None:
    done = rafty(*filter(None, [command]), "--help")
    assert done.returncode == 0
    assert b"exit codes:" in done.stdout
    assert b"3  unknown" in done.stdout


def members(leader: str, change: str = "none", committed: str = "yes", **roles: str) -> bytes:
    """The answer to RAFTY MEMBERS of a node n1, whose members have these roles."""
    lines = ["cluster_id:rafty.1", "configuration_index:7", f"committed:{committed}", f"change:{change}"]
    lines += ["id:n1", f"leader:{leader}", *[f"member.{name}:role={role},address=h:1" for name, role in roles.items()]]
    text = "".join(line + "\r\n" for line in lines)
    return f"${len(text)}\r\n{text}\r\n".encode()


COUNT = b":5\r\n"
"""The answer to DBSIZE, behind which a leader's commit index is right."""


def test_change_goes_on_to_the_leader() -> None:
    refusal = b"-NOTLEADER n1 does not lead; the leader is n2\r\n"
    with server([refusal, refusal]) as first, server([b"-REFUSED not_ready try again soon\r\n", b"+OK\r\n"]) as second:
        done = rafty("remove", "--nodes", f"{nobody()},{first},{second}", "n3")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"OK\n", b"")


def test_change_that_nobody_takes_in_time() -> None:
    with server([b"-NOTLEADER n1 does not lead; the leader is not known\r\n"] * 20) as first:
        done = rafty("remove", "--nodes", f"{nobody()},{first}", "n3", "--timeout", "0.5")
        assert done.returncode == 1
        assert done.stderr.startswith(b"rafty: nothing was changed: ")
        assert b"the leader is not known" in done.stderr


def test_change_of_which_no_leader_was_asked() -> None:
    """Every node that was named answers, and points to one that was not."""
    with server([b"-NOTLEADER n1 does not lead; the leader is n4\r\n"] * 20) as first:
        done = rafty("remove", "--nodes", first, "n3", "--timeout", "0.5")
        assert done.returncode == 1
        assert done.stderr.endswith(b"the leader is n4; the leader must be among --nodes\n")


@pytest.mark.parametrize("answer", [None, b"-UNKNOWN the node was stopped (may still be applied)\r\n"])
@pytest.mark.parametrize("done_", [True, False])
def test_change_whose_leader_falls_is_looked_up(answer: bytes | None, done_: bool) -> None:
    """The successor goes on with it, or undoes it; a picture that is not final is no answer."""
    final = members("n1", n1="voter") if done_ else members("n1", n1="voter", n3="voter")
    early = [members("n2", n1="voter"), members("n1", "joint", n1="voter"), members("n1", committed="no", n1="voter")]
    pairs = [part for picture in [*early, final] for part in (COUNT, picture)]
    with server([answer]) as leader, server(pairs) as successor:
        done = rafty("remove", "--nodes", f"{leader},{successor}", "n3")
        assert b"looking what became of the change" in done.stderr
        assert (done.returncode, done.stdout) == ((0, b"OK\n") if done_ else (1, b""))
        if not done_:
            assert done.stderr.endswith(b"rafty: nothing was changed: the change was undone, or never began\n")


def test_change_that_nobody_can_tell_of_is_unknown() -> None:
    with server([None]) as node:
        done = rafty("promote", "--nodes", node, "n3", "--timeout", "1")
        assert done.returncode == 3
        assert b"rafty: the outcome is unknown, look at `rafty members`" in done.stderr


@pytest.mark.slow
def test_leader_that_falls_silent_in_the_middle_of_a_change() -> None:
    with server([b""] * 10) as node:
        done = rafty("demote", "--nodes", node, "n3", "--timeout", "1")
        assert (done.returncode, done.stdout) == (3, b"")
        assert f"{node} has not answered for 1 s; looking what became of the change".encode() in done.stderr


def test_members_of_a_node_that_does_not_lead_are_shown_for_want_of_better() -> None:
    with server([members("none", n1="voter", n2="voter")]) as node:
        done = rafty("members", "--nodes", f"{nobody()},{node}")
        assert done.returncode == 1
        assert done.stdout.decode().splitlines()[0] == "cluster rafty.1, configuration 7, nobody leads"
    done = rafty("members", "--nodes", nobody())
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nobody could answer" in done.stderr


def test_transfer_that_fails_and_one_that_is_unknown() -> None:
    with server([b"-TRANSFERFAILED n2 has not been heard for an election timeout\r\n"]) as node:
        done = rafty("transfer", "--nodes", node, "n2")
        assert (done.returncode, done.stderr) == (1, b"rafty: n2 has not been heard for an election timeout\n")
    with server([None]) as node:
        assert rafty("transfer", "--nodes", node, "n2").returncode == 3


def test_replies_in_pieces() -> None:
    """The parser gives the same replies however the bytes are cut."""
    data = b"+OK\r\n-ERR no\r\n:-7\r\n$-1\r\n$4\r\na\r\nb\r\n*4\r\n$1\r\nx\r\n$-1\r\n:5\r\n*1\r\n+y\r\n*0\r\n$0\r\n\r\n"
    expected = [b"OK", "ERR no", -7, None, b"a\r\nb", [b"x", None, 5, [b"y"]], [], b""]
    for size in range(1, len(data) + 1):
        parser = ReplyParser()
        replies: list[Reply] = []
        for start in range(0, len(data), size):
            replies += parser.feed(data[start : start + size])
        assert [str(reply) if isinstance(reply, ReplyError) else reply for reply in replies] == expected, size


BROKEN_DISK = """
import sys
from rafty_transports.storage import SqliteStore, WriteFailed
def fail(self, writes):
    raise WriteFailed("the disk failed; see to the disk, then start the node again")
SqliteStore.write = fail
from rafty_transports.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_node_whose_disk_fails_ends_and_says_why(tmp_path: Path, backend: str) -> None:
    """The store's `write` is replaced by one that fails as a disk does; all else is the shipped program."""
    own, client = free_ports(2)
    command = [sys.executable, "-c", BROKEN_DISK, "serve", "--id", "n1", "--cluster", f"n1=127.0.0.1:{own}"]
    command += ["--data", str(tmp_path / "data"), "--client", f"127.0.0.1:{client}", "--backend", backend]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == b"rafty: node n1 failed: the disk failed; see to the disk, then start the node again"
    assert b"Traceback" not in done.stderr


def test_node_of_its_own_is_a_cluster(tmp_path: Path) -> None:
    with Cluster(1, tmp_path) as cluster:
        node = cluster.wait_for_leader()
        assert ask(node.client, [b"SET", b"k", b"v"], [b"GET", b"k"]) == [b"OK", b"v"]
