"""R205: those who know names do not answer, and a few peers are reached by name.

Found by attacking a node: asyncio asks for names, and for numbers too, in a handful of threads. Each that waited for an
answer kept one of them for half a minute, whatever had become of the attempt, so that after a few attempts no peer was
reached any more, not even by number; and the event loop waited for all of them at its end. Guests say by which names
they are reached.
"""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from rafty_transports.links import Limits
from tests.transports.connections import node, until

NAMES = 40
"""More than there are threads for names on any of the backends."""


@pytest.fixture
def deaf_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Nobody answers for names under .example; the list has those who asked."""
    ended, asked, real = threading.Event(), list[str](), socket.getaddrinfo

    def ask(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        flags = options.get("flags", arguments[4] if len(arguments) > 4 else 0)
        if name and name.endswith(".example") and not flags & socket.AI_NUMERICHOST:
            asked.append(name)
            ended.wait(20.0)
            raise socket.gaierror(socket.EAI_AGAIN, "nobody answers")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    yield asked
    ended.set()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_peers_by_number_are_reached_and_the_end_is_soon(backend: str, deaf_names: list[str]) -> None:
    ends: list[float] = []

    async def main() -> None:
        nobody = {f"x{number}": f"x{number}.example:7001" for number in range(NAMES)}
        async with node("n2", {}) as two, node("n1", nobody, Limits(handshake=0.3)) as one:
            await until(lambda: len(deaf_names) >= NAMES)
            await until(lambda: all(one.peers()[name].trouble for name in nobody))
            one.set_peer("n2", two.address)
            await until(lambda: one.peers()["n2"].connected)
            assert len(deaf_names) == NAMES  # each once, and again only when that has an end
        ends.append(time.monotonic())

    anyio.run(main, backend=backend)
    assert time.monotonic() - ends[0] < 5.0
