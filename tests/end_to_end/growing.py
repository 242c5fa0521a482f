"""Real clusters whose members come and go: nodes that join, are removed, are paused, and begin anew.

Law: *what a test knows of a node is what the node tells: its answers, what it prints, and how it ends.*

    with GrowingCluster(1, tmp_path, backend="trio") as cluster:
        cluster.wait_for_leader()
        cluster.grow("n2")
        cluster.command("remove", "n1")
"""

import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

from rafty_transports.client import Reply, ReplyError
from rafty_transports.demo_cluster import LOOPBACK, NodeProcess, free_ports
from tests.end_to_end import forks
from tests.end_to_end.cluster import Cluster, ForkedNode, ask, backend_of, check_present, pairs_of, wait_until

ROOT = Path(__file__).parents[2]
LEADS = re.compile(r"^(\S+) leads, term (\d+)$", re.MULTILINE)


class SmallLogNode(ForkedNode):
    """A node that shortens its log at `log_bytes`, and keeps `trailing` entries of it."""

    log_bytes = 0
    trailing = 0

    def _fork(self, nothing: IO[bytes], log: IO[bytes]) -> forks.Fork:
        words = [str(self.log_bytes), str(self.trailing), "serve", "--id", self.id, *self.arguments]
        return forks.Fork("tests.end_to_end.small_log", words, stdin=nothing, stdout=log, stderr=log, session=True)


class GrowingCluster(Cluster):
    """A `Cluster` to which nodes are added and from which they are removed, by the commands of `rafty`.

    log_bytes  bytes of log at which its nodes take a snapshot; 0: what is shipped
    trailing   entries that stay before a snapshot, if `log_bytes` is given
    idle       nobody is started
    """

    def __init__(
        self,
        size: int,
        directory: Path,
        *,
        backend: str,
        log_bytes: int = 0,
        trailing: int = 16,
        idle: bool = False,
    ) -> None:
        super().__init__(size, directory, backends=(backend,), idle=idle)
        self._backend = backend
        self._small = log_bytes, trailing
        self.directory = directory
        self.ended: list[NodeProcess] = []
        """Nodes that are members no more; they are watched, and ended, as the others."""
        for node_id, node in list(self.nodes.items()):
            self.nodes[node_id] = self._node(node_id, node.client, node.arguments)

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            super().__exit__(*error)  # type: ignore[arg-type]
        finally:
            for node in self.ended:
                node.kill()
                if error[0] is not None:
                    print(f"--- log of {node.id}, a former member\n{node.tail(30)}", file=sys.stderr)

    def _node(self, node_id: str, client: str, arguments: list[str]) -> NodeProcess:
        log = self.directory / f"{node_id}.log"
        if not self._small[0]:
            return ForkedNode(node_id, client, arguments, log)
        node = SmallLogNode(node_id, client, arguments, log)
        node.log_bytes, node.trailing = self._small
        return node

    # ------------------------------------------------------------ nodes that come

    def newcomer(self, node_id: str, data: Path | None = None, *, listen: str = "", join: str = "") -> NodeProcess:
        """A node that is not started. `join`: the cluster that it joins, else it goes on with `data`, which it has."""
        own, client = (f"{LOOPBACK}:{port}" for port in free_ports(2))
        arguments = ["--data", str(data or self.directory / node_id), "--client", client, "--backend"]
        arguments.append(backend_of(self._backend, node_id))
        arguments += ["--listen", listen or own, "--die-with-parent", str(forks.server().pid)]
        arguments += ["--join", join] if join else []
        return self._node(node_id, client, arguments)

    def join(self, *node_ids: str) -> None:
        """Start these nodes on empty data directories; they wait to be added."""
        cluster_id = self.cluster_id()
        for node_id in node_ids:
            self.nodes[node_id] = self.newcomer(node_id, join=cluster_id)
            self.nodes[node_id].start()

    def grow(self, *node_ids: str) -> None:
        """Start these nodes and make them voters, one after the other."""
        self.join(*node_ids)
        self.add(*node_ids)

    def add(self, *node_ids: str) -> None:
        """Make these nodes voters, which wait for it; one after the other."""
        for node_id in node_ids:
            wait_for_service(self.nodes[node_id])
            self.change("ADD", node_id, listen_of(self.nodes[node_id]))

    # --------------------------------------------------------------- what is asked

    @property
    def running(self) -> list[NodeProcess]:
        """The members that run."""
        return [node for node in self.nodes.values() if node.running]

    def cluster_id(self) -> str:
        """The id of the cluster, as the first node that runs tells it."""
        return members_told(self.running[0])["cluster_id"]

    def command(self, name: str, *arguments: str, code: int = 0) -> str:
        """Run `rafty NAME --nodes ... ARGUMENTS`; return what it said. Fails unless it ends with `code`."""
        return self.command_of(name, [node.client for node in self.running], *arguments, code=code)

    def command_of(self, name: str, clients: Sequence[str], *arguments: str, code: int = 0) -> str:
        """As `command`, asked of those who serve clients at these addresses."""
        return rafty(name, "--nodes", ",".join(clients), *arguments, code=code)

    def change(self, *words: str) -> None:
        """Have the leader change the members, as a command of `rafty` would, without a process for it."""
        request = [b"RAFTY", b"MEMBER", *[word.encode() for word in words]]
        replies: list[Reply] = []

        def done() -> bool:
            leader = self.leader()
            if leader is not None:
                try:
                    replies.extend(ask(leader.client, request, timeout=30.0))
                except OSError:  # a leader that removes itself may be gone before its answer is
                    wait_until(lambda: bool(self.voters()), f"{words} is done or undone")
                    replies.append(b"OK")
            return bool(replies) and not str(replies[-1]).startswith(("NOTLEADER", "REFUSED not_ready"))

        wait_until(done, f"{words} is done")
        assert replies[-1] == b"OK", replies

    def voters(self) -> set[str]:
        """Who votes as the leader has it, committed, and no change under way; else nobody."""
        leader = self.leader()
        try:
            told = members_told(leader) if leader is not None else {}
        except OSError:  # it has gone meanwhile
            return set()
        if told.get("committed") != "yes" or told.get("change") != "none":
            return set()
        return {name.removeprefix("member.") for name, text in told.items() if "role=voter," in text}

    def wait_for_voters(self, *node_ids: str) -> None:
        """Wait until these, and no others, are the voters."""
        wait_until(lambda: self.voters() == set(node_ids), f"the voters are {node_ids}")

    def leader_besides(self, node: NodeProcess) -> NodeProcess | None:
        """Who leads among the others; this one is not asked, for it does not answer."""
        for other in self.nodes.values():
            if other is not node and self.info(other).get("raft_role") == "leader":
                return other
        return None

    # ------------------------------------------------------------ what is checked

    def leave_out(self, *node_ids: str) -> None:
        """These are members no more."""
        for node_id in node_ids:
            self.ended.append(self.nodes.pop(node_id))

    def check_one_leader_in_each_term(self) -> dict[int, str]:
        """Fail if two nodes said that they lead in one term; returns who did, by term."""
        leaders: dict[int, str] = {}
        for node in [*self.nodes.values(), *self.ended]:
            for node_id, term in LEADS.findall(node.log.read_text()):
                assert leaders.setdefault(int(term), node_id) == node_id, f"two leaders of term {term}"
        return leaders

    def check_everywhere(self, keys: Sequence[bytes]) -> None:
        """Fail unless all members have the same state, and each of them has all these keys of writers."""
        self.wait_until_equal(30.0)
        for node in self.running:
            check_present(keys, node.client)


def rafty(*arguments: str, code: int = 0) -> str:
    """Run `rafty` with these arguments to its end; return what it said. Fails unless it ends with `code`."""
    done = forks.run(*arguments, timeout=60.0)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == code, f"{arguments} ended with {done.returncode}: {said}"
    return said


def members_told(node: NodeProcess) -> dict[str, str]:
    """What this node answers to RAFTY MEMBERS."""
    reply = ask(node.client, [b"RAFTY", b"MEMBERS"])[0]
    if isinstance(reply, ReplyError):
        raise reply
    return pairs_of(reply)


def listen_of(node: NodeProcess) -> str:
    """Where other nodes reach this one."""
    if "--listen" in node.arguments:
        return node.arguments[node.arguments.index("--listen") + 1]
    members = node.arguments[node.arguments.index("--cluster") + 1]
    return dict(pair.split("=", 1) for pair in members.split(","))[node.id]


def wait_for_words(node: NodeProcess, *words: str, timeout: float = 15.0) -> None:
    """Wait until a line of the node's log has all these words."""

    def said() -> bool:
        return any(all(word in line for word in words) for line in node.tail(10_000).splitlines())

    wait_until(said, f"{node.id} says {' ... '.join(words)}", timeout)


def wait_for_end(node: NodeProcess, code: int) -> None:
    """Wait until this node has ended by itself, with this exit code."""
    wait_until(lambda: not node.running, f"{node.id} ends")
    assert node.returncode == code, node.tail()


def wait_for_service(node: NodeProcess) -> None:
    """Wait until this node serves clients."""

    def serves() -> bool:
        try:
            return bool(ask(node.client, [b"PING"], timeout=1.0))
        except OSError:
            return False

    wait_until(serves, f"{node.id} serves clients")


@contextmanager
def paused(*nodes: NodeProcess) -> Iterator[None]:
    """These processes stand still inside the block."""
    for node in nodes:
        node.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for node in nodes:
            node.send_signal(signal.SIGCONT)


class Request(threading.Thread):
    """A request that is on its way while the test goes on; `reply` is what came, if anything."""

    def __init__(self, node: NodeProcess, *words: str) -> None:
        super().__init__(name=" ".join(words), daemon=True)
        self.reply: object = None
        self._node = node
        self._words = [word.encode() for word in words]
        self.start()

    def run(self) -> None:
        try:
            self.reply = ask(self._node.client, self._words, timeout=20.0)[0]
        except OSError as error:
            self.reply = error
