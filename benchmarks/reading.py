"""Reads of a node from within its own process, through its public interface.

Law: *exactly as many reads are in flight as the row says, at every moment of the window, and each finds its key.*
"""

import anyio

from benchmarks.load import PAUSE, POOL, make_commands
from benchmarks.sampling import Result, Samples, clock
from rafty_core.outcomes import ProposalError
from rafty_transports.kv import NULL, KeyValueMachine, encode_get
from rafty_transports.node import Node
from rafty_transports.node_calls import ReadMode

KEYS = [encode_get(command[5:13]) for command in make_commands(13)]
"""Reads of the keys that `load.fill` and the loads write."""


async def run_reads(
    node: Node, machine: KeyValueMachine, mode: ReadMode, in_flight: int, warmup: float, seconds: float
) -> Result:
    """Keep `in_flight` reads under way, a task for each, for `warmup + seconds`, then wait for the last of them."""
    samples = Samples(warmup, seconds)
    async with anyio.create_task_group() as tasks:
        for number in range(in_flight):
            tasks.start_soon(_read, node, machine, mode, number, samples)
    return samples.result()


async def _read(node: Node, machine: KeyValueMachine, mode: ReadMode, position: int, samples: Samples) -> None:
    began = clock()
    while began < samples.end:
        try:
            await node.read(mode)
        except ProposalError as error:
            samples.fail(repr(error))
            await anyio.sleep(PAUSE)
            began = clock()
            continue
        if machine.read((KEYS[position % POOL],))[0] == NULL:
            samples.fail("a key that was written is not there")
        position += 1
        ended = clock()
        samples.add(began, ended)
        began = ended
