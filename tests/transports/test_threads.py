"""Threads for calls that may block: results come back, hanging ones keep nobody."""

import subprocess
import sys
import threading
from pathlib import Path

import anyio
import pytest

from rafty_transports.handshake import Admission
from rafty_transports.interfaces import Identity
from rafty_transports.threads import OneEach, run_in_daemon
from tests.transports.connections import identity, until

pytestmark = pytest.mark.anyio

HUNG_ADMIT = """
import sys, threading
import anyio
from rafty_core import Configuration
from rafty_transports.storage.memory import MemoryStore
from rafty_transports.tcp import TcpTransport

entered = threading.Event()

def hang(_):
    entered.set()
    threading.Event().wait()

async def main():
    store = {name: MemoryStore(name, Configuration.of("n1", "n2")) for name in ("n1", "n2")}
    two = TcpTransport(store["n2"].identity, {"n1": "127.0.0.1:1"}, "127.0.0.1:0", admit=store["n2"].meet)
    async with two:
        one = TcpTransport(store["n1"].identity, {"n2": two.address}, "127.0.0.1:0", admit=hang)
        async with one:
            while not entered.is_set():
                await anyio.sleep(0.01)

anyio.run(main, backend=sys.argv[1])
print("ended")
"""


async def test_process_ends_while_the_disk_hangs_in_a_handshake(anyio_backend_name: str) -> None:
    command = [sys.executable, "-c", HUNG_ADMIT, anyio_backend_name]
    with anyio.fail_after(20):
        done = await anyio.run_process(command, cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    assert done.stdout == b"ended\n"


async def test_result_and_exception_come_back() -> None:
    def fail() -> None:
        raise LookupError(threading.current_thread().daemon)

    assert await run_in_daemon(divmod, 7, 2) == (3, 1)
    with pytest.raises(LookupError, match="True"):
        await run_in_daemon(fail)


async def test_cancelled_call_is_left_behind_and_its_end_is_told() -> None:
    release, ended = threading.Event(), anyio.Event()
    with anyio.move_on_after(0.05) as scope:
        await run_in_daemon(release.wait, 10, ended=ended.set)
    assert scope.cancelled_caught
    assert not ended.is_set()
    release.set()
    with anyio.fail_after(5):
        await ended.wait()


async def test_one_call_at_a_time_for_each_key_those_left_behind_included() -> None:
    release = threading.Event()
    entered: list[str] = []

    def wait(key: str) -> None:
        entered.append(key)
        release.wait(10)

    calls = OneEach()
    for _ in range(3):
        with anyio.move_on_after(0.05):
            await calls.run("a", wait, "a")
    with anyio.move_on_after(0.05):
        await calls.run("b", wait, "b")
    assert entered == ["a", "b"]
    release.set()
    with anyio.fail_after(5):
        await calls.run("a", wait, "a")
    assert entered == ["a", "b", "a"]


async def test_hanging_store_costs_one_thread_for_each_peer_however_often_it_comes() -> None:
    release = threading.Event()
    asked: list[str] = []

    def hang(peer: Identity) -> None:
        asked.append(peer.node_id)
        release.wait(10)

    admission = Admission(hang)
    try:
        for _ in range(3):
            for name in ("n2", "n3"):
                with anyio.move_on_after(0.05):
                    await admission.ask(identity(name))
        assert asked == ["n2", "n3"]
    finally:
        release.set()
    await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "rafty hang"])
