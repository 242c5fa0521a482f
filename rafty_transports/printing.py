"""Lines for people, written by a thread of their own.

Law: *a terminal, a pipe or a disk that does not take what a node says never keeps the node from its peers.*

A pipe that nobody reads holds 64 KiB; whoever writes one line more waits until somebody reads, for ever if need be. In
an event loop that would be the end of a leadership (fault F125), so a thread waits instead. What waits for it is
bounded; what does not fit is dropped, and counted in a line of its own once there is room again.
"""

import os
import select
import threading
from collections import deque

MOST_LINES = 1000
"""How many lines wait to be written."""


class Lines:
    """Writes lines to a file descriptor, in order, without ever making anybody wait. If nobody reads them any more (a
    broken pipe, a full disk), they are dropped.
    """

    def __init__(self, descriptor: int, most: int = MOST_LINES) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._most = most
        self._lines: deque[str] = deque()
        self._closed = False
        self._untold = 0
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"rafty lines {descriptor}", daemon=True)
        self._thread.start()

    def put(self, text: str) -> None:
        """Write this line soon; it is dropped if too many wait. Any thread may call this."""
        with self._changed:
            if len(self._lines) >= self._most or self._closed:
                self.dropped += 1
                self._untold += 1
                return
            self._lines.append(text)
            self._changed.notify()

    def close(self, seconds: float) -> bool:
        """Take no more lines; wait until the others are written, at most this long; whether they are.

        If nobody reads, the thread is left behind.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lines or self._closed)
                if not self._lines:
                    return
                lines = [*self._lines]
                self._lines.clear()
                untold, self._untold = self._untold, 0
            if untold:
                lines.append(f"({untold} lines are missing here: nobody read what was said before)")
            for line in lines:
                self._write(f"{line}\n".encode(errors="backslashreplace"))

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                return


def would_block(descriptor: int) -> bool:
    """Whether a short write to this descriptor would have to wait for a reader."""
    try:
        return not select.select([], [descriptor], [], 0)[1]
    except (OSError, ValueError):
        return True
