"""One row of reads, run once: three processes on loopback that hold the same keys, and somebody who reads them.

Law: *nobody writes meanwhile, every read finds its key, and the leader still leads afterwards, or there is no figure.*
"""

from pathlib import Path
from typing import Any

from benchmarks.cluster import (
    Run,
    check_leader,
    client_of,
    measure,
    run_of,
    start_members,
    temporary_directory,
    wait_for_agreement,
    wait_for_leader,
)
from benchmarks.processes import Child, Family
from benchmarks.rows import PYSYNCOBJ, RAFTY, Load, ReadRow

KEYS = 4096
"""How many keys there are, each written once."""

LEASE = {"promise": 0.5, "drift": 0.01}
"""What voters promise where reads are by lease: as long as the default election timeout."""


def run_read_row(row: ReadRow, load: Load, directory: Path, pysyncobj: str | None) -> Run:
    """Run this row once in a temporary directory below `directory`. Raises `BenchmarkError`."""
    with temporary_directory(directory) as data, Family() as family:
        members, ports = start_members(family, row, load, data, pysyncobj)
        leader = wait_for_leader(members)
        leader.ask(60.0, do="fill", count=KEYS, size=load.size, keys=KEYS, values="alike")
        if row.asked == "lease":
            leader.ask(30.0, do="lease", **LEASE)
        wait_for_agreement(members, at_least=KEYS)
        asked = leader if row.at_leader else next(member for member in members if member is not leader)
        client = client_of(family, row, load, data, asked, ports, mode=row.mode, size=load.size)
        result, cpu = measure(client, read_request(row, load, client, asked), members, load)
        if row.system == RAFTY:
            wait_for_agreement(members, at_least=KEYS)
        check_leader(row.name, leader)
    return run_of(result, 0.0, cpu, asked, load)


def read_request(row: ReadRow, load: Load, client: Child, asked: Child) -> dict[str, Any]:
    """The line that starts the load."""
    request = {"do": "reads", "in_flight": row.in_flight, "warmup": load.warmup, "seconds": load.seconds}
    if client is asked and row.system != PYSYNCOBJ:
        request["mode"] = row.mode
    return request
