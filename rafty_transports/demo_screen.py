"""What the demonstration shows while it runs.

Law: *events are lines that stay; the state is one line that is written over, or a line per second where it cannot be.*
"""

import sys
import time


class Screen:
    """Prints events and the state to the standard output, with the seconds since it was made."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self._started = time.monotonic()
        self._open = False
        self._next = 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started

    def event(self, text: str) -> None:
        """Something happened."""
        self.clear()
        print(f"{self.seconds:5.1f} s  {text}", flush=True)

    def state(self, text: str) -> None:
        """This is how things are; shown over the last state, or once in a second."""
        if self.live:
            print(f"\r\x1b[K{self.seconds:5.1f} s  {text}", end="", flush=True)
            self._open = True
        elif self.seconds >= self._next:
            self._next = self.seconds + 0.95
            print(f"{self.seconds:5.1f} s    {text}", flush=True)

    def clear(self) -> None:
        """Remove the state from the screen, before something else is printed."""
        if self._open:
            print("\r\x1b[K", end="", flush=True)
            self._open = False
