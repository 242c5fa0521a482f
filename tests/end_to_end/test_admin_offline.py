"""`rafty backup`, `restore`, `recover` and `serve --restored`, with real nodes before and after."""

import shutil
from pathlib import Path

import pytest

from rafty_transports.demo_cluster import free_ports
from rafty_transports.storage import SqliteStore
from tests.end_to_end.administering import (
    address_of,
    cluster_id_of,
    done,
    join,
    nodes_of,
    refused,
    start,
)
from tests.end_to_end.cluster import EACH, Cluster, ask, wait_until
from tests.end_to_end.test_bad_input import snapshot


def write(address: str, first: int, count: int) -> None:
    """Write keys of these numbers through this node."""
    requests = [[b"SET", b"k%d" % number, b"v%d" % number] for number in range(first, first + count)]
    assert ask(address, *requests) == [b"OK"] * count


def contents(directory: Path) -> dict[str, bytes]:
    """What lies in a data directory, but for the file that sqlite keeps for readers, which says nothing."""
    return {path: kept for path, (_, kept) in snapshot(directory).items() if not path.endswith("-shm")}


def made(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.mark.parametrize("backend", EACH)
def test_backup_becomes_another_cluster(tmp_path: Path, backend: str) -> None:
    file, data = tmp_path / "b.rafty", tmp_path / "new"
    with Cluster(3, tmp_path, backends=(backend,)) as cluster:
        leader = cluster.wait_for_leader()
        write(leader.client, 0, 300)
        assert ask(leader.client, [b"SET", b"large", bytes(1_000_000)], [b"SET", b"large2", bytes(1_000_000)])
        said = done("backup", "--nodes", nodes_of(cluster), file)
        assert said.startswith(f"{file} holds what was applied at index ")
        assert "overwrites nothing" in refused(2, "backup", "--nodes", nodes_of(cluster), file)
        write(leader.client, 300, 10)
        digest = cluster.wait_until_equal()["kv_digest"]
        old_id = cluster_id_of(cluster)
    own = f"127.0.0.1:{free_ports(1)[0]}"
    said = done("restore", file, "--data", data, "--id", "n1", "--cluster", f"n1={own}")
    new_id = said.split("new cluster ")[1].split()[0]
    assert f"it holds what cluster {old_id} had at index" in said
    assert new_id != old_id
    with Cluster(1, made(tmp_path / "other"), idle=True) as cluster:
        cluster.nodes.clear()
        first = start(cluster, "n1", "--data", data, backend=backend, listen=own)
        cluster.wait_for_leader()
        assert cluster_id_of(cluster) == new_id
        assert ask(first.client, [b"DBSIZE"], [b"GET", b"k299"], [b"GET", b"k300"]) == [302, b"v299", None]
        second = join(cluster, "n2", backend)
        done("add", "--nodes", nodes_of(cluster), "n2", address_of(second))
        write(second.client, 300, 10)
        assert cluster.wait_until_equal()["kv_digest"] == digest


@pytest.mark.slow
def test_backup_from_nobody_leaves_nothing(tmp_path: Path) -> None:
    with Cluster(3, made(tmp_path / "c")) as cluster:
        survivor, *others = cluster.nodes.values()
        cluster.wait_for_leader()
        write(survivor.client, 0, 10)
        cluster.wait_until_equal()
        for node in others:
            node.kill()
        before = snapshot(tmp_path)
        sentence = refused(1, "backup", "--nodes", nodes_of(cluster), tmp_path / "b.rafty", "--timeout", "8")
        assert "there is no backup: " in sentence
        assert "connection refused" in sentence
        assert snapshot(tmp_path).keys() == before.keys()
        assert "holds" in done("backup", "--nodes", survivor.client, tmp_path / "b.rafty", "--stale")
        assert "cannot be written" in refused(2, "backup", "--nodes", survivor.client, tmp_path / "no" / "b.rafty")


def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    file, data = tmp_path / "b.rafty", tmp_path / "new"
    with Cluster(1, made(tmp_path / "c")) as cluster:
        node = cluster.wait_for_leader()
        write(node.client, 0, 100)
        done("backup", "--nodes", node.client, file)
    content = file.read_bytes()
    onto = ("--data", data, "--id", "n1", "--cluster", "n1=127.0.0.1:9999")
    newer = content[:8] + (9).to_bytes(4, "big") + content[12:]
    for damaged, words in (
        (content[:-1], "was cut short"),
        (content[: len(content) // 2], "was cut short"),
        (content[:10], "was cut short"),
        (b"", "was cut short"),
        (content[:-200] + bytes([content[-200] ^ 1]) + content[-199:], "does not match its digest"),
        (content[:30] + bytes([content[30] ^ 1]) + content[31:], "does not match its CRC"),
        (newer, "b.rafty is "),
        (b"x" + content[1:], "is no snapshot of rafty"),
    ):
        file.write_bytes(damaged)
        assert words in refused(2, "restore", file, *onto)
        assert not data.exists()
    file.write_bytes(content)
    assert "cannot be read" in refused(2, "restore", tmp_path / "none", *onto)
    two = "n1=127.0.0.1:9999,n2=127.0.0.1:9998"
    assert "cluster of one" in refused(2, "restore", file, "--data", data, "--id", "n1", "--cluster", two)
    done("restore", file, *onto)
    before = snapshot(data)
    assert "holds a store already" in refused(2, "restore", file, *onto)
    assert snapshot(data) == before


@pytest.mark.parametrize("backend", EACH)
def test_survivor_of_three_goes_on_and_the_others_cannot_come_back(tmp_path: Path, backend: str) -> None:
    with Cluster(3, tmp_path, backends=(backend,)) as cluster:
        leader = cluster.wait_for_leader()
        write(leader.client, 0, 100)
        before = cluster.wait_until_equal()
        old_id = cluster_id_of(cluster)
        first, second, third = cluster.nodes.values()
        data = tmp_path / "n1"
        assert "is in use by process" in refused(2, "recover", "--data", data)
        cluster.kill()
        found = contents(data)
        said = done("recover", "--data", data)
        assert f"n1 of cluster {old_id}, in term {before['term']}" in said
        assert f"its log ends at index {before['last_index']}, term" in said
        assert "given up for lost: n2 (127.0.0.1:" in said
        assert said.splitlines()[-1].startswith("nothing was changed; give --yes")
        assert contents(data) == found
        said = done("recover", "--data", data, "--yes")
        new_id = said.split("new cluster ")[1].split(";")[0]
        assert new_id != old_id
        address = next(pair[3:] for pair in first.arguments[1].split(",") if pair.startswith("n1="))
        cluster.nodes.clear()
        alone = start(cluster, "n1", "--data", data, "--advertise", address, backend=backend)
        cluster.wait_for_leader()
        assert cluster_id_of(cluster) == new_id
        assert ask(alone.client, [b"DBSIZE"]) == [100]
        for node in (second, third):
            node.start()
            cluster.nodes[node.id] = node
        others = Cluster(1, tmp_path / "none", idle=True)
        others.nodes = {node.id: node for node in (second, third)}
        others.wait_for_leader()  # the old cluster still has a majority, and goes on by itself
        write(alone.client, 100, 10)
        assert ask(alone.client, [b"DBSIZE"]) == [110]
        assert ask(second.client, [b"DBSIZE"]) == [100]
        assert cluster.info(alone)["raft_voters"].startswith("n1=")


def test_recover_of_what_is_no_data_directory(tmp_path: Path) -> None:
    assert "holds no store" in refused(2, "recover", "--data", tmp_path / "none")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "raft.db").write_bytes(b"mine")
    assert "is damaged" in refused(2, "recover", "--data", tmp_path / "data", "--yes")


@pytest.mark.slow
def test_older_copy_of_a_data_directory_begins_anew(tmp_path: Path) -> None:
    """The others refuse the old copy; --restored makes a new incarnation of it, which is removed and added again."""
    with Cluster(3, tmp_path) as cluster:
        cluster.wait_for_leader()
        first, second, third = cluster.nodes.values()
        write(first.client, 0, 20)
        cluster.wait_until_equal()
        third.stop()
        shutil.copytree(tmp_path / "n3", tmp_path / "copy")
        third.start()
        wait_until(lambda: bool(cluster.info(third).get("raft_leader", "none") != "none"), "n3 is back")
        third.kill()
        shutil.rmtree(tmp_path / "n3")
        shutil.move(tmp_path / "copy", tmp_path / "n3")
        own = next(pair[3:] for pair in third.arguments[1].split(",") if pair.startswith("n3="))
        cluster.nodes.pop("n3")
        anew = start(cluster, "n3", "--data", tmp_path / "n3", "--restored", "--advertise", own)
        assert f"its old data directory is kept as {tmp_path / 'n3.before-restored'}" in anew.tail()
        assert "remove n3 with `rafty remove`, then add it again" in anew.tail()
        nodes = nodes_of(cluster)
        done("remove", "--nodes", nodes, "n3", "--timeout", "15")
        done("add", "--nodes", nodes, "n3", address_of(anew), "--timeout", "15")
        write(second.client, 20, 20)
        cluster.wait_until_equal()
        anew.stop()
        arguments = ("serve", "--id", "n3", *anew.arguments)
        assert "is there from an earlier start with --restored" in refused(2, *arguments)
        anew.arguments.remove("--restored")
        anew.start()
        cluster.wait_until_equal()


def test_joining_is_told_what_does_not_fit(tmp_path: Path) -> None:
    data = tmp_path / "data"
    address = ("--client", "127.0.0.1:9997", "--listen", "127.0.0.1:9996")
    serve = ("serve", "--id", "n1", "--data", data, *address)
    assert "holds no store" in refused(2, *serve)
    assert "is no cluster id" in refused(2, *serve, "--join", "rafty")
    assert "give one of them" in refused(2, *serve, "--join", "rafty.1", "--cluster", "n1=127.0.0.1:9996")
    assert "give --listen" in refused(2, "serve", "--id", "n1", "--data", data, "--client", "127.0.0.1:9997")
    assert "holds no store" in refused(2, *serve, "--restored", "--join", "rafty.1")
    SqliteStore.open(data, node_id="n2", join="rafty.1").close()
    before = snapshot(data)
    assert "belongs to node n2, not to n1" in refused(2, *serve)
    assert "belongs to node n2 of cluster rafty.1, not to n1" in refused(2, *serve, "--restored")
    assert snapshot(data) == before
