"""A node before a step: what its contracts compare it with behind it.

Law: *what may change is noted before it can.*
"""

import random
from dataclasses import dataclass

from rafty_core.configuration import Configuration
from rafty_core.messages import AppendEntriesResponse, HeartbeatResponse, InstallSnapshotResponse
from rafty_core.roles import Role

SLACK = 0.06
"""Seconds by which a node may be late: it takes its time to notice a timer, most when it is slowed down."""

NEWS = (AppendEntriesResponse, HeartbeatResponse, InstallSnapshotResponse)
"""What a leader learns of a follower by."""


class CountedRandom(random.Random):
    """A source of chance that knows how often it was asked."""

    draws = 0

    def random(self) -> float:
        """A number in [0, 1)."""
        self.draws += 1
        return super().random()


@dataclass(frozen=True, slots=True)
class Before:
    """A node before a step."""

    now: float
    role: Role
    leader: str | None
    deadline: float
    term: int
    vote: str | None
    end: tuple[int, int]
    """Term and index of the last entry."""
    configuration: Configuration
    configuration_index: int
    commit: int
    violations: int
    votes: int
    """How many have answered its question, if it stands for election."""
    told_of: tuple[int, int, int] | None
    """What a leader knows of the sender of the only message."""
