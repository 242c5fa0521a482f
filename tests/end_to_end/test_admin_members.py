"""`rafty members`, `add`, `remove`, `replace`, `promote`, `demote` and `transfer` on real nodes."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rafty_transports.client import ReplyError
from rafty_transports.demo_cluster import free_ports
from rafty_transports.interfaces import Identity
from rafty_transports.tcp import TcpTransport
from tests.end_to_end.administering import ROOT, address_of, cluster_id_of, done, join, nodes_of, rafty, refused, start
from tests.end_to_end.cluster import EACH, Cluster, ask, wait_until


def roles(cluster: Cluster) -> dict[str, str]:
    """What each member is, as `rafty members` shows it."""
    rows = done("members", "--nodes", nodes_of(cluster)).splitlines()[2:]
    return {row.split()[0]: row.split()[2] for row in rows if not row.startswith("removed")}


@pytest.mark.parametrize("backend", EACH)
def test_cluster_of_one_becomes_another_cluster_of_one(tmp_path: Path, backend: str) -> None:
    """n2 and n3 come, n1 and n3 go; whoever is removed ends by itself and says so."""
    with Cluster(1, tmp_path, backends=(backend,)) as cluster:
        first = cluster.wait_for_leader()
        assert ask(first.client, [b"SET", b"a", b"1"]) == [b"OK"]
        second = join(cluster, "n2", backend)
        assert "waits to be added to rafty." in second.tail()
        nodes = nodes_of(cluster)
        assert done("add", "--nodes", nodes, "n2", address_of(second)) == "OK\n"
        assert roles(cluster) == {"n1": "voter", "n2": "voter"}
        assert ask(second.client, [b"GET", b"a"]) == [b"1"]
        third = join(cluster, "n3", backend)
        assert done("add", "--nodes", nodes, "n3", address_of(third), "--learner") == "OK\n"
        assert done("add", "--nodes", nodes, "n3", address_of(third), "--learner") == "OK\n"
        assert roles(cluster)["n3"] == "learner"
        done("promote", "--nodes", nodes, "n3")
        done("demote", "--nodes", nodes, "n2")
        assert roles(cluster) == {"n1": "voter", "n2": "learner", "n3": "voter"}
        done("promote", "--nodes", nodes, "n2")
        assert done("transfer", "--nodes", nodes, "n2") == "n2 leads\n"
        first.expected = third.expected = False
        assert done("remove", "--nodes", nodes_of(cluster), "n1", "n3") == "OK\n"
        wait_until(lambda: not first.running and not third.running, "the removed nodes end")
        assert (first.returncode, third.returncode) == (5, 5)
        assert "rafty: node n1 stopped: it was removed from the cluster" in first.tail()
        shown = done("members", "--nodes", nodes_of(cluster))
        assert shown.splitlines()[-1] == "removed for ever: n1,n3"
        assert ask(second.client, [b"SET", b"a", b"2"], [b"GET", b"a"]) == [b"OK", b"2"]


def test_leader_that_is_removed_finishes_the_change_and_ends(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        leader = cluster.wait_for_leader()
        fourth = join(cluster, "n4")
        leader.expected = False
        assert done("replace", "--nodes", nodes_of(cluster), leader.id, "n4", address_of(fourth)) == "OK\n"
        wait_until(lambda: not leader.running, "the old leader ends")
        assert leader.returncode == 5
        cluster.wait_for_leader()
        assert set(roles(cluster)) == {"n1", "n2", "n3", "n4"} - {leader.id}
        cluster.wait_until_equal()


def test_change_that_must_not_be_made(tmp_path: Path) -> None:
    """Each is refused with one sentence, and the members are as they were."""
    with Cluster(3, tmp_path) as cluster:
        leader = cluster.wait_for_leader()
        follower, other = (node for node in cluster.nodes.values() if node is not leader)
        nodes = nodes_of(cluster)
        before = done("members", "--nodes", nodes).splitlines()
        silent = f"127.0.0.1:{free_ports(1)[0]}"
        address = before[2].split()[1]
        asked = ("--nodes", nodes)
        assert "n7 is no member of this cluster" in refused(2, "remove", *asked, "n7")
        assert "n7 is no member of this cluster" in refused(2, "promote", *asked, "n7")
        assert "no voter would be left" in refused(2, "remove", *asked, "n1", "n2", "n3")
        assert "n2 is a member already" in refused(2, "add", *asked, "n2", silent)
        assert "n4" in refused(1, "add", *asked, "n4", silent)
        assert "is the address of n1 already" in refused(2, "add", *asked, "--force", "n4", address)
        assert "not 7" in refused(2, "remove", *asked, "n3", "--based-on", "7")
        assert "n7 is no voter" in refused(1, "transfer", *asked, "n7")
        other.kill()
        wait_until(lambda: "no" in done("members", *asked).split(f"{other.id} ", 1)[1].split("\n")[0], "it is missed")
        sentence = refused(1, "remove", "--nodes", leader.client, follower.id)
        assert f"too many are not heard now ({other.id})" in sentence
        after = done("members", *asked).splitlines()
        assert [row.split()[:3] for row in after] == [row.split()[:3] for row in before]


@contextmanager
def listener(identity: Identity, where: str) -> Iterator[None]:
    """A node that shakes hands, listens, and never says anything."""
    opened, ended = threading.Event(), threading.Event()

    async def listen() -> None:
        async with TcpTransport(identity, {}, where, admit=lambda peer: None) as transport:
            opened.set()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drop, transport)
                await anyio.to_thread.run_sync(ended.wait)
                tasks.cancel_scope.cancel()

    async def _drop(transport: TcpTransport) -> None:
        async for _ in transport:
            pass

    thread = threading.Thread(target=anyio.run, args=(listen,))
    thread.start()
    assert opened.wait(10)
    yield
    ended.set()
    thread.join(10)


@pytest.mark.slow
def test_second_change_is_refused_and_a_hopeless_one_is_undone(tmp_path: Path) -> None:
    """A node that nobody is at is not added, by force neither; one that never answers is given up in the end."""
    with Cluster(1, tmp_path) as cluster:
        cluster.wait_for_leader()
        asked = ("--nodes", nodes_of(cluster))
        where = f"127.0.0.1:{free_ports(1)[0]}"
        assert f"cannot connect to {where}: connection refused" in refused(1, "add", *asked, "--force", "n2", where)
        identity = Identity(cluster_id_of(cluster), "n2", "life", 1)
        command = [sys.executable, "-m", "rafty_transports", "add", *asked, "n2", where]
        with listener(identity, where), subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as first:
            wait_until(lambda: "voter-to-be" in done("members", *asked), "the change is under way")
            assert "another change of membership is under way" in refused(1, "remove", *asked, "n2")
            _, errors = first.communicate(timeout=30)
        assert first.returncode == 1
        assert "n2 is caught up" in errors
        assert errors.splitlines()[-1].startswith("rafty: nothing was changed: n2 has not been heard for")
        assert roles(cluster) == {"n1": "voter"}


def test_removed_node_returns_with_an_empty_data_directory_alone(tmp_path: Path) -> None:
    with Cluster(1, tmp_path) as cluster:
        cluster.wait_for_leader()
        second = join(cluster, "n2")
        nodes = nodes_of(cluster)
        done("add", "--nodes", nodes, "n2", address_of(second))
        second.expected = False
        done("remove", "--nodes", nodes, "n2")
        wait_until(lambda: not second.running, "the removed node ends")
        data = second.arguments[second.arguments.index("--data") + 1]
        second.start()
        second.expected = False
        wait_until(lambda: not second.running, "the removed node is told again")
        assert second.returncode == 5
        Path(data).rename(tmp_path / "old")
        second.start()
        wait_until(lambda: second.tail().count("waits to be added") >= 2, "it waits again")
        assert done("add", "--nodes", cluster.clients[0], "n2", address_of(second)) == "OK\n"
        cluster.wait_until_equal()


@pytest.mark.parametrize("backend", EACH)
def test_sessions_and_modes_of_reading_on_any_node(tmp_path: Path, backend: str) -> None:
    with Cluster(3, tmp_path, backends=(backend,)) as cluster:
        leader = cluster.wait_for_leader()
        follower = next(node for node in cluster.nodes.values() if node is not leader)
        session = str(ask(follower.client, [b"RAFTY", b"SESSION", b"OPEN"])[0]).encode()
        call = [b"RAFTY", b"SESSION", b"CALL", session, b"1", b"0", b"INCR", b"n"]
        assert ask(follower.client, call, call) == [1, 1]
        assert ask(leader.client, call) == [1]
        assert ask(leader.client, [b"RAFTY", b"LEASE", b"0.4", b"0.01"]) == [b"OK"]
        for node in cluster.nodes.values():
            lease, _, read = ask(node.client, [b"RAFTY", b"READ", b"LEASE"], [b"GET", b"n"], [b"GET", b"n"])
            assert (lease, read) == (b"OK", b"1")
        last = int(cluster.info(leader)["raft_last_index"])
        at_least = [b"RAFTY", b"READ", b"AT_LEAST", b"%d" % last]
        assert ask(follower.client, [b"READONLY"], at_least, [b"GET", b"n"]) == [b"OK", b"OK", b"1"]
        for node in cluster.nodes.values():
            if node is not follower:
                node.kill()
        stale, fresh = ask(follower.client, [b"READONLY"], [b"GET", b"n"])[1], ask(follower.client, [b"GET", b"n"])[0]
        assert stale == b"1"
        assert isinstance(fresh, ReplyError)
        assert fresh.code == "NOTLEADER"


def test_member_moves_to_another_address(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        cluster.wait_for_leader()
        third = cluster.nodes.pop("n3")
        third.stop()
        moved = start(cluster, "n3", "--data", tmp_path / "n3")
        assert done("address", "--nodes", nodes_of(cluster), "n3", address_of(moved)) == "OK\n"
        shown = done("members", "--nodes", nodes_of(cluster))
        assert address_of(moved) in shown
        ask(moved.client, [b"SET", b"a", b"1"])
        cluster.wait_until_equal()


def test_snapshot_shortens_the_log_of_each_node(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        leader = cluster.wait_for_leader()
        ask(leader.client, *[[b"SET", b"k%d" % number, b"v"] for number in range(50)])
        index = cluster.wait_until_equal()["applied_index"]
        lines = done("snapshot", "--nodes", nodes_of(cluster)).splitlines()
        assert [line.split(" has a snapshot of index ")[0] for line in lines] == cluster.clients
        assert all(f"of index {index}, " in line for line in lines)
        wait_until(
            lambda: {cluster.info(node)["raft_snapshot_index"] for node in cluster.nodes.values()} == {index}, "noted"
        )
        cluster.kill()
        cluster.start()
        cluster.wait_for_leader()
        cluster.wait_until_equal()
        assert ask(leader.client, [b"DBSIZE"]) == [50]
        assert rafty("snapshot", "--nodes", f"127.0.0.1:{free_ports(1)[0]}").returncode == 1
