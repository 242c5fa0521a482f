"""Streams of notices for those who watch a node.

Law: *a watcher that does not keep up loses the oldest notices and is told how many; the node never waits for it.*
"""

from collections import deque
from typing import Self

import anyio

from rafty_core.output import Notice

MOST_WAITING = 1024
"""How many notices wait for one watcher."""


class Notices:
    """An async iterator over the notices of a node, from its construction on; ends when the node stops.

    `missed` counts the notices that were dropped because they were not taken in time. Close it, or leave its
    `with` block, when you stop watching.
    """

    def __init__(self, watchers: "set[Notices]") -> None:
        self.missed = 0
        self._waiting: deque[Notice] = deque(maxlen=MOST_WAITING)
        self._arrived = anyio.Event()
        self._ended = False
        self._watchers = watchers
        watchers.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop watching. What is waiting can still be taken."""
        self._watchers.discard(self)
        self._ended = True
        self._arrived.set()

    def put(self, notices: list[Notice]) -> None:
        """The node's side: these things happened."""
        self.missed += max(0, len(self._waiting) + len(notices) - MOST_WAITING)
        self._waiting.extend(notices)
        self._arrived.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return self._waiting.popleft()
