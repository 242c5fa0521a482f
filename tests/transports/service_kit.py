"""A node of one replica and a client that compares bytes, for the tests of the key-value service."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from rafty_core import Configuration, Member, PeerStatus, Status, outcomes
from rafty_core.outcomes import ProposalError
from rafty_core.sessions import Sessions
from rafty_transports import resp
from rafty_transports.exchange import Progress
from rafty_transports.kv import KeyValueMachine
from rafty_transports.service import RespServer


class OneReplica:
    """A node that is its own majority: it applies what is proposed, unless it is told to wait or to refuse.

    `batches` are the sizes of what was proposed, `reads` the modes and indexes of what was read.
    """

    def __init__(self) -> None:
        self.machine = KeyValueMachine()
        self.sessions = Sessions(self.machine)
        self.batches: list[int] = []
        self.reads: list[tuple[str, int]] = []
        self.answer: ProposalError | Exception | None = None
        self.raises = False
        self.gate = anyio.Event()
        self.gate.set()

    async def propose_many(self, commands: Sequence[bytes]) -> list[bytes | ProposalError]:
        self.batches.append(len(commands))
        await self.gate.wait()
        if self.answer is not None and (self.raises or not isinstance(self.answer, ProposalError)):
            raise self.answer
        if isinstance(self.answer, ProposalError):
            return [self.answer] * len(commands)
        results: list[bytes | ProposalError] = []
        results += self.sessions.apply(sum(self.batches), commands)
        return results

    async def propose_operations(self, commands: Sequence[bytes]) -> list[bytes | ProposalError]:
        return await self.propose_many(commands)

    async def read(self, mode: Literal["linearizable", "lease", "stale"] = "linearizable", *, at_least: int = 0) -> int:
        self.reads.append((mode, at_least))
        await self.gate.wait()
        if self.answer is not None:
            raise self.answer
        return 4

    def transfers(self) -> list[Progress]:
        return [Progress("n2", False, 5, 1000, 4000)]

    def status(self) -> Status:
        if isinstance(self.answer, outcomes.Stopped):
            raise self.answer
        configuration = Configuration(voters=(Member("n1", "127.0.0.1:7001"), Member("n2")))
        peer = PeerStatus("n2", 5, 6, "replicate", False, 1, 10, 0.25, True)
        return Status("n1", "leader", 3, None, "n1", 5, 4, 5, 6, 0, configuration, (peer,), 1, 0)


def serving(node: OneReplica, listen: str = "127.0.0.1:0", **options: Any) -> RespServer:
    """The service of this node."""
    return RespServer(node, listen, machine=node.machine, **options)


def counted(server: RespServer) -> dict[str, int]:
    """What was refused, by reason; without what never was."""
    return {reason: count for reason, count in server.refusals if count}


class Client:
    """A connection that compares what comes with what is expected, byte for byte."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self.received = BufferedByteReceiveStream(stream)

    async def ask(self, request: bytes, reply: bytes) -> None:
        """Send these bytes; exactly those must come."""
        await self.stream.send(request)
        await self.expect(reply)

    async def expect(self, reply: bytes) -> None:
        with anyio.fail_after(5):
            assert await self.received.receive_exactly(len(reply)) == reply

    async def bulk(self, request: bytes) -> str:
        """Send these bytes; the bulk string that comes."""
        await self.stream.send(request)
        with anyio.fail_after(5):
            header = await self.received.receive_until(b"\r\n", 32)
            assert header.startswith(b"$")
            return (await self.received.receive_exactly(int(header[1:]) + 2)).decode()

    async def expect_end(self) -> None:
        with anyio.fail_after(5):
            try:
                rest = await self.received.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
        pytest.fail(f"more came: {rest!r}")


@contextlib.asynccontextmanager
async def connected(server: RespServer) -> AsyncIterator[Client]:
    """A client of this server."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        yield Client(stream)


async def until(condition: object, seconds: float = 5.0) -> None:
    """Wait until `condition()` is true."""
    assert callable(condition)
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.005)


def encode(*arguments: bytes) -> bytes:
    """A request as libraries send it."""
    return resp.array([resp.bulk(argument) for argument in arguments])
