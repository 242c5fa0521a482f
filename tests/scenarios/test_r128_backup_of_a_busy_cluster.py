"""R128: a snapshot that is read for a backup stays while it is read, however many follow it.

Found by reading: what other nodes fetch was kept for them, but not what is read for a backup. Of a large state under
load no backup came to its end: its snapshot was removed as soon as two newer ones were there.
"""

import pytest

from rafty_core import Configuration
from rafty_transports import exchange
from rafty_transports.administration import Administration
from rafty_transports.conversation import Conversation
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.passwords import Passwords
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder

pytestmark = pytest.mark.anyio


async def test_r128_what_is_read_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore("n1", Configuration.of("n1"))
    client, other = (Conversation(number, Passwords(), str) for number in (1, 2))
    async with Node(store, MemoryNetwork().transport("n1"), Recorder(), config=QUICK) as node:
        administration = Administration(node, store.snapshots)

        async def go_on() -> None:
            for _ in range(3):
                await node.propose(b"x")
                await node.snapshot()

        await node.propose(b"first")
        await administration.answer([b"RAFTY", b"BACKUP"], client)
        await administration.answer([b"RAFTY", b"BACKUP"], other)
        await go_on()
        read = [b"RAFTY", b"BACKUP", b"READ", b"2", b"1", b"0"]
        assert await administration.answer(read, client) is not None
        await administration.answer([b"RAFTY", b"BACKUP"], other)  # begins again, and needs the first no more
        await go_on()
        assert await administration.answer(read, client) is not None
        assert [info.snapshot.index for info in store.snapshots.infos()] == [8, 7, 5, 2]
        monkeypatch.setattr(exchange, "REMEMBERED_SECONDS", 0.0)
        await go_on()
        assert [info.snapshot.index for info in store.snapshots.infos()] == [11, 10]
