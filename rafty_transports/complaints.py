"""What a port complains of in its log, because of others.

Law: *whoever makes a node complain does not fill its log: a handful is written at once, then one line a second.*

What is not written is counted, and the number of it stands in front of the next line. What everybody may cause without
an end is a line for each connection; what an operator needs is the first few, and the counters of `refusals`.
"""

import logging
import time

BURST = 32
"""So many lines are written before one has to wait: as many peers as one may have that are all set up wrong."""

SECONDS = 1.0
"""Behind them a line is written once in so many seconds."""


class Complaints:
    """The complaints of one transport, or of one service."""

    def __init__(self) -> None:
        self._room = float(BURST)
        self._at = time.monotonic()
        self._unsaid = 0

    def write(self, logger: logging.Logger, text: str, *words: object) -> None:
        """Log this as a warning, as `logger.warning` does, unless too many were logged just before."""
        now = time.monotonic()
        self._room = min(self._room + (now - self._at) / SECONDS, BURST)
        self._at = now
        if self._room < 1:
            self._unsaid += 1
            return
        self._room -= 1
        if self._unsaid:
            logger.warning("%d complaints about connections were not logged, since there were so many", self._unsaid)
            self._unsaid = 0
        logger.warning(text, *words)
