"""What goes wrong with a simulated disk, and how often.

Law: *every fault is drawn from a generator that follows from the seed, at rates that can be printed.*
"""

import random
from dataclasses import dataclass


class PowerCut(BaseException):
    """The life has ended in the midst of a call, by a loss of power or a kill: nothing of it comes after this."""


@dataclass(frozen=True, slots=True)
class DiskFaults:
    """How often what goes wrong: probabilities from 0 to 1, but for the last two.

    sync_failing  per sync of a file or a directory: it fails, and what it was for counts as clean from then on
    full          per write to a file: the disk is full, and a part of the write is done, or nothing
    short         per write to a file without a buffer: a part of it is done, and no error raised
    slow          per call of the store: it takes up to twenty times as long
    cutting       per call of the store: its life ends at one of its operations on the disk
    renaming      per rename: the life ends right after it, before any sync
    moving        per rename of a directory: likewise
    removing      per name that is taken away: likewise
    killing       per end of a life: the process ended only, and the operating system lives on
    closing       per end of a life: the store is closed first
    flipping      per beginning of a life: a bit on the disk has flipped, as long as `flips` allows it
    flips         how many nodes of a run may have flipped bits
    limit         bytes that are written until a checkpoint is due
    """

    sync_failing: float = 0.0
    full: float = 0.0
    short: float = 0.0
    slow: float = 0.0
    cutting: float = 0.0
    renaming: float = 0.0
    moving: float = 0.0
    removing: float = 0.0
    killing: float = 0.0
    closing: float = 0.0
    flipping: float = 0.0
    flips: int = 0
    limit: int = 1 << 17

    @classmethod
    def draw(cls, draw: random.Random) -> "DiskFaults":
        """The rates of one run."""
        return cls(
            sync_failing=draw.choice((0, 0, 0.003, 0.02)),
            full=draw.choice((0, 0, 0.001, 0.005)),
            slow=draw.choice((0, 0.1)),
            cutting=draw.choice((0, 0.005, 0.03)),
            killing=draw.choice((0, 0.3, 0.6)),
            closing=draw.choice((0, 0.2)),
            flipping=draw.choice((0, 0.1, 0.3)),
            flips=1,
            limit=draw.choice((1 << 14, 1 << 15, 1 << 17)),
            short=draw.choice((0, 0.1)),
        )


NO_FAULTS = DiskFaults()
"""A disk that only forgets what was not synced when power is lost."""
