"""A machine that keeps its own durable state goes on from its own number, and that number is right.

Entries of Raft's own stand between commands: the no-op of a new leader, a configuration. A machine that counted the
commands of a batch from the first one's index would fall behind the log by as many, and after a restart those entries
would come again.
"""

from collections.abc import Sequence

import pytest

from rafty_core import Committed, Configuration
from rafty_core.entries import COMMAND, NO_OP
from rafty_transports.machine import Machine
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node, NodeFailed
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK

pytestmark = pytest.mark.anyio


class Durable:
    """A machine whose state, here a list, survives: what it applied, and up to which index."""

    def __init__(self) -> None:
        self.applied: list[bytes] = []
        self.applied_index = 0

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        if first_index <= self.applied_index:
            raise RuntimeError(f"entry {first_index} came a second time, {self.applied_index} is applied")
        self.applied += commands
        self.applied_index = first_index + len(commands) - 1
        return [b""] * len(commands)


def test_f101_each_command_comes_with_its_own_index() -> None:
    machine = Durable()
    entries = [COMMAND + b"a", NO_OP, COMMAND + b"b", COMMAND + b"c", NO_OP, NO_OP, COMMAND + b"d"]
    applied = Machine(machine).apply(Committed(10, entries))
    assert (machine.applied, machine.applied_index) == ([b"a", b"b", b"c", b"d"], 16)
    assert (applied.index, len(applied.results)) == (16, 4)


async def test_f101_a_machine_with_state_of_its_own_goes_on_after_each_restart() -> None:
    machine, store = Durable(), MemoryStore("n1", Configuration.of("n1"))
    for life in range(4):
        async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
            await node.propose(b"%d" % life)
        store = store.restarted()
    assert machine.applied == [b"0", b"1", b"2", b"3"]


async def test_f101_a_machine_ahead_of_the_log_is_refused() -> None:
    """The log that it was applied from is gone: whatever came next would be applied over another history."""
    machine = Durable()
    machine.applied_index = 99
    with pytest.raises((NodeFailed, ValueError), match="has applied entry 99, and the log ends at 0"):
        async with Node(MemoryStore("n1", Configuration.of("n1")), MemoryNetwork().transport("n1"), machine):
            pass
