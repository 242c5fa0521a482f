"""One row, run once: three processes on loopback with data of their own, a load, and the proof that they agree.

Law: *each run starts a new cluster and ends with equal state on its three members, or gives no figure.*
"""

import contextlib
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.disks import bare_sync_ms
from benchmarks.processes import BenchmarkError, Child, Family
from benchmarks.rows import RAFTY, Load, Row

MEMBERS = ("n1", "n2", "n3")

START_SECONDS = 15.0
"""For three processes to start and elect a leader."""

SETTLE_SECONDS = 15.0
"""For followers to apply what the leader has applied."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of a row gave. `cpu_us` is processor time of all members for each call; `asked_cpu` the share of
    one core of the member that is asked (for writes the leader), with the load where it is in its process."""

    result: dict[str, Any]
    fdatasync_ms: float
    cpu_us: float | None
    asked_cpu: float | None


@contextlib.contextmanager
def temporary_directory(parent: Path) -> Iterator[Path]:
    """A directory below `parent` that is gone afterwards, at whatever instruction an interrupt may come."""
    path = parent / f"rafty-benchmark-{secrets.token_hex(8)}"
    try:
        path.mkdir()
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def run_row(row: Row, load: Load, directory: Path, pysyncobj: str | None) -> Run:
    """Run this row once in a temporary directory below `directory`. Raises `BenchmarkError`."""
    with temporary_directory(directory) as data:
        sync_ms = bare_sync_ms(data)
        with Family() as family:
            members, ports = start_members(family, row, load, data, pysyncobj)
            leader = wait_for_leader(members)
            client = client_of(family, row, load, data, leader, ports)
            result, cpu = measure(client, load_request(row, load), members, load)
            wait_for_agreement(members, at_least=result["completed"])
            check_leader(row.name, leader)
    return run_of(result, sync_ms, cpu, leader, load)


def start_members(
    family: Family, row: Row, load: Load, data: Path, pysyncobj: str | None
) -> tuple[list[Child], dict[str, int]]:
    """Three members of this row's system; and the port of each one's service, if it has one."""
    if row.system == RAFTY:
        return start_rafty(family, row, load, data)
    return start_pysyncobj(family, row, data, pysyncobj or sys.executable), {}


def client_of(
    family: Family, row: Row, load: Load, data: Path, asked: Child, ports: dict[str, int], **setup: Any
) -> Child:
    """Who makes the load of this row on this member: the member itself, or another process with connections."""
    if not row.style.startswith("resp"):
        return asked
    client = family.start("the client", [sys.executable, "-m", "benchmarks.resp_client"], data / "client.log")
    connections = min(row.in_flight, load.callers if row.style == "resp-pipelined" else row.in_flight)
    client.ask(30.0, port=ports[asked.name], connections=connections, **setup)
    return client


def check_leader(what: str, leader: Child) -> None:
    """Raise `BenchmarkError` unless it still leads."""
    if leader.ask(do="status")["role"] != "leader":
        raise BenchmarkError(f"{what}: the leader was replaced during the load")


def run_of(result: dict[str, Any], sync_ms: float, cpu: dict[str, float | None], asked: Child, load: Load) -> Run:
    """What the run gave, with processor time for each call."""
    total = None if None in cpu.values() else sum(used for used in cpu.values() if used is not None)
    own = cpu[asked.name]
    return Run(
        result=result,
        fdatasync_ms=sync_ms,
        cpu_us=1e6 * total / (result["rate"] * load.seconds) if total is not None and result["completed"] else None,
        asked_cpu=own / load.seconds if own is not None else None,
    )


def start_rafty(family: Family, row: Row, load: Load, data: Path) -> tuple[list[Child], dict[str, int]]:
    """Three members that know each other's addresses; and the port of each one's service."""
    members = []
    for name in MEMBERS:
        child = family.start(name, [sys.executable, "-m", "benchmarks.member"], data / f"{name}.log")
        child.tell(
            id=name,
            voters=MEMBERS,
            directory=str(data / name),
            backend=row.variant,
            connections=row.in_flight + 16,
        )
        members.append(child)
    hellos = {child.name: child.answer(START_SECONDS) for child in members}
    for child in members:
        peers = {name: hello["address"] for name, hello in hellos.items() if name != child.name}
        child.ask(do="peers", peers=peers)
    return members, {name: hello["port"] for name, hello in hellos.items()}


def start_pysyncobj(family: Family, row: Row, data: Path, python: str) -> list[Child]:
    """Three members of the same work."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(len(MEMBERS))]
    members = []
    for name, own in zip(MEMBERS, addresses, strict=True):
        child = family.start(name, [python, "-m", "benchmarks.pysyncobj_peer"], data / f"{name}.log")
        others = [address for address in addresses if address != own]
        child.tell(own=own, others=others, settings=row.variant)
        members.append(child)
    for child in members:
        child.answer(START_SECONDS)
    return members


def load_request(row: Row, load: Load) -> dict[str, Any]:
    """The line that starts the load."""
    return {
        "do": "load",
        "style": row.style,
        "in_flight": row.in_flight,
        "callers": load.callers,
        "size": load.size,
        "warmup": load.warmup,
        "seconds": load.seconds,
    }


def measure(
    client: Child, request: dict[str, Any], members: list[Child], load: Load
) -> tuple[dict[str, Any], dict[str, float | None]]:
    """Run the load; its result, and the processor time that each member used inside its window."""
    client.tell(**request)
    time.sleep(load.warmup)
    before = [member.cpu_seconds() for member in members]
    time.sleep(load.seconds)
    after = [member.cpu_seconds() for member in members]
    cpu = {
        member.name: None if start is None or end is None else end - start
        for member, start, end in zip(members, before, after, strict=True)
    }
    return client.answer(60.0), cpu


def wait_for_leader(members: list[Child]) -> Child:
    """The member that leads and reaches the others."""
    found: list[Child] = []

    def look() -> bool:
        found[:] = [member for member in members if is_ready_leader(member.ask(do="status"))]
        return len(found) == 1

    wait_until(look, START_SECONDS, "no leader was elected")
    return found[0]


def is_ready_leader(status: dict[str, Any]) -> bool:
    """Whether this is the picture of a leader with its followers."""
    return bool(status["role"] == "leader" and status["ready"])


def wait_for_agreement(members: list[Child], at_least: int) -> None:
    """Wait until all members have applied as many commands, not fewer than were answered, to the same end."""
    pictures: list[dict[str, Any]] = []

    def look() -> bool:
        pictures[:] = [member.ask(30.0, do="digest") for member in members]
        counts = {picture["applied"] for picture in pictures}
        return len(counts) == 1 and min(counts) >= at_least

    wait_until(look, SETTLE_SECONDS, "the members did not apply the same number of commands")
    if len({picture["digest"] for picture in pictures}) != 1:
        raise BenchmarkError("the members applied the same commands and have different states")


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Look every few milliseconds. Raises `BenchmarkError` at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{what} within {seconds:g} s")
        time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, for a library that must be told its port."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
