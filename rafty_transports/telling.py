"""What a node tells of itself: to those who watch it, and to the log.

Law: *whoever makes a node complain does not fill its log: one complaint a second is written, the others are counted.*
"""

import logging

import anyio

from rafty_core.explain import explain
from rafty_core.output import Notice, ProtocolViolation
from rafty_core.status import Status
from rafty_transports.observers import Notices

logger = logging.getLogger("rafty_transports.node")

COMPLAINT_SECONDS = 1.0
"""A message that was refused is logged unless another one was so short a time ago."""


class Telling:
    """Who watches one node, and its log."""

    def __init__(self) -> None:
        self._watchers: set[Notices] = set()
        self._complained = float("-inf")
        self._unsaid = 0

    def watch(self) -> Notices:
        """What is told from now on."""
        return Notices(self._watchers)

    def tell(self, notices: list[Notice], status: Status) -> None:
        """These things happened to the node that is as `status` says."""
        for notice in notices:
            if not isinstance(notice, ProtocolViolation):
                logger.info("%s (term %d, %s) %s", status.id, status.term, status.role, explain(notice))
            else:
                self._complain(notice, status)
        for watcher in self._watchers:
            watcher.put(notices)

    def _complain(self, notice: ProtocolViolation, status: Status) -> None:
        now = anyio.current_time()
        if now < self._complained + COMPLAINT_SECONDS:
            self._unsaid += 1
            return
        more = f", and {self._unsaid} more since the last one" if self._unsaid else ""
        self._complained, self._unsaid = now, 0
        logger.warning("%s (term %d, %s) %s%s", status.id, status.term, status.role, explain(notice), more)

    def end(self) -> None:
        """Nothing more is told: who watches has what is waiting, and then the end."""
        for watcher in list(self._watchers):
            watcher.close()
