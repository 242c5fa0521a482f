"""R201: a node listens for WebSocket, and the library for it is not installed.

Found by attacking a node without the extra: it opened, and the first stranger who connected ended it.
"""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("backend", "library"), [("asyncio", "websockets"), ("trio", "trio_websocket")])
def test_a_node_that_lacks_the_library_does_not_open(backend: str, library: str) -> None:
    script = f"""
import sys, anyio
sys.modules[{library!r}] = None
from rafty_transports.tcp import TransportError
from tests.transports.connections import node
async def main():
    try:
        async with node("n1", {{}}, listen="ws://127.0.0.1:0"):
            print("opened")
    except TransportError as error:
        print(error)
anyio.run(main, backend={backend!r})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    assert "pip install 'rafty[websocket]'" in done.stdout
    assert "opened" not in done.stdout
