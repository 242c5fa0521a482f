"""One member of the measured cluster: an operating system process that runs a node, its store and its service.

Law: *what is measured is what users run*: the store on disk, the TCP transport, the key-value machine, the default
settings. It is started by the benchmark and obeys the lines on its standard input.
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread

from benchmarks.control import Lines, hear, raise_file_limit, say
from benchmarks.load import fill, run_load
from benchmarks.reading import run_reads
from rafty_core.configuration import Configuration, Lease
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.kv import KeyValueMachine, digest_of
from rafty_transports.node import Node
from rafty_transports.service import RespServer
from rafty_transports.service_clients import ClientLimits
from rafty_transports.storage import SqliteStore
from rafty_transports.tcp import TcpTransport

BACKENDS: dict[str, dict[str, Any]] = {
    "asyncio": {"backend": "asyncio"},
    "uvloop": {"backend": "asyncio", "backend_options": {"use_uvloop": True}},
    "trio": {"backend": "trio"},
}

ON_REQUEST = SnapshotPolicy(log_bytes=0, trailing_entries=0)
"""A snapshot is taken when the benchmark says so, and nothing of the log before it stays."""


class Member:
    """A running node, and what it is asked to do."""

    def __init__(self, node: Node, transport: TcpTransport, machine: KeyValueMachine) -> None:
        self._node = node
        self._transport = transport
        self._machine = machine
        self._requests: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "peers": self._peers,
            "status": self._status,
            "digest": self._digest,
            "load": self._load,
            "reads": self._reads,
            "fill": self._fill,
            "lease": self._lease,
            "snapshot": self._snapshot,
            "wait": self._wait,
        }

    async def obey(self, request: dict[str, Any]) -> None:
        """Do what this line asks, and answer with a line."""
        await self._requests[request.pop("do")](request)

    async def _peers(self, request: dict[str, Any]) -> None:
        for peer, address in request["peers"].items():
            self._transport.set_peer(peer, address)
        say(done=True)

    async def _status(self, request: dict[str, Any]) -> None:
        status = self._node.status()
        ready = status.commit_index > 0 and all(peer.connected for peer in self._transport.peers().values())
        reached = [peer.id for peer in status.peers if peer.reachable]
        say(
            role=status.role, ready=ready, applied=status.applied_index, snapshot=status.snapshot_index, reached=reached
        )

    async def _digest(self, request: dict[str, Any]) -> None:
        applied, items = self._machine.commands_applied, self._machine.items()
        # In a thread: the digest of a large state takes as long as an election timeout.
        say(applied=applied, digest=await anyio.to_thread.run_sync(digest_of, items))

    async def _load(self, request: dict[str, Any]) -> None:
        say(**(await run_load(self._node, **request)).as_dict())

    async def _reads(self, request: dict[str, Any]) -> None:
        say(**(await run_reads(self._node, self._machine, **request)).as_dict())

    async def _fill(self, request: dict[str, Any]) -> None:
        await fill(self._node, **request)
        say(done=True)

    async def _lease(self, request: dict[str, Any]) -> None:
        await self._node.change_membership([], lease=Lease(request["promise"], request["drift"]), timeout=10.0)
        say(done=True)

    async def _snapshot(self, request: dict[str, Any]) -> None:
        info = await self._node.snapshot()
        say(size=info.size)

    async def _wait(self, request: dict[str, Any]) -> None:
        while self._node.status().applied_index < request["applied"]:
            await anyio.sleep(0.002)
        say(done=True)


async def serve(setup: dict[str, Any]) -> None:
    """Run a node until standard input ends."""
    store = SqliteStore.open(
        setup["directory"],
        node_id=setup["id"],
        cluster="benchmark",
        initial=Configuration.of(*setup["voters"]),
    )
    listen = setup.get("listen", "127.0.0.1:0")
    transport = TcpTransport(store.identity, setup.get("peers", {}), listen, admit=store.meet)
    machine = KeyValueMachine()
    policy = ON_REQUEST if setup.get("snapshots") == "on request" else None
    async with (
        Node(store, transport, machine, snapshots=policy) as node,
        RespServer(
            node, "127.0.0.1:0", machine=machine, limits=ClientLimits(connections=setup["connections"])
        ) as server,
        anyio.create_task_group() as tasks,
    ):
        say(address=transport.address, port=server.port)
        member, lines = Member(node, transport, machine), Lines()
        while True:
            await anyio.wait_readable(0)
            chunk = os.read(0, 65536)
            if not chunk:
                tasks.cancel_scope.cancel()
                return
            for request in lines.feed(chunk):
                tasks.start_soon(member.obey, request)


def main() -> None:
    """The process."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(relativeCreated)d %(message)s")
    raise_file_limit()
    setup = hear()
    if setup is not None:
        anyio.run(serve, setup, **BACKENDS[setup["backend"]])


if __name__ == "__main__":
    main()
