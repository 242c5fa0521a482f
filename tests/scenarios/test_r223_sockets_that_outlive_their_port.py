"""R223: a transport, or a service, that listens on several addresses is cancelled; and a connection comes as one ends.

Found by looking at a test that failed once: closing the first of several listening sockets was cancelled together with
everything else, and the others stayed open. And asyncio accepted a connection for a task that was just cancelled:
nobody had it, nobody closed it, and the event loop complained.
"""

import asyncio
import gc
import socket
import warnings
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute, SocketListener

from rafty_transports.tcp import TcpTransport
from tests.transports.connections import ANYWHERE, admit_all, identity, node
from tests.transports.service_kit import OneReplica, serving


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What Python says of sockets that nobody closed."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        said: list[str] = []
        yield said
        gc.collect()
    said += [str(warning.message) for warning in caught]
    assert not said


@pytest.mark.anyio
async def test_r223_a_transport_that_is_cancelled_listens_nowhere(complaints: list[str]) -> None:
    ports: list[int] = []
    with anyio.move_on_after(0.1):
        async with TcpTransport(identity("n1"), {}, [ANYWHERE] * 3, admit=admit_all) as one:
            ports += [int(address.rpartition(":")[2]) for address in one.addresses]
            await anyio.sleep_forever()
    assert len(ports) == 3
    assert not any(map(is_listened_on, ports))


@pytest.mark.anyio
async def test_r223_a_service_that_is_cancelled_listens_nowhere(complaints: list[str]) -> None:
    ports: list[int] = []
    with anyio.move_on_after(0.1):
        async with serving(OneReplica(), ":0") as server:
            more = await anyio.create_tcp_listener(local_host="127.0.0.1")
            server._listeners = [
                one for one in (*server._listeners, *more.listeners) if isinstance(one, SocketListener)
            ]
            ports += [listener.extra(SocketAttribute.local_port) for listener in server._listeners]
            await anyio.sleep_forever()
    assert len(ports) > 1
    assert not any(map(is_listened_on, ports))


def is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("port_of", ["transport", "service"])
def test_r223_asyncio_loses_no_connection_that_comes_at_the_end(port_of: str, complaints: list[str]) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        async with node("n1", {}) if port_of == "transport" else serving(OneReplica()) as port:
            await anyio.sleep(0.05)
            with socket.create_connection(("127.0.0.1", int(port.address.rpartition(":")[2]))):
                await anyio.lowlevel.checkpoint()

    wrong: list[dict[str, Any]] = []
    anyio.run(main)
    assert not wrong
