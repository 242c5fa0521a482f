"""Fault F121: a timer or a lease is kept by the wall clock, and somebody sets the clock.

Shipped code never asks for the time of day, but for what people read; and a cluster whose wall clock jumps by hours
every few milliseconds keeps its leader.
"""

import ast
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from rafty_transports.memory import MemoryNetwork
from tests.transports.nodes import QUICK, cluster, leader_of

ROOT = Path(__file__).parents[2]
WALL_CLOCK = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime", "fromtimestamp"}
CLOCKS = {"time", "datetime", "date"}
OF_THE_CALENDAR = {"certs.py"}
"""Makes certificates, which are good from one day to another; nothing that a node runs."""


def uses_of_the_wall_clock(source: str) -> Iterator[str]:
    """Every place in a module at which the time of day is asked for."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in CLOCKS:
            yield from (alias.name for alias in node.names if alias.name in WALL_CLOCK | CLOCKS)
        elif isinstance(node, ast.Attribute) and node.attr in WALL_CLOCK:
            owner = ast.unparse(node.value)
            if owner.rpartition(".")[2] in CLOCKS or "import" in owner:
                yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and node.attr == "created" and ast.unparse(node.value) == "record":
            yield ast.unparse(node)  # a log record's time of day


def test_f121_shipped_code_never_asks_for_the_time_of_day() -> None:
    paths = [path for package in ("rafty_core", "rafty_transports") for path in (ROOT / package).rglob("*.py")]
    assert len(paths) > 40
    paths = [path for path in paths if path.name not in OF_THE_CALENDAR]
    found = {str(path): uses for path in paths if (uses := list(uses_of_the_wall_clock(path.read_text())))}
    assert found == {}


@pytest.mark.parametrize(
    "source", ["time.time()", "from time import time", "datetime.datetime.now()", "record.created"]
)
def test_f121_the_search_finds_what_it_searches_for(source: str) -> None:
    assert list(uses_of_the_wall_clock(source))
    assert not list(uses_of_the_wall_clock("time.monotonic(); anyio.current_time(); message.time"))


@pytest.mark.anyio
async def test_f121_cluster_keeps_its_leader_while_the_wall_clock_jumps(monkeypatch: pytest.MonkeyPatch) -> None:
    jumps = iter(range(1_000_000_000))

    def set_by_somebody() -> float:
        return 1e9 + (3600.0 if next(jumps) % 2 else -3600.0)

    monkeypatch.setattr(time, "time", set_by_somebody)
    with anyio.fail_after(5):
        async with cluster(MemoryNetwork()) as nodes:
            leader = leader_of(nodes)
            assert leader is not None
            term = leader.status().term
            ends = anyio.current_time() + 3 * QUICK.election_timeout
            while anyio.current_time() < ends:
                await leader.propose(b"x")
                await anyio.sleep(0.01)
            assert {(node.status().leader, node.status().term) for node in nodes} == {(leader.identity.node_id, term)}
