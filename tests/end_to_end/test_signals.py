"""SIGINT and SIGTERM end every process within two seconds, by that signal, at any moment of its life.

Many processes run side by side, each signalled at a moment of its own. What the interpreter does before it comes to the
program's first line is out of the program's hands: there, and only there, SIGINT may end in a traceback of its own.
"""

import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rafty_transports.demo_cluster import free_ports
from tests.end_to_end.cluster import Cluster, Writer, ask, check_present, wait_for_progress, wait_until

ROOT = Path(__file__).parents[2]
BACKENDS = ("asyncio", "trio")

RUN = ("-m", "rafty_transports")

HANGING_DISK = """
import sys, time
from rafty_transports.storage import SqliteStore
SqliteStore.write = lambda self, writes: print("the disk hangs", flush=True) or time.sleep(60)
from rafty_transports.cli import main
sys.exit(main(sys.argv[1:]))
"""

STUCK_LOOP = """
import sys, time
from rafty_transports.kv import KeyValueMachine
KeyValueMachine.apply = lambda self, first, commands: print("the loop is stuck", flush=True) or time.sleep(60)
from rafty_transports.cli import main
sys.exit(main(sys.argv[1:]))
"""


class Subject:
    """A process under test, with what it says; killed when the `with` block is left."""

    def __init__(self, directory: Path, name: str, arguments: Sequence[str], *, program: Sequence[str] = RUN) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *program, *arguments], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def __enter__(self) -> "Subject":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def said(self) -> str:
        """Everything that it said so far."""
        return self._log.read_text()

    def wait_for(self, text: str) -> None:
        """Wait until it has said this."""
        wait_until(lambda: text in self.said or self.process.poll() is not None, f"{self.name} says {text}")
        assert text in self.said, self.said

    def end(self, signum: int, again: int | None = None) -> None:
        """Send `signum`, and `again` 50 ms later; fail unless it ends in time, by the first, without a traceback."""
        started = time.monotonic()
        self.process.send_signal(signum)
        if again is not None:
            time.sleep(0.05)
            self.process.send_signal(again)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(4.0)
        took = time.monotonic() - started
        code, said = self.process.poll(), self.said
        if signum == signal.SIGINT and is_the_interpreters_own(said):
            return
        assert code == -signum, f"{self.name} ended with {code} after {took:.2f} s and said: {said}"
        assert took < 2.0, f"{self.name} took {took:.2f} s and said: {said}"
        assert "Traceback" not in said, said


def is_the_interpreters_own(said: str) -> bool:
    """Whether this is a traceback from before `main` gave the signal its default action."""
    files = {Path(name).name for name in re.findall(r'File "(.*/rafty_transports/.*?)"', said)}
    return "KeyboardInterrupt" in said and files <= {"__main__.py", "__init__.py", "cli.py"}


def node_arguments(data: Path, size: int, backend: str, peers: int | None = None) -> list[str]:
    """Arguments that start n1 of `size` nodes on free ports; the peers' port is `peers`, or nobody's."""
    client, own, *others = free_ports(size + 1)
    members = [f"n1=127.0.0.1:{own}"]
    if peers is None:
        members += [f"n{number}=127.0.0.1:{port}" for number, port in enumerate(others, 2)]
    else:  # two names of one host: two peers, and one of them accepts
        members += [f"n2=127.0.0.1:{peers}", f"n3=localhost:{peers}"]
    arguments = ["serve", "--id", "n1", "--cluster", ",".join(members), "--data", str(data)]
    return [*arguments, "--client", f"127.0.0.1:{client}", "--backend", backend]


@pytest.mark.parametrize("backend", BACKENDS)
def test_signal_while_a_node_starts_elects_or_calls_nobody(tmp_path: Path, backend: str) -> None:
    """Nodes alone, and nodes whose two peers do not exist, signalled after 0 to 1.5 seconds."""
    chance = random.Random(7)
    moments = [chance.uniform(0.0, 1.5) for _ in range(16)]

    def one(number: int) -> None:
        signum = (signal.SIGINT, signal.SIGTERM)[number % 2]
        arguments = node_arguments(tmp_path / f"data{number}", (1, 3)[number // 2 % 2], backend)
        with Subject(tmp_path, f"p{number}", arguments) as subject:
            time.sleep(moments[number])
            # The same signal again: which of two comes first is open while the default action is in force.
            subject.end(signum, again=signum if number % 3 == 0 else None)

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(one, range(len(moments))))


@contextlib.contextmanager
def silent_peer() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("backend", BACKENDS)
def test_signal_while_peers_accept_and_never_answer(tmp_path: Path, backend: str) -> None:
    def one(signum: int) -> None:
        arguments = node_arguments(tmp_path / f"data{signum}", 3, backend, peers=port)
        with Subject(tmp_path, f"p{signum}", arguments) as subject:
            subject.wait_for("serves clients")
            time.sleep(0.1)
            subject.end(signum, again=signal.SIGTERM)

    with silent_peer() as port, ThreadPoolExecutor(2) as threads:
        list(threads.map(one, (signal.SIGINT, signal.SIGTERM)))


def test_hangup_is_ignored_by_a_node_whose_parent_ignored_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        subject = Subject(tmp_path, "p", node_arguments(tmp_path / "data", 1, "asyncio"))
    finally:
        signal.signal(signal.SIGHUP, before)
    with subject:
        subject.wait_for("n1 leads")
        subject.process.send_signal(signal.SIGHUP)
        client = re.search(r"clients on (\S+),", subject.said)
        assert client is not None
        assert ask(client[1], [b"SET", b"k", b"v"]) == [b"OK"]
        subject.end(signal.SIGTERM)


@pytest.mark.parametrize("backend", BACKENDS)
def test_node_serves_and_ends_though_nobody_reads_what_it_says(tmp_path: Path, backend: str) -> None:
    """Both pipes are full from the start; --verbose has the node log enough to fill them again and again."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65536))
    os.set_blocking(writer, True)
    arguments = node_arguments(tmp_path / "data", 1, backend)
    client = arguments[arguments.index("--client") + 1]
    command = [sys.executable, *RUN, *arguments, "--verbose"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=writer, stderr=writer)
    try:
        wait_until(lambda: connects(client) and ask(client, [b"SET", b"k", b"v"])[0] == b"OK", "the node serves")
        process.send_signal(signal.SIGTERM)
        assert process.wait(2.0) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)


def connects(address: str) -> bool:
    """Whether something listens there."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1.0):
        return True
    return False


@pytest.mark.parametrize("backend", BACKENDS)
def test_signals_under_load_lose_no_acknowledged_write(tmp_path: Path, backend: str) -> None:
    """Leader and followers alike, a second and third signal behind the first, then all of them start again."""
    with Cluster(3, tmp_path, backends=(backend,)) as cluster:
        cluster.wait_for_leader()
        writers = [Writer(number, cluster.clients) for number in range(3)]
        for writer in writers:
            writer.start()
        wait_for_progress(writers, 200)
        signals = {"n1": signal.SIGINT, "n2": signal.SIGTERM, "n3": signal.SIGHUP}
        started = time.monotonic()
        for node in cluster.nodes.values():
            node.expected = False
            node.send_signal(signals[node.id])
        time.sleep(0.05)
        for node in cluster.nodes.values():
            node.send_signal(signal.SIGINT)
            node.send_signal(signal.SIGTERM)
        for node in cluster.nodes.values():
            assert node.process is not None
            node.process.wait(4.0)
        took = time.monotonic() - started
        for writer in writers:
            writer.stop()
        assert {node.id: node.returncode for node in cluster.nodes.values()} == {
            node_id: -signum for node_id, signum in signals.items()
        }
        assert took < 2.0
        assert "Traceback" not in "".join(node.tail(1000) for node in cluster.nodes.values())
        cluster.start()
        leader = cluster.wait_for_leader()
        check_present([key for writer in writers for key in writer.acknowledged], leader.client)
        cluster.wait_until_equal()


@pytest.mark.parametrize("backend", BACKENDS)
def test_signal_while_the_disk_or_the_event_loop_hangs(tmp_path: Path, backend: str) -> None:
    """A store whose `write`, and a state machine whose `apply`, never returns; all else is the shipped program."""

    def disk() -> None:
        arguments = node_arguments(tmp_path / "disk", 1, backend)
        with Subject(tmp_path, "disk.log", arguments, program=("-c", HANGING_DISK)) as subject:
            subject.wait_for("the disk hangs")
            subject.end(signal.SIGTERM)
            assert "a write to the store has not returned" in subject.said

    def loop() -> None:
        arguments = node_arguments(tmp_path / "loop", 1, backend)
        with Subject(tmp_path, "loop.log", arguments, program=("-c", STUCK_LOOP)) as subject:
            subject.wait_for("n1 leads")
            client = arguments[arguments.index("--client") + 1]
            with contextlib.suppress(OSError):
                ask(client, [b"SET", b"k", b"v"], timeout=0.3)
            subject.wait_for("the loop is stuck")
            subject.end(signal.SIGINT, again=signal.SIGINT)
            assert "node n1 did not end within" in subject.said

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(disk), threads.submit(loop)]:
            done.result()


def processes_naming(path: Path) -> list[int]:
    """Ids of the processes in whose command line this path stands."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if os.fsencode(path) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc, which only Linux has")
@pytest.mark.parametrize("chosen", [(0, 4, 5), pytest.param(range(6), marks=pytest.mark.slow)], ids=["three", "all"])
def test_signal_to_the_demo_leaves_no_process(tmp_path: Path, chosen: Sequence[int]) -> None:
    """SIGINT, SIGTERM and SIGKILL, before there is a leader and while clients write."""

    def one(number: int) -> None:
        signum = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[number % 3]
        data = tmp_path / f"demo{number}"
        with Subject(tmp_path, f"p{number}", ["demo", "--seconds", "20", "--dir", str(data)]) as subject:
            subject.wait_for("starting" if number < 3 else "clients write")
            if signum == signal.SIGKILL:
                subject.process.kill()
            else:
                subject.end(signum, again=signum)
            wait_until(lambda: not processes_naming(data), f"no process of {data} is left", 2.0)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(one, chosen))


def test_signal_to_the_demo_removes_its_temporary_directory(tmp_path: Path) -> None:
    with Subject(tmp_path, "p", ["demo"]) as subject:
        subject.wait_for("clients write")
        found = re.search(r"starting 3 nodes in (\S+)", subject.said)
        assert found is not None
        assert Path(found[1], "n1.log").exists()
        subject.end(signal.SIGINT)
        assert not Path(found[1]).exists()


def test_signal_to_a_client_that_waits(tmp_path: Path) -> None:
    """A command that waits for an answer has nothing to close: it ends at once."""
    with silent_peer() as port, Subject(tmp_path, "p", ["get", "--nodes", f"127.0.0.1:{port}", "key"]) as subject:
        wait_until(lambda: connected(subject.process.pid), "it has connected")
        subject.end(signal.SIGINT)


def connected(pid: int) -> bool:
    """Whether this process has a socket open."""
    with contextlib.suppress(OSError):
        return any(os.readlink(entry).startswith("socket:") for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False
