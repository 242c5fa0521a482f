"""One member of the measured cluster: an operating system process that runs a node, its store and its service.

Law: *what is measured is what users run*: the store on disk, the TCP transport, the key-value machine, the default
settings. It is started by the benchmark and obeys the lines on its standard input.
"""

import logging
import os
import sys
from typing import Any

import anyio

from benchmarks.control import Lines, hear, raise_file_limit, say
from benchmarks.load import run_load
from rafty_core.configuration import Configuration
from rafty_transports.kv import KeyValueMachine
from rafty_transports.node import Node
from rafty_transports.service import RespServer
from rafty_transports.storage import SqliteStore
from rafty_transports.tcp import TcpTransport

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}


async def serve(setup: dict[str, Any]) -> None:
    """Run a node until standard input ends."""
    store = SqliteStore.open(
        setup["directory"],
        node_id=setup["id"],
        cluster="benchmark",
        initial=Configuration.of(*setup["voters"]),
    )
    transport = TcpTransport(store.identity, {}, "127.0.0.1:0", admit=store.meet)
    machine = KeyValueMachine()
    async with (
        Node(store, transport, machine) as node,
        RespServer(node, "127.0.0.1:0", machine=machine, connections=setup["connections"]) as server,
        anyio.create_task_group() as tasks,
    ):
        say(address=transport.address, port=server.port)
        lines = Lines()
        while True:
            await anyio.wait_readable(0)
            chunk = os.read(0, 65536)
            if not chunk:
                tasks.cancel_scope.cancel()
                return
            for request in lines.feed(chunk):
                tasks.start_soon(obey, request, node, transport, machine)


async def obey(request: dict[str, Any], node: Node, transport: TcpTransport, machine: KeyValueMachine) -> None:
    """Do what this line asks, and answer with a line."""
    if request["do"] == "peers":
        for peer, address in request["peers"].items():
            transport.set_peer(peer, address)
        say(done=True)
    elif request["do"] == "status":
        status = node.status()
        say(role=status.role, term=status.term, ready=status.commit_index > 0 and transport_is_whole(transport))
    elif request["do"] == "digest":
        say(applied=machine.commands_applied, digest=machine.digest())
    elif request["do"] == "load":
        result = await run_load(
            node,
            request["style"],
            request["in_flight"],
            callers=request["callers"],
            size=request["size"],
            warmup=request["warmup"],
            seconds=request["seconds"],
        )
        say(**result.as_dict())
    else:
        raise ValueError(f"unknown request {request['do']!r}")


def transport_is_whole(transport: TcpTransport) -> bool:
    """Whether every peer can be reached now."""
    return all(peer.connected for peer in transport.peers().values())


def main() -> None:
    """The process."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(relativeCreated)d %(message)s")
    raise_file_limit()
    setup = hear()
    if setup is not None:
        anyio.run(serve, setup, **BACKENDS[setup["backend"]])


if __name__ == "__main__":
    main()
