"""The next connection of a port, whatever strangers and the operating system do.

Law: *neither a stranger that leaves at once nor a lack of file descriptors ends a port; and it is not said for ever.*
"""

import logging
from collections.abc import Iterable

import anyio
from anyio.abc import SocketListener, SocketStream

from rafty_transports.complaints import Complaints

PAUSE = 0.1
"""Seconds before the next attempt to accept, after one that failed."""


async def next_connection(
    listener: SocketListener, complaints: Complaints, logger: logging.Logger, text: str
) -> SocketStream:
    """Wait for it. `text` is what `logger` says with the reason, by way of `complaints`, if none can be accepted.

    Raises `ClosedResourceError` when the listener is closed.
    """
    while True:
        try:
            return await listener.accept()
        except (OSError, anyio.BrokenResourceError) as error:
            cause = error.__cause__ or error  # on trio, anyio hides the system's error behind one of its own
            if isinstance(cause, ConnectionError):  # a stranger that left before it was accepted delays nobody
                continue
            complaints.write(logger, text, (getattr(cause, "strerror", None) or str(cause)).lower())
            await anyio.sleep(PAUSE)  # out of file descriptors, as a rule: others must be closed first


async def close_all(listeners: Iterable[SocketListener]) -> None:
    """Close each of them, also if this task is being cancelled (R223), and without waiting for anything.

    Do so before whoever waits for a connection is cancelled: asyncio would lose one that comes in that very moment.
    """
    with anyio.CancelScope(shield=True):
        for listener in listeners:
            await anyio.aclose_forcefully(listener)
