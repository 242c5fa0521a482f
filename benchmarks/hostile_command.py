"""`python -m benchmarks hostile`: writes to a cluster whose leader is attacked from all sides, beside the quiet one.

Law: *the cluster keeps its leader; what the attack costs is told beside what the same writes cost without it.*

Three processes of `rafty serve` on loopback, without certificates. One client writes, one write after the other, to the
leader. The attackers are a process of their own, and take part of the machine's processors as every load does: on two
cores that is most of what can be seen.
"""

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import anyio

from benchmarks.hostile import ATTACKS, Target, attack
from benchmarks.options import installed_backends, say
from benchmarks.processes import BenchmarkError, WrongOption
from benchmarks.report import table
from rafty_transports.demo_cluster import LocalCluster, NodeProcess
from tests.end_to_end.asking import ask, pairs_of

HELP = "writes to a cluster whose leader is attacked from all sides, beside the quiet one"
HEADINGS = ("phase", "term", "writes", "failed", "p50 ms", "p99 ms", "most ms", "leader MiB", "followers MiB")


def add_command(commands: Any) -> None:
    """Add the command and its options."""
    command = commands.add_parser("hostile", help=HELP, description=f"{HELP.capitalize()}.")
    command.add_argument("--seconds", type=float, default=8.0, help="of each phase (default 8)")
    command.add_argument("--repeats", type=int, default=3, help="quiet and attacked in turn (default 3)")
    command.add_argument("--backend", default="asyncio", help="the event loop of the nodes (default asyncio)")
    command.set_defaults(run=run_hostile)


def run_hostile(options: argparse.Namespace) -> None:
    """Quiet and attacked in turn; then the report. Raises `BenchmarkError`."""
    if not 0.5 <= options.seconds <= 600 or options.repeats < 1:
        raise WrongOption("--seconds takes a time from 0.5 to 600, --repeats numbers from 1")
    if options.backend not in installed_backends():
        raise WrongOption(f"{options.backend}: not installed, or no event loop that is known here")
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as directory:
        cluster = LocalCluster(3, Path(directory), backends=(options.backend,))
        with cluster:
            cluster.start()
            leader = _wait_for_leader(cluster)
            _write(leader, 1.0)
            for _ in range(options.repeats):
                rows.append(["quiet", *_phase(cluster, leader, options.seconds)])
                say("  ".join(rows[-1]))
                attacker = multiprocessing.get_context("spawn").Process(target=_attack, args=(_target(leader),))
                attacker.start()
                try:
                    time.sleep(1.0)
                    rows.append(["attacked", *_phase(cluster, leader, options.seconds)])
                finally:
                    attacker.kill()
                    attacker.join()
                say("  ".join(rows[-1]))
            status = _status(leader)
    print(table(HEADINGS, rows, left=1))
    print("\nrefused by the leader, by reason:")
    for name, value in status.items():
        if name.startswith("refused.") and value != "0":
            print(f"  {name[8:]:28} {int(value):10,}")
    print(f"violations that were counted: {int(status['violations']):,}")
    print("\nattackers at a time: " + ", ".join(f"{name} {many}" for name, (_, many) in ATTACKS.items()))


def _attack(words: tuple[str, str, str, str]) -> None:
    anyio.run(attack, Target(*words))


def _status(node: NodeProcess) -> dict[str, str]:
    return pairs_of(ask(node.client, [b"RAFTY", b"STATUS"])[0])


def _wait_for_leader(cluster: LocalCluster) -> NodeProcess:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for node in cluster.nodes.values():
            try:
                if _status(node)["role"] == "leader":
                    return node
            except OSError:
                continue
        time.sleep(0.1)
    raise BenchmarkError("the cluster found no leader within 20 s")


def _target(leader: NodeProcess) -> tuple[str, str, str, str]:
    pairs = pairs_of(ask(leader.client, [b"RAFTY", b"MEMBERS"])[0])
    facts = dict(fact.split("=", 1) for fact in pairs[f"member.{leader.id}"].split(","))
    return leader.id, pairs["cluster_id"], facts["address"], leader.client


def _write(node: NodeProcess, seconds: float) -> tuple[list[float], int]:
    """Latencies of writes in seconds, one after the other, and how many failed."""
    latencies, failed = [], 0
    end = time.monotonic() + seconds
    while (began := time.perf_counter()) and time.monotonic() < end:
        try:
            failed += ask(node.client, [b"SET", b"key", b"x" * 256])[0] != b"OK"
        except OSError:
            failed += 1
        latencies.append(time.perf_counter() - began)
    return latencies, failed


def _phase(cluster: LocalCluster, leader: NodeProcess, seconds: float) -> list[str]:
    latencies, failed = _write(leader, seconds)
    status = _status(leader)
    if status["role"] != "leader":
        raise BenchmarkError(f"{leader.id} leads no more: it is {status['role']} in term {status['term']}")
    quantiles = statistics.quantiles(latencies, n=100)
    times = [f"{number * 1e3:.1f}" for number in (quantiles[49], quantiles[98], max(latencies))]
    followers = [_memory(node) for node in cluster.nodes.values() if node is not leader]
    memory = [f"{_memory(leader):.0f}", f"{max(followers):.0f}"]
    return [status["term"], f"{len(latencies):,}", str(failed), *times, *memory]


def _memory(node: NodeProcess) -> float:
    """The memory of this process that is resident, in MiB."""
    if node.process is None:
        raise BenchmarkError(f"{node.id} does not run")
    text = Path(f"/proc/{node.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024
