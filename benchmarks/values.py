"""Values for commands, the same for all systems. Standard library alone: the processes of other systems use it too.

Law: *what is written down must not get smaller*: a system that compresses gains nothing by values that are all alike.
"""

from collections.abc import Callable
from random import Random

BLOCK = 1 << 20

STEP = 648_055
"""Bytes between the beginnings of two values that follow each other: the golden section of the block, so that values
near each other, as gzip sees them, have nothing in common."""


def alike(size: int) -> Callable[[int], bytes]:
    """Values of `size` bytes by number, all equal: for those who must know each value."""
    value = b"v" * size
    return lambda number: value


def noise(size: int) -> Callable[[int], bytes]:
    """Values of `size` bytes by number, the same in each process, which nothing compresses; each is an object."""
    block = Random(1).randbytes(BLOCK + size)

    def value(number: int) -> bytes:
        start = number * STEP % BLOCK
        return block[start : start + size]

    return value
