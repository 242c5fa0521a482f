"""One row of catching up, run once: a follower that was away, a node that starts again, or a log that grows.

Law: *the clock runs from the start of a process until it has applied all, and then its state is that of before.*

A follower that was away has its data directory and lacks `entries` entries, each of which sets a key of its own. It
gets them from the leader's log, or, where that was compacted, a snapshot. A node that starts again is a cluster of its
own. A log grows with few keys, so that what grows is the log and not the state.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cluster import (
    MEMBERS,
    START_SECONDS,
    free_ports,
    temporary_directory,
    wait_for_agreement,
    wait_for_leader,
    wait_until,
)
from benchmarks.processes import BenchmarkError, Child, Family
from benchmarks.rows import RAFTY, CatchupRow
from benchmarks.sampling import clock

LONG = 900.0
"""Seconds that filling, catching up or restarting may take."""

KEYS = 4096
"""Keys of a log that grows."""


@dataclass(frozen=True, slots=True)
class Caught:
    """Seconds from the start of the process until it answers, and until it has applied all; what came, or was read:
    bytes of entries, of the snapshot, of the data directory; bytes of memory then."""

    ready: float
    applied: float
    size: int
    memory: int | None


@dataclass(frozen=True, slots=True)
class Grown:
    """Bytes of memory before and after."""

    before: int
    after: int


class Cluster:
    """Members of one system with addresses of their own, so that one of them can come back."""

    def __init__(self, family: Family, row: CatchupRow, data: Path, python: str | None, names: tuple[str, ...]) -> None:
        self._family = family
        self._row = row
        self._data = data
        self._python = python
        self._starts = 0
        ports = free_ports(len(names))
        self._addresses = {name: f"127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)}

    def start(self, name: str) -> Child:
        """Start this member, once more if it ran before; it does not answer yet."""
        self._starts += 1
        row, others = self._row, {each: at for each, at in self._addresses.items() if each != name}
        module = "benchmarks.member" if row.system == RAFTY else "benchmarks.pysyncobj_peer"
        python = sys.executable if row.system == RAFTY else self._python or sys.executable
        child = self._family.start(name, [python, "-m", module], self._data / f"{name}-{self._starts}.log")
        own, directory = self._addresses[name], self.directory(name)
        if row.system == RAFTY:
            voters, files = list(self._addresses), str(directory)
            setup = {"id": name, "voters": voters, "directory": files, "backend": row.variant, "connections": 16}
            child.tell(**setup, listen=own, peers=others, snapshots="on request")
        else:
            directory.mkdir(exist_ok=True)
            keeps = {"journal": row.measure.startswith("restart"), "dump": "snapshot" in row.measure}
            child.tell(own=own, others=list(others.values()), settings=row.variant, directory=str(directory), **keeps)
        return child

    def start_all(self) -> list[Child]:
        """Start all members; they answer."""
        members = [self.start(name) for name in self._addresses]
        for member in members:
            member.answer(START_SECONDS)
        return members

    def directory(self, name: str) -> Path:
        """Where this member keeps its data."""
        return self._data / name


def run_catchup_row(row: CatchupRow, directory: Path, pysyncobj: str | None) -> Caught | Grown:
    """Run this row once in a temporary directory below `directory`. Raises `BenchmarkError`."""
    with temporary_directory(directory) as data, Family() as family:
        if row.measure == "memory":
            return run_memory(row, Cluster(family, row, data, pysyncobj, MEMBERS[:1]))
        if row.measure.startswith("restart"):
            return run_restart(row, Cluster(family, row, data, pysyncobj, MEMBERS[:1]))
        return run_behind(row, Cluster(family, row, data, pysyncobj, MEMBERS))


def run_behind(row: CatchupRow, cluster: Cluster) -> Caught:
    """A follower is ended, entries are written, and it comes back."""
    members = cluster.start_all()
    leader = wait_for_leader(members)
    away = next(member for member in members if member is not leader)
    away.end()
    fill(leader, row.entries, row.size, row.entries)
    size = row.entries * row.size
    if row.measure == "by snapshot":
        wait_until(lambda: away.name not in reached(leader), START_SECONDS, f"{away.name} was not found to be away")
        size = leader.ask(LONG, do="snapshot")["size"]
    caught, back = come_back(cluster, away.name, leader.ask(do="status")["applied"], size)
    wait_for_agreement([back if member is away else member for member in members], at_least=row.entries)
    if row.system == RAFTY and (back.ask(do="status")["snapshot"] > 0) is not (row.measure == "by snapshot"):
        raise BenchmarkError(f"{row.name}: the follower caught up in the other way")
    return caught


def run_restart(row: CatchupRow, cluster: Cluster) -> Caught:
    """A node that is a cluster of its own is filled, ended and started again."""
    (node,) = cluster.start_all()
    wait_for_leader([node])
    fill(node, row.entries, row.size, row.entries)
    if row.measure == "restart with snapshot":
        node.ask(LONG, do="snapshot")
    applied, before = node.ask(do="status")["applied"], node.ask(LONG, do="digest")
    node.end()
    size = sum(file.stat().st_size for file in cluster.directory(node.name).rglob("*") if file.is_file())
    caught, back = come_back(cluster, node.name, applied, size)
    if back.ask(LONG, do="digest") != before:
        raise BenchmarkError(f"{row.name}: the state after the restart is not that of before")
    return caught


def run_memory(row: CatchupRow, cluster: Cluster) -> Grown:
    """The memory of a node that is a cluster of its own, before and after its log has grown."""
    (node,) = cluster.start_all()
    wait_for_leader([node])
    fill(node, KEYS, row.size, KEYS)
    before = node.memory()
    fill(node, row.entries, row.size, KEYS)
    after = node.memory()
    if before is None or after is None:
        raise BenchmarkError(f"{row.name}: this system does not tell how much memory a process has")
    return Grown(before, after)


def come_back(cluster: Cluster, name: str, applied: int, size: int) -> tuple[Caught, Child]:
    """Start this member and wait until it has applied as much."""
    began = clock()
    back = cluster.start(name)
    back.answer(LONG)
    ready = clock() - began
    back.ask(LONG, do="wait", applied=applied)
    return Caught(ready, clock() - began, size, back.memory()), back


def reached(leader: Child) -> list[str]:
    """Whom the leader reaches: as long as it does, its log is kept for them. PySyncObj keeps nothing for anybody."""
    names: list[str] = leader.ask(do="status").get("reached", [])
    return names


def fill(leader: Child, entries: int, size: int, keys: int) -> None:
    """Write as many entries of this size to as many keys, with values that nothing compresses."""
    leader.ask(LONG, do="fill", count=entries, size=size, keys=keys, values="noise")
