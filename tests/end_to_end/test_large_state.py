"""A large state goes to a new node while clients write: they hardly notice, and nobody stands for election."""

import threading
import time
from pathlib import Path

import pytest

from rafty_transports.client import Reply
from rafty_transports.demo_cluster import NodeProcess
from tests.end_to_end.cluster import EACH, Writer, ask, wait_for_progress, wait_until
from tests.end_to_end.growing import GrowingCluster, Request, listen_of, members_told, wait_for_service
from tests.end_to_end.test_sessions_through_leader_kills import tell

MEGABYTE = 1_000_000
VALUE = 8_000
REQUESTS = 100
"""Values that are written with one call."""


def fill(address: str, megabytes: int) -> int:
    """Write a state of this size; returns how many keys it has."""
    count = megabytes * MEGABYTE // VALUE
    for start in range(0, count, REQUESTS):
        numbers = range(start, min(start + REQUESTS, count))
        replies = ask(address, *[[b"SET", b"filled %d" % number, value_of(number)] for number in numbers], timeout=30.0)
        assert set(map(str, replies)) == {"b'OK'"}, replies[:3]
    return count


def value_of(number: int) -> bytes:
    """What stands under this number: every value another one."""
    return (b"%d " % number) * (VALUE // len(b"%d " % number))


def acknowledged(writers: list[Writer]) -> int:
    """How many writes were acknowledged until now."""
    return sum(len(writer.acknowledged) for writer in writers)


class Slowest(threading.Thread):
    """Watches for how long nothing is acknowledged."""

    def __init__(self, writers: list[Writer]) -> None:
        super().__init__(name="slowest", daemon=True)
        self._writers = writers
        self._ended = threading.Event()
        self._longest = 0.0
        self.start()

    def run(self) -> None:
        seen, since = acknowledged(self._writers), time.monotonic()
        while not self._ended.wait(0.005):
            now, found = time.monotonic(), acknowledged(self._writers)
            self._longest = max(self._longest, now - since)
            if found != seen:
                seen, since = found, now

    def end(self) -> float:
        """Stop; the longest time in seconds."""
        self._ended.set()
        self.join(5.0)
        return self._longest


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("megabytes", [8, pytest.param(200, marks=pytest.mark.slow)], ids=["8 MB", "200 MB"])
def test_large_state_goes_to_a_new_node_while_clients_write(
    tmp_path: Path, backend: str, megabytes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=megabytes * MEGABYTE // 4, trailing=50) as cluster:
        leader = cluster.wait_for_leader()
        keys = fill(leader.client, megabytes)
        snapshot = ask(leader.client, [b"RAFTY", b"SNAPSHOT"], timeout=60.0)[0]
        assert isinstance(snapshot, bytes) or "being taken already" in str(snapshot), snapshot
        wait_until(lambda: int(cluster.info(leader)["raft_first_index"]) > keys // 2, "the log alone is not enough")
        writers = [Writer(number, [leader.client]) for number in range(2)]
        for writer in writers:
            writer.start()
        wait_for_progress(writers, 200)
        term = cluster.info(leader)["raft_term"]
        began, before = time.monotonic(), acknowledged(writers)
        wait_until(lambda: time.monotonic() > began + 1.0, "a second of writes")
        alone = (acknowledged(writers) - before) / (time.monotonic() - began)

        cluster.join("n4")
        newcomer = cluster.nodes["n4"]
        wait_for_service(newcomer)
        began, before, slowest = time.monotonic(), acknowledged(writers), Slowest(writers)
        cluster.change("ADD", "n4", listen_of(newcomer))
        took = time.monotonic() - began
        beside = (acknowledged(writers) - before) / took
        longest = slowest.end()
        for writer in writers:
            writer.stop()
            assert not writer.strange
        assert cluster.info(leader)["raft_term"] == term, "an election was held"
        assert beside > alone / 20, f"{beside:.0f} writes per second during the transfer, {alone:.0f} before it"
        cluster.check_everywhere([key for writer in writers for key in writer.acknowledged])
        check_filled(newcomer, keys)
        assert int(cluster.info(newcomer)["raft_snapshot_index"]) > 0
        assert set(cluster.check_one_leader_in_each_term()) == {int(term)}
    tell(
        capsys,
        f"{megabytes} MB to a new node: {took:.1f} s; acknowledged writes per second {beside:.0f} meanwhile, "
        f"{alone:.0f} before; longest pause {longest:.2f} s, {backend}",
    )


def check_filled(node: NodeProcess, keys: int) -> None:
    """Fail unless this node has what `fill` wrote."""
    numbers = [*range(0, keys, max(1, keys // 50)), keys - 1]
    replies: list[Reply] = ask(node.client, *[[b"GET", b"filled %d" % number] for number in numbers], timeout=30.0)
    assert replies == [value_of(number) for number in numbers]


@pytest.mark.parametrize("backend", EACH)
def test_transfer_goes_on_though_receiver_and_sender_are_killed(tmp_path: Path, backend: str) -> None:
    """The receiver starts again and goes on; then another node leads, which goes on with the change, or undoes it."""
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=4 * MEGABYTE, trailing=50) as cluster:
        leader = cluster.wait_for_leader()
        keys = fill(leader.client, 16)
        wait_until(lambda: int(cluster.info(leader)["raft_first_index"]) > keys // 2, "the log alone is not enough")
        cluster.join("n4")
        newcomer = cluster.nodes["n4"]
        wait_for_service(newcomer)
        request = Request(leader, "RAFTY", "MEMBER", "ADD", "n4", listen_of(newcomer))
        for killed in (newcomer, leader):
            wait_until(lambda: is_fetching(cluster, newcomer) or is_voter(newcomer), "n4 fetches a snapshot")
            killed.kill()
            killed.start()
        wait_until(lambda: bool(cluster.voters()), "the change is done or undone, whoever leads", 40.0)
        request.join(20.0)
        assert request.reply is not None
        if "n4" not in cluster.voters():  # it was given up while n4 was away for too long: the snapshot is there now
            cluster.change("ADD", "n4", listen_of(newcomer))
        cluster.wait_for_voters("n1", "n2", "n3", "n4")
        for node in cluster.nodes.values():
            wait_for_service(node)
        cluster.wait_for_leader()
        cluster.wait_until_equal(30.0)
        check_filled(newcomer, keys)
        cluster.check_one_leader_in_each_term()


def is_fetching(cluster: GrowingCluster, node: NodeProcess) -> bool:
    """Whether some of a snapshot has come to this node, and not all of it."""
    told = [text for name, text in cluster.info(node).items() if name.startswith("raft_snapshot.")]
    return any("from=" in text and ",done=0," not in text for text in told)


def is_voter(node: NodeProcess) -> bool:
    """Whether this node votes, as it has it itself."""
    try:
        return "role=voter," in members_told(node).get(f"member.{node.id}", "")
    except OSError:
        return False
