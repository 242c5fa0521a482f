"""`rafty demo` proves what it says, and finds what it should find."""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from rafty_transports.client import Reply, ReplyError
from rafty_transports.demo import Demo
from rafty_transports.demo_screen import Screen
from rafty_transports.demo_writers import Ledger, read_back
from rafty_transports.exits import CommandFailed
from tests.end_to_end.cluster import Cluster, ask, wait_until

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> list[str]:
    """The command line of the demonstration."""
    return [sys.executable, "-m", "rafty_transports", "demo", *arguments]


@pytest.mark.parametrize("backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def test_demo_proves_that_nothing_was_lost(tmp_path: Path, backend: str) -> None:
    """All of the story is told, the exit code is 0, and nothing stays behind."""
    command, environment = demo("--seconds", "3", "--backend", backend), {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    story = (
        "starting 3 nodes",
        "leads in term",
        "with SIGKILL",
        "s after the kill",
        "none was",
        "started",
        "caught up",
    )
    position = 0
    for part in story:
        position = done.stdout.index(part, position)
    proof = done.stdout.splitlines()[-3:]
    assert re.match(r"1\. Nothing lost: all [1-9][\d,]* acknowledged writes were read back", proof[0])
    assert re.match(r"2\. All equal: each of 3 nodes holds exactly the [\d,]+ keys", proof[1])
    assert re.match(r"3\. n\d was killed with SIGKILL while it led; n\d led \d+\.\d\d s later", proof[2])
    assert re.search(rf"starting 3 nodes in {re.escape(str(tmp_path))}/rafty-demo-", done.stdout)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the node is found in /proc, which only Linux has")
def test_demo_says_which_node_died_by_itself(tmp_path: Path) -> None:
    """One of its nodes is killed by somebody else: exit code 1, a sentence, the end of that node's log."""
    data = tmp_path / "data"
    with subprocess.Popen(
        demo("--dir", str(data)), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        wait_until(lambda: (data / "n3.log").exists() and b"serves" in (data / "n3.log").read_bytes(), "n3 serves")
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and os.fsencode(data / "n3") + b"\0" in command_line(entry):
                os.kill(int(entry.name), signal.SIGKILL)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"n3 ended by itself (exit code -9); its log ends:" in errors
    assert b"n3 serves clients on" in errors
    assert b"Traceback" not in errors


def command_line(entry: Path) -> bytes:
    """The command line of a process in /proc; empty if it is gone."""
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.skipif(sys.platform != "linux", reason="the node is told of its parent's death by Linux")
def test_node_does_not_outlive_the_parent_it_was_given() -> None:
    """Whoever is not its parent any more, or never was, ends it at once."""
    command = [sys.executable, "-m", "rafty_transports", "serve", "--id", "n1", "--cluster", "n1=127.0.0.1:1"]
    command += ["--data", "/nowhere/data", "--client", "127.0.0.1:2", "--die-with-parent", "1"]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=20, check=False)
    assert done.returncode == -signal.SIGKILL
    assert time.monotonic() - started < 5.0


@pytest.mark.anyio
async def test_demo_finds_a_lost_write_a_wrong_value_and_a_difference(tmp_path: Path) -> None:
    """A ledger that claims more than was written stands for a cluster that lost it."""
    with Cluster(3, tmp_path) as cluster:
        leader = await anyio.to_thread.run_sync(cluster.wait_for_leader)
        call = partial(anyio.to_thread.run_sync, abandon_on_cancel=True)
        judge = Demo(cluster, Screen())
        ledger = judge.ledger
        keys = [b"demo:0:%d" % number for number in range(600)]
        writes = [[b"SET", key, ledger.value(key)] for key in keys]
        assert set(await call(partial(ask, leader.client, *writes))) == {b"OK"}
        ledger.acknowledged += keys
        ledger.unknown += [b"demo:1:0"]
        await judge.verify()

        await call(partial(ask, leader.client, [b"SET", b"foreign", b"x"]))
        with pytest.raises(CommandFailed, match=r"DIFFERENT STATES: n1 holds 601 keys"):
            await judge.verify()
        await call(partial(ask, leader.client, [b"DEL", b"foreign", keys[599]]))
        with pytest.raises(CommandFailed, match=r"LOST WRITES: .* 1 of 600 acknowledged writes are missing"):
            await judge.verify()
        await call(partial(ask, leader.client, [b"SET", keys[599], ledger.value(keys[0])]))
        found = await read_back(ledger, leader.client)
        assert (found.missing, found.wrong) == ([], [keys[599]])


@pytest.mark.anyio
async def test_demo_without_a_leader_shows_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One node of three finds no majority: the demonstration gives up with a sentence and what the nodes said."""
    monkeypatch.setattr("rafty_transports.demo.LEADER_SECONDS", 2.5)
    with Cluster(3, tmp_path, idle=True) as cluster:
        cluster.nodes["n1"].start()
        with pytest.raises(CommandFailed, match=r"no node led within 2\.5 s; the logs end:\nn1: n1 serves clients"):
            await Demo(cluster, Screen()).wait_for_leader()


@pytest.mark.anyio
async def test_ledger_tells_acknowledged_from_unknown_and_refused() -> None:
    ledger = Ledger()
    ledger.watch()
    replies: list[Reply] = [b"OK", ReplyError("UNKNOWN why"), ReplyError("NOTLEADER why"), ReplyError("OVERLOADED why")]
    assert not ledger.note([b"a", b"b", b"c", b"d"], replies)
    assert ledger.note([b"e"], [b"OK"])
    assert (ledger.acknowledged, ledger.unknown, ledger.refused) == ([b"a", b"e"], [b"b"], 2)
    with pytest.raises(CommandFailed, match="refused"):
        ledger.note([b"f"], [ReplyError("ERR no")])
    with pytest.raises(CommandFailed, match="no answer to a write"):
        ledger.note([b"f"], [7])
