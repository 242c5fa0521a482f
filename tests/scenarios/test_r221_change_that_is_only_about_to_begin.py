"""R221: the connection of `rafty add` ends while the leader is only asking the new node who it is.

Found by reading: the command then looks what became of the change. It saw no trace of one, for none had begun, and said
that nothing was changed; a moment later the leader began it (fault F99).
"""

import argparse
from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from rafty_core.changes import Change
from rafty_core.configuration import Configuration
from rafty_transports import cluster_commands
from rafty_transports.access import OPEN
from rafty_transports.administration import Administration
from rafty_transports.client import Client, HungUp
from rafty_transports.exits import DONE, UNKNOWN, CommandFailed
from rafty_transports.interfaces import Identity
from rafty_transports.storage.memory_snapshots import MemorySnapshots
from tests.transports.service_kit import OneReplica, serving

pytestmark = pytest.mark.anyio


class Asking(OneReplica):
    """A leader that takes its time before a change begins."""

    identity = Identity("rafty.1", "n1", "cafe", 1)

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.begins, self.began = anyio.Event(), anyio.Event(), anyio.Event()

    async def change_membership(self, changes: Sequence[Change], **_: Any) -> Configuration:
        self.asked.set()
        await self.begins.wait()
        self.began.set()
        return Configuration.of("n1")


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connections on which changes are asked for end at once."""
    ask = Client.ask

    async def ask_and_lose(client: Client, *requests: Sequence[bytes]) -> Any:
        if requests[0][1:2] != [b"MEMBER"]:
            return await ask(client, *requests)
        with anyio.move_on_after(0.1):
            await ask(client, *requests)
        raise HungUp(f"{client.address} hung up")

    monkeypatch.setattr(Client, "ask", ask_and_lose)


def remove(address: str, node_id: str) -> argparse.Namespace:
    """`rafty remove`."""
    return argparse.Namespace(
        command="remove", nodes=[address], ids=[node_id], access=OPEN, timeout=0.5, based_on=0, force=False
    )


@pytest.mark.usefixtures("cut_off")
async def test_r221_nobody_says_that_nothing_was_changed() -> None:
    node = Asking()
    snapshots = MemorySnapshots("rafty.1", "n1", lambda: 0)
    async with serving(node, administration=Administration(node, snapshots)) as server:  # type: ignore[arg-type]
        with pytest.raises(CommandFailed, match="the outcome is unknown") as told:
            await cluster_commands._change(remove(server.address, "n2"))
        assert told.value.code == UNKNOWN
        assert node.asked.is_set()
        node.begins.set()
        with anyio.fail_after(5):
            await node.began.wait()
        assert await cluster_commands._change(remove(server.address, "n9")) == DONE  # what is done, is done
