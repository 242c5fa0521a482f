"""R216: strangers come under ever new names, for months.

Found by reading: whom a node has heard, who has asked it for a snapshot, and about whom it has said a line was kept by
name, and never forgotten.
"""

import logging

import anyio
import pytest

from rafty_core import Configuration
from rafty_core.stable import Snapshot
from rafty_transports import exchange
from rafty_transports.chunks import SnapshotChunkRequest
from rafty_transports.contacts import MOST_HEARD, Contacts
from rafty_transports.exchange import MOST_ASKING, Sender
from rafty_transports.printing import MOST_LINES
from rafty_transports.serve import _NotTwice
from rafty_transports.storage.memory_snapshots import MemorySnapshots
from tests.transports.connections import heartbeat


def test_r216_those_that_were_heard_last_are_remembered() -> None:
    contacts = Contacts("n1", 0.5)
    for number in range(3 * MOST_HEARD):
        contacts.note([heartbeat(f"x{number}", "n1"), heartbeat("n2", "n1")], float(number))
        assert len(contacts._heard) <= MOST_HEARD + 2
    assert contacts.describe(["n1", "n2", "n3"], 3 * MOST_HEARD) == ("heard 1 of 3 voters, n2 last 1.0 s ago, n3 never")


def test_r216_lines_about_strangers_are_forgotten() -> None:
    known = _NotTwice()
    for number in range(3 * MOST_LINES):
        words = (f"x{number}", "no")
        record = logging.LogRecord("x", logging.WARNING, "x", 1, "connection with %s refused: %s", words, None)
        assert known.filter(record)
        assert not known.filter(record)
    assert len(known._last) <= MOST_LINES


@pytest.mark.anyio
async def test_r216_who_asked_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "REMEMBERED_SECONDS", 0.0)
    store = MemorySnapshots("shop.0123", "n1", lambda: 0)
    writer = store.create(Snapshot(5, 2, Configuration.of("n1", "n2")))
    writer.write(b"state")
    writer.finish()
    sender = Sender("n1", store, lambda chunk: None)
    for number in range(2 * MOST_ASKING):
        await sender._answer(SnapshotChunkRequest(f"x{number}", "n1", 5, 2, "", 0))
        await anyio.lowlevel.checkpoint()
    assert len(sender._asked) <= MOST_ASKING
