"""One client of the key-value service: takes chunks, gathers what they ask for, sends what became of it.

Law: *every request is answered once, in order, and sees everything that this client asked for before it.*

All requests of one received chunk that are for the store go there as one batch. A batch that only reads waits once for
`Node.read` and then looks at the store; one that writes is proposed as it stands, its reads with it: they cost nothing
more in the log, and a second round would cost them one. No task, lock or timer belongs to a request. While a batch is
under way the connection is not read, so that a client which sends faster than the log takes is slowed down by TCP. How
long the client may take, and how much room, is for `service_clients` to say.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import anyio
from anyio.abc import ByteStream

from rafty_core.outcomes import ProposalError
from rafty_core.status import Status
from rafty_transports import kv, kv_commands, kv_sessions, resp
from rafty_transports.administration import Administration
from rafty_transports.conversation import WORDS_OF_HTTP, Conversation
from rafty_transports.exchange import Progress
from rafty_transports.farewell import linger
from rafty_transports.kv_commands import READS, WRITES, Refusal
from rafty_transports.passwords import Passwords, delay_after
from rafty_transports.service_clients import CHUNK, Client, Clients, TurnedAway

_PIECE = 256 * 1024
"""Replies are sent in pieces of about this many bytes, so that many references to one large value stay references."""

_BATCH_REQUESTS = 1024
_BATCH_WEIGHT = 1024 * 1024

_IN_THEIR_TURN = frozenset((b"HELLO", b"INFO", b"RAFTY", b"QUIT", b"READONLY", b"READWRITE"))
"""Answered only when all before them is: they show the state, or change how replies are made."""

_RAFTY = "ERR RAFTY knows STATUS, INDEX, READ, SESSION, MEMBERS, MEMBER, TRANSFER, LEASE, SNAPSHOT and BACKUP"


class ServingNode(Protocol):
    """What the service needs of a node; `rafty_transports.node.Node` has it."""

    async def propose_many(self, commands: Sequence[bytes]) -> Sequence[bytes | ProposalError]:
        """The results of these commands, in order; in place of a result, what became of a command without one."""
        ...

    async def propose_operations(self, commands: Sequence[bytes]) -> Sequence[bytes | ProposalError]:
        """As `propose_many`, for operations of `rafty_core.sessions` among commands, which begin with other bytes."""
        ...

    async def read(self, mode: Literal["linearizable", "lease", "stale"] = ..., *, at_least: int = ...) -> int:
        """Wait until the store of this node may be read in this way; the index that it has applied."""
        ...

    def status(self) -> Status:
        """A read-only picture of the node, which is shown to clients."""
        ...

    def transfers(self) -> Sequence[Progress]:
        """Snapshots that are on their way from and to the node."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """What all clients of one service share. `describe` makes the text of INFO, `tell_status` that of RAFTY STATUS."""

    node: ServingNode
    machine: kv.KeyValueMachine
    administration: Administration | None
    passwords: Passwords
    clients: Clients
    describe: Callable[[], str]
    tell_status: Callable[[], Awaitable[str]]


class Connection:
    """What `client` says on this stream, and hears; `number` is the connection's, counted from 1."""

    def __init__(self, served: Served, stream: ByteStream, client: Client, number: int) -> None:
        self._served = served
        self._clients = served.clients
        self._stream = stream
        self._client = client
        self._conversation = Conversation(number, served.passwords, served.describe)
        self._parser = resp.RequestParser(resp.UNAUTHENTICATED if self._conversation.user is None else None)
        self._replies: list[bytes | None] = []
        self._batch: list[bytes] = []
        self._reads = 0  # how many commands of the batch only read
        self._copies = False  # whether an answer to one of them is a copy, and may be a large one
        self._operations: dict[int, kv_sessions.Translate] = {}  # by position in the batch, what belongs to sessions
        self._weight = 0
        self._completed = False  # whether a request was complete in the chunk that came last
        self._wrong_passwords = 0

    async def run(self) -> None:
        """Serve until the client leaves, or is to be hung up on. Told to it before is why, where it can be told."""
        clients, client = self._clients, self._client
        if self._conversation.user is not None:
            clients.proven(client)
        while not self._conversation.closing:
            client.waited_for(unfinished=self._parser.unfinished, anew=self._completed)
            chunk = await self._stream.receive(CHUNK)
            client.heard()
            self._completed = False
            try:
                size = self._parser.kept + len(chunk)
                if size > CHUNK or client.taken:
                    clients.take_room(client, size)
                await self._take(chunk)
                if (kept := self._parser.kept) > max(size, CHUNK):  # small arguments take more than they were sent as
                    clients.take_room(client, kept)
            except TurnedAway as refusal:
                self._end_with(str(refusal))
            except resp.RequestError as error:
                clients.refusals.count("protocol")
                self._end_with(f"ERR {error}")
            await self._flush()
            if client.taken:
                clients.give_room_back(client, self._parser.kept)
        await linger(self._stream)

    def _end_with(self, text: str) -> None:
        """Answer nothing behind this error, and keep nothing of what was begun."""
        self._conversation.closing = True
        self._replies.append(resp.error(text))
        self._parser = resp.RequestParser()

    async def _take(self, chunk: bytes) -> None:
        """Make a reply, or a command for the store, of each request in this chunk."""
        conversation = self._conversation
        for request in self._parser.feed(chunk):
            self._completed = True
            name = request[0].upper()
            try:
                conversation.check(name)
                if (encode := WRITES.get(name)) is not None:
                    await self._write(encode(request))
                elif (encode := READS.get(name)) is not None:
                    await self._read(name, encode(request))
                else:
                    await self._answer(name, request)
            except Refusal as refusal:
                if refusal.counted_as:
                    await self._count(refusal.counted_as)
                self._add(resp.error(str(refusal)))
            except ProposalError as stopped:
                self._add(kv_commands.outcome_reply(stopped))
            if conversation.closing:
                return
            if self._weight >= _BATCH_WEIGHT or len(self._replies) >= _BATCH_REQUESTS:
                await self._flush()

    async def _count(self, reason: str) -> None:
        """Count a refusal; a wrong password costs time, and at last the connection."""
        self._clients.refusals.count(reason)
        if reason == "wrong_password":
            self._wrong_passwords += 1
            await anyio.sleep(delay_after(self._wrong_passwords))
            if self._wrong_passwords >= self._clients.limits.wrong_passwords:
                self._conversation.closing = True

    def _join(self, command: bytes) -> None:
        self._batch.append(command)
        self._replies.append(None)
        self._weight += len(command)

    async def _write(self, command: bytes, translate: kv_sessions.Translate | None = None) -> None:
        if self._reads and (self._copies or self._conversation.read_mode == "stale"):
            await self._flush()  # these reads need nobody, and shall not wait (R211), or are not for the log (R212)
        if translate is not None:
            self._operations[len(self._batch)] = translate
        self._join(command)

    async def _read(self, name: bytes, command: bytes) -> None:
        copies = name == b"MGET"
        if len(self._batch) > self._reads and (copies or self._conversation.read_mode == "stale"):
            await self._flush()
        if copies:
            self._copies = True
        self._join(command)
        self._reads += 1

    async def _answer(self, name: bytes, request: list[bytes]) -> None:
        word = request[1].upper() if name == b"RAFTY" and len(request) > 1 else b""
        if word == b"SESSION":
            await self._write(*kv_sessions.encode(request))
            return
        if name in _IN_THEIR_TURN:
            await self._flush()
        if name == b"RAFTY":
            self._add(await self._of_rafty(word, request))
            return
        if name in WORDS_OF_HTTP:
            self._clients.refusals.count("http")
            self._conversation.closing = True
            return
        self._add(self._conversation.answer(name, request))
        if self._parser.limits is resp.UNAUTHENTICATED and self._conversation.user is not None:
            self._parser.limits = resp.RequestLimits()
            self._clients.proven(self._client)

    async def _of_rafty(self, word: bytes, request: list[bytes]) -> bytes:
        served = self._served
        if word == b"STATUS" and len(request) == 2:
            return resp.bulk((await served.tell_status()).encode())
        if word == b"INDEX" and len(request) == 2:
            return resp.integer(served.node.status().applied_index)
        if word == b"READ" and len(request) > 2:
            return self._conversation.read_as(request[2:])
        self._conversation.check_administers(word)
        reply = None
        if served.administration is not None:
            reply = await served.administration.answer(request, self._conversation)
        if reply is None:
            raise Refusal(_RAFTY)
        return reply

    def _add(self, reply: bytes) -> None:
        self._replies.append(reply)
        self._weight += len(reply)

    async def _flush(self) -> None:
        """Have the batch carried out, then send all replies in the order of the requests."""
        replies = self._replies
        if not replies:
            return
        outcomes = await self._carry_out() if self._batch else iter(())
        self._replies, self._weight = [], 0
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

    async def _carry_out(self) -> Iterator[bytes]:
        """Read, or propose, what has gathered; one reply for each command.

        Copies are made when they are asked for, one at a time, for the client may take them slowly (R212).
        """
        batch, operations, reads, copies = self._batch, self._operations, self._reads, self._copies
        self._batch, self._operations, self._reads, self._copies = [], {}, 0, False
        node, machine = self._served.node, self._served.machine
        outcomes: Sequence[bytes | ProposalError]
        try:
            if reads == len(batch):
                conversation = self._conversation
                await node.read(conversation.read_mode, at_least=conversation.at_least)
                if copies:
                    return self._replies_of(reply for command in batch for reply in machine.read((command,)))
                outcomes = machine.read(batch)
            elif operations:
                outcomes = _translated(await node.propose_operations(batch), operations)
            else:
                outcomes = await node.propose_many(batch)
        except ProposalError as error:
            outcomes = [error] * len(batch)
        if len(outcomes) != len(batch):
            raise RuntimeError(f"the node gave {len(outcomes)} outcomes for {len(batch)} commands")
        return self._replies_of(outcomes)

    def _replies_of(self, outcomes: Iterable[bytes | ProposalError]) -> Iterator[bytes]:
        if self._conversation.protocol == 3:
            return map(resp.in_resp3, map(_reply_of, outcomes))
        return map(_reply_of, outcomes)

    async def _send(self, data: bytes) -> None:
        with anyio.move_on_after(self._clients.limits.send_timeout) as scope:
            await self._stream.send(data)
        if scope.cancelled_caught:
            self._clients.refusals.count("deaf")
            raise anyio.BrokenResourceError


def _reply_of(outcome: bytes | ProposalError) -> bytes:
    return outcome if isinstance(outcome, bytes) else kv_commands.outcome_reply(outcome)


def _translated(
    outcomes: Sequence[bytes | ProposalError], operations: dict[int, kv_sessions.Translate]
) -> list[bytes | ProposalError]:
    """The outcomes, with a reply in the place of each answer to an operation of a session."""
    translated = list(outcomes)
    for position, translate in operations.items():
        outcome = translated[position]
        if isinstance(outcome, bytes):
            translated[position] = translate(outcome)
    return translated
