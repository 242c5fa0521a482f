"""How the processes of a benchmark talk: one JSON object a line, on standard input and standard output.

Law: *a process ends when its standard input ends*, whatever it is doing; so none survives whoever started it, however
that one ended.
"""

import json
import os
import sys
import threading
from queue import SimpleQueue
from typing import Any


def say(**fields: Any) -> None:
    """Answer with one line."""
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


class Lines:
    """Lines out of the chunks that come in."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[dict[str, Any]]:
        """The requests that this chunk completes."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines]


def hear() -> dict[str, Any] | None:
    """The next request, waited for; None at the end."""
    line = sys.stdin.readline()
    return json.loads(line) if line.endswith("\n") else None


def requests() -> "SimpleQueue[dict[str, Any]]":
    """The requests that come in from now on, for a process without an event loop. At the end it is ended on the spot.

    Only for a process that keeps nothing: nothing is closed.
    """
    queue: SimpleQueue[dict[str, Any]] = SimpleQueue()

    def listen() -> None:
        while (request := hear()) is not None:
            queue.put(request)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    return queue


def raise_file_limit() -> None:
    """Let this process have as many sockets as it may."""
    try:
        import resource
    except ImportError:  # not on every system; the default has to do there
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
