"""Load on a node from within its own process, through its public interface.

Law: *exactly as many commands are in flight as the row says, at every moment of the window.*

Two styles. *tasks*: one task per command in flight, each awaits `propose`, and proposes the next when it returns.
*pipelined*: a few tasks share the number in flight, and each awaits `propose_many` of its share.
"""

from collections.abc import Sequence

import anyio

from benchmarks.sampling import Result, Samples, clock, shares
from benchmarks.values import alike, noise
from rafty_core.outcomes import ProposalError
from rafty_transports.kv import encode_set
from rafty_transports.node import Node

POOL = 4096
"""How many different commands there are, each with a key of its own; they are built before the clock starts."""

FILL_BATCH = 1024
"""Commands that are proposed at once where no figure is taken."""

PAUSE = 0.01
"""Seconds that a task waits after a command failed, so that failures do not become the load."""


def make_commands(size: int) -> list[bytes]:
    """Commands of exactly `size` bytes that set a key of 8 bytes. Raises `ValueError` if they cannot be so small."""
    value_size = size - len(encode_set(b"k" * 8, b""))
    if value_size < 0:
        raise ValueError(f"a command has {size - value_size} bytes at least, so {size} are too few")
    return [encode_set(b"k%07d" % number, b"v" * value_size) for number in range(POOL)]


async def run_load(
    node: Node, style: str, in_flight: int, *, callers: int, size: int, warmup: float, seconds: float
) -> Result:
    """Keep `in_flight` commands of `size` bytes under way for `warmup + seconds`, then wait for the last of them.

    `callers` is how many tasks a pipelined load has, at most.
    """
    commands = make_commands(size)
    samples = Samples(warmup, seconds)
    async with anyio.create_task_group() as tasks:
        if style == "tasks":
            for number in range(in_flight):
                tasks.start_soon(_propose, node, commands, number, samples)
        else:
            for number, count in enumerate(shares(in_flight, callers)):
                tasks.start_soon(_propose_many, node, commands, number * count, count, samples)
    return samples.result()


async def fill(node: Node, count: int, size: int, keys: int, values: str) -> None:
    """Write `count` commands of `size` bytes to keys number 0, 1, ... modulo `keys`, with values "alike" or "noise".

    Raises what became of a command that was not applied.
    """
    value = (noise if values == "noise" else alike)(size - len(encode_set(b"k" * 8, b"")))
    for begin in range(0, count, FILL_BATCH):
        numbers = range(begin, min(begin + FILL_BATCH, count))
        outcomes = await node.propose_many([encode_set(b"k%07d" % (n % keys), value(n)) for n in numbers])
        for outcome in outcomes:
            if isinstance(outcome, ProposalError):
                raise outcome


async def _propose(node: Node, commands: Sequence[bytes], position: int, samples: Samples) -> None:
    began = clock()
    while began < samples.end:
        try:
            await node.propose(commands[position % POOL])
        except ProposalError as error:
            samples.fail(repr(error))
            await anyio.sleep(PAUSE)
            began = clock()
            continue
        position += 1
        ended = clock()
        samples.add(began, ended)
        began = ended


async def _propose_many(node: Node, commands: Sequence[bytes], position: int, count: int, samples: Samples) -> None:
    batches = [[commands[(position + number + turn) % POOL] for number in range(count)] for turn in range(16)]
    turn = 0
    began = clock()
    while began < samples.end:
        outcomes = await node.propose_many(batches[turn % 16])
        ended = clock()
        errors = [outcome for outcome in outcomes if isinstance(outcome, ProposalError)]
        if errors:
            samples.fail(repr(errors[0]), len(errors))
            await anyio.sleep(PAUSE)
        if len(errors) < count:
            samples.add(began, ended, count - len(errors))
        turn += 1
        began = ended if not errors else clock()
