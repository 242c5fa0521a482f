"""Leaving a node always ends, soon and clean, whenever it happens and whatever hangs."""

import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from rafty_core import Config, Configuration, ProposalError, Write
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.storage.sqlite import SqliteStore
from rafty_transports.tcp import TcpTransport
from tests.transports.nodes import QUICK, Recorder, until

pytestmark = pytest.mark.anyio

MOMENTS = [*range(60), *range(60, 400, 20)]
"""Turns of the event loop after which a run is cancelled: each of the first, then fewer."""

A_SAMPLE = [*range(0, 60, 5), *range(60, 400, 80)]

HASTY = Config(id="any", election_timeout=0.02, heartbeat_interval=0.005)


async def run_and_cancel_after(
    turns: int, directory: Path, voters: Sequence[str], peers: dict[str, str], *, once_busy: bool
) -> float:
    """Run a real node, cancel it after some turns of the event loop; return the seconds that leaving took.

    The turns are counted from the very beginning, or from the moment at which the node is busy: leads and writes, or
    stands for election if it has no peers that answer.
    """
    cancelled_at = 0.0
    busy = anyio.Event()

    async def cancel() -> None:
        nonlocal cancelled_at
        if once_busy:
            await busy.wait()
        for _ in range(turns):
            await anyio.lowlevel.checkpoint()
        cancelled_at = time.monotonic()
        everything.cancel()

    async def write(node: Node) -> None:
        while True:
            try:
                await node.propose(b"x", timeout=0.5)
            except ProposalError:
                await anyio.lowlevel.checkpoint()

    with anyio.CancelScope() as everything:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            store = SqliteStore.open(directory, node_id="n1", initial=Configuration.of(*voters))
            transport = TcpTransport(store.identity, peers, "127.0.0.1:0", admit=store.meet)
            async with Node(store, transport, Recorder(), config=HASTY) as node:
                tasks.start_soon(write, node)
                await until(lambda: node.status().role in ("leader", "pre_candidate"))
                busy.set()
                await anyio.sleep(20)
    return time.monotonic() - cancelled_at


@pytest.mark.parametrize("voters", [("n1",), ("n1", "n2", "n3")], ids=["alone", "peers-silent-and-absent"])
@pytest.mark.parametrize("once_busy", [False, True], ids=["from-the-start", "once-busy"])
@pytest.mark.parametrize("moments", [A_SAMPLE, pytest.param(MOMENTS, marks=pytest.mark.slow)], ids=["sample", "every"])
async def test_a_node_can_be_cancelled_at_every_checkpoint(
    voters: Sequence[str], once_busy: bool, moments: Sequence[int], tmp_path: Path
) -> None:
    # A peer that accepts connections (the kernel does) and never answers, and one that is not there.
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        peers = {"n2": f"127.0.0.1:{port}", "n3": "127.0.0.1:1"} if len(voters) > 1 else {}
        for turns in moments:
            # each time the lock of the data directory is free again, or this would fail
            seconds = await run_and_cancel_after(turns, tmp_path / "n1", voters, peers, once_busy=once_busy)
            assert seconds < 2, f"cancelled after {turns} turns, it took {seconds:.1f} s to leave"
    # One that was loading the store when its node was cancelled ends a moment later.
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name.startswith("rafty")], 2.0)


async def test_a_disk_call_that_hangs_is_named_and_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    class Hanging(MemoryStore):
        def write(self, writes: Sequence[Write]) -> None:
            release.wait(30)

    began = time.monotonic()
    try:
        with caplog.at_level(logging.ERROR, "rafty"):
            store = Hanging("n1", Configuration.of("n1"))
            async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
                await until(lambda: node.status().role == "candidate")
                began = time.monotonic()
    finally:
        release.set()
    assert time.monotonic() - began < 2
    assert "a write to the store has not returned for" in caplog.text


async def test_what_was_asked_of_the_disk_before_leaving_is_written(tmp_path: Path) -> None:
    store = SqliteStore.open(tmp_path / "n1", node_id="n1", initial=Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
        await node.propose(b"x")
        last = node.status().last_index
    again = SqliteStore.open(tmp_path / "n1", node_id="n1")
    try:
        assert again.load().batches[-1].last == last
    finally:
        again.close()
