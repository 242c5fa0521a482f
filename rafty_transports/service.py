"""The key-value service: a server that speaks RESP, so that every client of Redis is a client of the cluster.

Law: *every request is answered once, in order, and what the log was asked for is answered with what became of it.*

All requests that one received chunk holds and that are for the log are proposed as one batch: a client that pipelines
costs one proposal, one write and one send for all of them. No task, lock or timer belongs to a request. While a batch
is under way the connection is not read, so that a client which sends faster than the log takes is slowed down by TCP.

Bounded are the connections, the bytes and arguments of a request, the weight of a batch, and the time a client may take
to accept its replies.
"""

import errno
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.to_thread
from anyio.abc import SocketAttribute, SocketListener, SocketStream

from rafty_core.outcomes import ProposalError
from rafty_core.status import Status
from rafty_transports import kv, kv_commands, resp
from rafty_transports.kv_commands import FOR_THE_LOG, Conversation, Refusal
from rafty_transports.picture import picture_of
from rafty_transports.tcp import split_address

_CHUNK = 64 * 1024
_PIECE = 256 * 1024
"""Replies are sent in pieces of about this many bytes, so that many references to one large value stay references."""

_BATCH_REQUESTS = 1024
_BATCH_WEIGHT = 1024 * 1024
_MGET_WEIGHT = _BATCH_WEIGHT // 16
"""An answer of MGET is a copy, and a short request may ask for a large one: few of them share a batch."""

_REFUSALS_AT_ONCE = 64
_LINGER_SECONDS = 0.25
_NO_MORE_SOCKETS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

_IN_THEIR_TURN = frozenset((b"HELLO", b"INFO", b"RAFTY", b"QUIT"))
"""Answered only when all before them is: they show the state, or change how replies are encoded."""

_WORDS_OF_HTTP = frozenset((b"POST", b"HOST:"))
"""A browser that a foreign page makes talk to this port begins so; Redis hangs up, and so does this service."""

_log = logging.getLogger("rafty.service")


class ServiceError(Exception):
    """The service cannot be opened; the text is one sentence that says why."""


class ProposingNode(Protocol):
    """What the service needs of a node; `rafty_transports.node.Node` has it."""

    async def propose_many(self, commands: Sequence[bytes]) -> Sequence[bytes | ProposalError]:
        """The results of these commands, in order; in place of a result, what became of a command without one."""
        ...

    def status(self) -> Status:
        """A read-only picture of the node, which is shown to clients."""
        ...


class RespServer:
    """Serves the key-value store of `node` to clients of Redis while inside `async with`.

    listen        "host:port"; an empty host is every interface; port 0 takes a free one, and `address` says which
    machine       the machine that the node applies to: its size and digest are shown by RAFTY STATUS
    password      what AUTH must name; None lets everybody in
    connections   how many clients are served at once; one more is refused with an error
    send_timeout  seconds that a client may take to accept a piece of its replies before it is hung up on

    Raises `ValueError` for an address that is none; opening raises `ServiceError`. Leaving the block hangs up on all
    clients at once: what is under way may still be applied. Not promised: that a client learns more of that than a
    closed connection.
    """

    def __init__(
        self,
        node: ProposingNode,
        listen: str,
        *,
        machine: kv.KeyValueMachine | None = None,
        password: str | None = None,
        connections: int = 1000,
        send_timeout: float = 10.0,
    ) -> None:
        self.node = node
        self.machine = machine
        self.password = password.encode() if password is not None else None
        self.send_timeout = send_timeout
        self.limit = connections
        self.connected = 0
        self.accepted = 0
        self._refusals = 0
        self._listen = listen
        self._host, self._port = split_address(listen)
        self._listeners: Sequence[SocketListener] = ()
        self._digest: tuple[int, str] | None = None

    @property
    def address(self) -> str:
        """Where clients connect, as "host:port", with the port that was taken."""
        local = self._listeners[0].extra(SocketAttribute.local_address)
        host, port = str(local[0]), local[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def port(self) -> int:
        """The port that was taken."""
        return int(self._listeners[0].extra(SocketAttribute.local_port))

    async def __aenter__(self) -> Self:
        try:
            listeners = await anyio.create_tcp_listener(local_host=self._host or None, local_port=self._port)
        except OSError as error:
            raise ServiceError(f"cannot listen for clients on {self._listen}: {_reason(error)}") from None
        self._listeners = [listener for listener in listeners.listeners if isinstance(listener, SocketListener)]
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for listener in self._listeners:
            self._tasks.start_soon(self._accept, listener)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tasks.cancel_scope.cancel()
        try:
            # Told nothing of the body's exception, which leaves the block as itself and not inside a group.
            await self._tasks.__aexit__(None, None, None)
        finally:
            for listener in self._listeners:
                await anyio.aclose_forcefully(listener)

    async def _accept(self, listener: SocketListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except (OSError, anyio.BrokenResourceError) as error:
                cause = error.__cause__ or error  # on trio, anyio hides the system's error behind one of its own
                if isinstance(cause, OSError) and cause.errno in _NO_MORE_SOCKETS:
                    _log.error("no client can be accepted now: %s", _reason(cause))
                await anyio.sleep(0.1)
                continue
            self.accepted += 1
            self._tasks.start_soon(self._serve, stream, self.accepted)

    async def _serve(self, stream: SocketStream, number: int) -> None:
        try:
            if self.connected >= self.limit:
                await self._refuse(stream)
                return
            self.connected += 1
            try:
                await _Connection(self, stream, number).run()
            finally:
                self.connected -= 1
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return
        except Exception:
            _log.exception("client %d is hung up on: its request met a fault of this program", number)
        finally:
            await anyio.aclose_forcefully(stream)

    async def _refuse(self, stream: SocketStream) -> None:
        if self._refusals >= _REFUSALS_AT_ONCE:
            return
        self._refusals += 1
        try:
            with anyio.move_on_after(_LINGER_SECONDS):
                await stream.send(resp.error("ERR max number of clients reached"))
                await linger(stream)
        finally:
            self._refusals -= 1

    def describe(self) -> str:
        """The text of INFO, in the sections and words that clients of Redis look for."""
        lines = ["# Server", f"redis_version:{kv_commands.VERSION_OF_REDIS}", "redis_mode:standalone"]
        lines += ["server_name:rafty", f"tcp_port:{self.port}", "", "# Clients", f"connected_clients:{self.connected}"]
        lines += [f"maxclients:{self.limit}", "", "# Persistence", "loading:0", "", "# Replication", "role:master"]
        lines += ["", "# Raft"]
        lines += [f"raft_{name}:{value}" for name, value in picture_of(self.node.status())]
        lines += ["", "# Keyspace"]
        if self.machine is not None:
            lines += [f"db0:keys={len(self.machine)},expires=0,avg_ttl=0"]
        return "".join(line + "\r\n" for line in lines)

    async def status(self) -> str:
        """The text of RAFTY STATUS: a line "name:value" for each fact about the node, then about the store.

        On nodes that show the same `kv_commands_applied`, `kv_digest` must be the same.
        """
        pairs = picture_of(self.node.status())
        machine = self.machine
        if machine is not None:
            applied, keys = machine.commands_applied, len(machine)
            if self._digest is None or self._digest[0] != applied:
                # In a thread, on a copy: the digest of a million keys takes as long as an election timeout.
                digest = await anyio.to_thread.run_sync(kv.digest_of, machine.items(), abandon_on_cancel=True)
                self._digest = applied, digest
            else:
                digest = self._digest[1]
            pairs += [("kv_keys", str(keys)), ("kv_commands_applied", str(applied)), ("kv_digest", digest)]
        return "".join(f"{name}:{value}\r\n" for name, value in pairs)


class _Connection:
    """One client: takes chunks, gathers replies and a batch for the log, sends what became of them."""

    def __init__(self, server: RespServer, stream: SocketStream, number: int) -> None:
        self._server = server
        self._stream = stream
        self._conversation = Conversation(number, server.password, server.describe)
        self._parser = resp.RequestParser(None if self._conversation.admitted else resp.UNAUTHENTICATED)
        self._replies: list[bytes | None] = []
        self._batch: list[bytes] = []
        self._weight = 0

    async def run(self) -> None:
        """Serve until the client leaves, or is to be hung up on."""
        while not self._conversation.closing:
            chunk = await self._stream.receive(_CHUNK)
            try:
                await self._take(chunk)
            except resp.RequestError as error:
                self._conversation.closing = True
                self._replies.append(resp.error(f"ERR {error}"))
            await self._flush()
        with anyio.move_on_after(_LINGER_SECONDS):
            await linger(self._stream)

    async def _take(self, chunk: bytes) -> None:
        """Make a reply, or a command for the log, of each request in this chunk."""
        conversation = self._conversation
        for request in self._parser.feed(chunk):
            name = request[0].upper()
            try:
                conversation.check(name)
                encode = FOR_THE_LOG.get(name)
                if encode is not None:
                    command = encode(request)
                    self._batch.append(command)
                    self._replies.append(None)
                    self._weight += len(command) if name != b"MGET" else len(command) + _MGET_WEIGHT
                else:
                    await self._answer(name, request)
            except Refusal as refusal:
                self._add(resp.error(str(refusal)))
            except ProposalError as stopped:
                self._add(kv_commands.outcome_reply(stopped))
            if conversation.closing:
                return
            if self._weight >= _BATCH_WEIGHT or len(self._replies) >= _BATCH_REQUESTS:
                await self._flush()

    async def _answer(self, name: bytes, request: list[bytes]) -> None:
        if name in _IN_THEIR_TURN:
            await self._flush()
        if name == b"RAFTY":
            if len(request) != 2 or request[1].upper() != b"STATUS":
                raise Refusal("ERR RAFTY knows one subcommand: RAFTY STATUS")
            self._add(resp.bulk((await self._server.status()).encode()))
            return
        if name in _WORDS_OF_HTTP:
            self._conversation.closing = True
            return
        self._add(self._conversation.answer(name, request))
        if self._parser.limits is resp.UNAUTHENTICATED and self._conversation.admitted:
            self._parser.limits = resp.RequestLimits()

    def _add(self, reply: bytes) -> None:
        self._replies.append(reply)
        self._weight += len(reply)

    async def _flush(self) -> None:
        """Propose what has gathered for the log as one batch, then send all replies in the order of the requests."""
        replies, batch = self._replies, self._batch
        if not replies:
            return
        self._replies, self._batch, self._weight = [], [], 0
        outcomes = iter(await self._propose(batch) if batch else ())
        piece: list[bytes] = []
        size = 0
        for reply in replies:
            if reply is None:
                reply = next(outcomes)
            piece.append(reply)
            size += len(reply)
            if size >= _PIECE:
                await self._send(b"".join(piece))
                piece, size = [], 0
        if piece:
            await self._send(b"".join(piece))

    async def _propose(self, batch: list[bytes]) -> list[bytes]:
        try:
            outcomes = await self._server.node.propose_many(batch)
        except ProposalError as error:
            outcomes = [error] * len(batch)
        if len(outcomes) != len(batch):
            raise RuntimeError(f"the node gave {len(outcomes)} outcomes for {len(batch)} commands")
        if self._conversation.protocol == 3:
            return [
                resp.in_resp3(outcome) if isinstance(outcome, bytes) else kv_commands.outcome_reply(outcome)
                for outcome in outcomes
            ]
        return [outcome if isinstance(outcome, bytes) else kv_commands.outcome_reply(outcome) for outcome in outcomes]

    async def _send(self, data: bytes) -> None:
        with anyio.move_on_after(self._server.send_timeout) as scope:
            await self._stream.send(data)
        if scope.cancelled_caught:
            raise anyio.BrokenResourceError


async def linger(stream: SocketStream) -> None:
    """End the replies and read on until the client ends too, or has sent a mebibyte more; the caller sets the deadline.

    A socket closed with unread bytes makes the system discard what it has not delivered: the last reply.
    """
    await stream.send_eof()
    total = 0
    while total < 1024 * 1024:
        try:
            total += len(await stream.receive(_CHUNK))
        except anyio.EndOfStream:
            return


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    return (error.strerror or str(error)).lower()
