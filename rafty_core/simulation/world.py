"""Time and chance of a simulated cluster, and the record of what happened.

Law: *one heap of (time, tie, action), one seeded generator*: the same seed gives the same run, in every process.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from hashlib import sha256
from typing import Any


class World:
    """Runs actions in the order of their times. `trace` keeps the last events; `digest` all of them, if asked for.

    `events` counts the actions that were run: an arrival, a timer, a write that is done, a strike. `steps` counts the
    steps of the core among them, `noted` what is told of a run.
    """

    def __init__(self, luck: str, keep: int | None = 40, with_digest: bool = False) -> None:
        self.time = 0.0
        self.random = random.Random(f"world {luck}")
        self.wrong = random.Random(f"wrong {luck}")
        """Chance for what is refused and changes nothing, and so must not change what else happens."""
        self.kinds: dict[tuple[str, type], tuple[float, str, str, Any]] = {}
        """The last event of each kind."""
        self.trace: deque[tuple[float, str, str, Any]] = deque(maxlen=keep)
        self.digest = sha256() if with_digest else None
        self.steps = 0
        self.events = 0
        self.noted = 0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._tie = 0

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Do this `delay` seconds from now."""
        self._tie += 1
        heapq.heappush(self._heap, (self.time + delay, self._tie, action))

    def run_until(self, time: float) -> None:
        """Let everything happen that is due up to `time`."""
        heap = self._heap
        while heap and heap[0][0] <= time:
            self.time, _, action = heapq.heappop(heap)
            self.events += 1
            action()
        self.time = time

    def run_while(self, waiting: Callable[[], bool], seconds: float) -> bool:
        """Run as long as `waiting()`, but at most `seconds`; return whether it has ended."""
        end = self.time + seconds
        while waiting():
            if self.time >= end:
                return False
            self.run_until(min(end, self.time + 0.02))
        return True

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return probability > 0 and self.random.random() < probability

    def note(self, node: str, what: str, value: Any = "") -> None:
        """Record that this happened; `story` tells it in English."""
        self.noted += 1
        event = self.kinds[what, type(value)] = (self.time, node, what, value)
        self.trace.append(event)
        if self.digest is not None:
            self.digest.update(f"{self.time!r} {node} {what} {value!r}\n".encode())
