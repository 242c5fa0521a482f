"""R200: a node that is heard, member or not, says that it is reached at a WebSocket address that cannot be dialed.

Found by attacking a node: the address of a guest resolved (its letters were those of another alphabet, and names are
normalised on their way) and could not stand in a request; or the library for WebSocket was not installed where it was
to be dialed. Either was no error of that peer, but the end of the node that wanted to answer it.
"""

import socket
import subprocess
import sys

import pytest

from rafty_transports.codec import encode
from rafty_transports.interfaces import Identity
from tests.transports.connections import connect_as, heartbeat, identity, messages_of, node, rounds, until

pytestmark = pytest.mark.anyio


def said_to_be_at(listener: socket.socket) -> Identity:
    """A stranger that says it is reached there; the full-width letter makes a name that resolves as localhost."""
    return identity("x1", address=f"ws://\uff4cocalhost:{listener.getsockname()[1]}")


async def test_who_is_reached_nowhere_is_no_end_of_whoever_answers_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with node("n1", {}) as one, await connect_as(one.address, said_to_be_at(silent), "n1"):
            await until(lambda: "x1" in one.peers())
            one.send(heartbeat("n1", "x1"))
            await until(lambda: "cannot be asked for" in (one.peers()["x1"].trouble or ""))
            async with await connect_as(one.address, identity("n2"), "n1") as other:
                await other.send(b"".join(encode(heartbeat("n2", "n1", 7))))
                assert rounds(await messages_of(one, 1)) == [7]


@pytest.mark.parametrize(("backend", "library"), [("asyncio", "websockets"), ("trio", "trio_websocket")])
def test_a_peer_that_needs_a_library_which_is_missing_is_trouble_with_that_peer(backend: str, library: str) -> None:
    script = f"""
import socket, sys, anyio
sys.modules[{library!r}] = None
from tests.transports.connections import node, until
async def main():
    silent = socket.create_server(("127.0.0.1", 0))
    async with node("n1", {{"n2": f"ws://127.0.0.1:{{silent.getsockname()[1]}}"}}) as one:
        await until(lambda: one.peers()["n2"].trouble)
        print(one.peers()["n2"].trouble)
        with anyio.move_on_after(0.3):
            async for _ in one:
                pass
anyio.run(main, backend={backend!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "pip install 'rafty[websocket]'" in done.stdout
