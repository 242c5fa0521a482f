"""What the tests of administration share: the command line, nodes that join, and what a refusal looks like."""

import subprocess
from pathlib import Path

from rafty_transports.demo_cluster import NodeProcess, free_ports
from tests.end_to_end import forks
from tests.end_to_end.cluster import Cluster, ForkedNode, backend_of, wait_until

ROOT = Path(__file__).parents[2]


def rafty(*arguments: str | Path, timeout: float = 40.0) -> subprocess.CompletedProcess[str]:
    """Run `rafty` with these arguments to its end."""
    done = forks.run(*map(str, arguments), timeout=timeout)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def done(*arguments: str | Path) -> str:
    """The output of a command that must succeed."""
    ended = rafty(*arguments)
    assert ended.returncode == 0, ended
    return ended.stdout


def refused(code: int, *arguments: str | Path) -> str:
    """The one sentence with which this is refused; the exit code must be this one."""
    ended = rafty(*arguments)
    assert (ended.returncode, ended.stdout) == (code, ""), ended
    assert ended.stderr.startswith("rafty: "), ended
    assert ended.stderr.count("\n") == 1, ended
    return ended.stderr


def nodes_of(cluster: Cluster) -> str:
    """The value of --nodes."""
    return ",".join(cluster.clients)


def cluster_id_of(cluster: Cluster) -> str:
    """The cluster's id, as a person finds it."""
    return done("members", "--nodes", nodes_of(cluster)).split()[1].rstrip(",")


def address_of(node: NodeProcess) -> str:
    """Where other nodes reach a node that was made here."""
    return node.arguments[node.arguments.index("--listen") + 1]


def start(
    cluster: Cluster, node_id: str, *arguments: str | Path, backend: str = "asyncio", listen: str = ""
) -> NodeProcess:
    """Start one more node with these arguments, at an address of its own unless one is given; ends with the cluster."""
    own, client = (f"127.0.0.1:{port}" for port in free_ports(2))
    words = [
        "--listen",
        listen or own,
        "--client",
        client,
        "--backend",
        backend_of(backend, node_id),
        "--die-with-parent",
        str(forks.server().pid),
    ]
    number = sum(name.startswith(node_id) for name in cluster.nodes)
    log = cluster.directory / f"{node_id}-{number}.log"
    node = ForkedNode(node_id, client, [*words, *map(str, arguments)], log)
    cluster.nodes[node_id] = node
    node.start()
    wait_until(lambda: "serves clients" in node.tail() or not node.running, f"{node_id} serves")
    assert node.running, node.tail()
    return node


def join(cluster: Cluster, node_id: str, backend: str = "asyncio") -> NodeProcess:
    """Start a node that joins, with an empty data directory; it is no member yet."""
    data = cluster.directory / f"{node_id}-joined"
    return start(cluster, node_id, "--join", cluster_id_of(cluster), "--data", data, backend=backend)
