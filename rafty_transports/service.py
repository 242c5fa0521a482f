"""The key-value service: a server that speaks RESP, so that every client of Redis is a client of the cluster.

Law: *every request is answered once, in order, and what the log was asked for is answered with what became of it.*

What happens to the requests of one client is `service_connection`. Reads are linearizable unless a client asks for
another mode, on every node: they look at the store of the node itself, once that has heard that it may (thesis 6.4).

The port withstands anyone. Bounded are the connections, the bytes and arguments of a request, the weight of a batch,
and by `service_clients.ClientLimits` the time and the room that a client takes. Without a password nobody is served but
on loopback. Every refusal is counted by its reason, and INFO and RAFTY STATUS show how many there were.
"""

import errno
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketListener, SocketStream
from anyio.streams.tls import TLSStream

from rafty_transports import kv, picture, resp
from rafty_transports.addresses import Origin, split_address
from rafty_transports.administration import Administration
from rafty_transports.complaints import Complaints
from rafty_transports.conversation import VERSION_OF_REDIS
from rafty_transports.credentials import ForClients
from rafty_transports.farewell import say
from rafty_transports.next_connection import close_all, next_connection
from rafty_transports.passwords import Passwords
from rafty_transports.service_clients import REASONS, Client, ClientLimits, Clients, TurnedAway
from rafty_transports.service_connection import Connection, Served, ServingNode
from rafty_transports.threads import run_in_daemon

_REFUSALS_AT_ONCE = 64

_PLAIN_TEXT = frozenset(("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"))
"""What OpenSSL says of a client that does not speak TLS."""

_log = logging.getLogger("rafty.service")


class ServiceError(Exception):
    """The service cannot be opened; the text is one sentence that says why."""


class RespServer:
    """Serves the key-value store of `node` to clients of Redis while inside `async with`.

    listen          "host:port"; an empty host is every interface; port 0 takes a free one, and `address` says which
    machine         the machine that the node applies to; it is read here
    administration  what answers RAFTY MEMBERS and its like; None: nobody
    password        what AUTH must name; None lets everybody in
    admin_password  what AUTH of the user `admin` must name, for what changes the cluster or carries it away: RAFTY
                    MEMBER, TRANSFER, LEASE, SNAPSHOT and BACKUP; None: who may write may do that too
    protected_mode  without a password, refuse whoever does not come from a loopback address; a client that proved by
                    a certificate who it is (`tls` asks for one, `ssl.CERT_REQUIRED`) is served
    tls             the server's context, or `Credentials.for_clients`: clients speak TLS, and nothing else; None: they
                    speak plain text
    facts           further facts about the node for RAFTY STATUS and INFO: pairs of name and text
    limits          what clients may take, each and all together

    Raises `ValueError` for an address that is none, for an empty password, and for an `admin_password` that is equal to
    `password`; opening raises `ServiceError`. Leaving the block hangs up on all
    clients at once: what is under way may still be applied. Not promised: that a client learns more of that than a
    closed connection.
    """

    def __init__(
        self,
        node: ServingNode,
        listen: str,
        *,
        machine: kv.KeyValueMachine,
        administration: Administration | None = None,
        password: str | None = None,
        admin_password: str | None = None,
        protected_mode: bool = True,
        tls: ssl.SSLContext | ForClients | None = None,
        facts: Callable[[], Iterable[tuple[str, str]]] = tuple,
        limits: ClientLimits | None = None,
    ) -> None:
        self.node = node
        self.machine = machine
        self.accepted = 0
        self._refusals = 0
        self._complaints = Complaints()
        self._listen = listen
        self._host, self._port = split_address(listen)
        self._listeners: Sequence[SocketListener] = ()
        self._digest: tuple[int, str] | None = None
        self._digesting = anyio.Lock()  # many may ask at once (R210)
        passwords = Passwords(password, admin_password)
        locked = passwords.asked or tls is not None
        self._clients = Clients(limits if limits is not None else ClientLimits(), locked=locked)
        self._tls = tls
        self._facts = facts
        proves_itself = passwords.asked or (tls is not None and tls.verify_mode == ssl.CERT_REQUIRED)
        self._only_loopback = protected_mode and not proves_itself
        self._served = Served(node, machine, administration, passwords, self._clients, self.describe, self.status)

    @property
    def connected(self) -> int:
        """How many clients are connected and have a place."""
        return len(self._clients)

    @property
    def room_taken(self) -> int:
        """Bytes of `ClientLimits.room` that are taken now."""
        return self._clients.room_taken

    @property
    def refusals(self) -> list[tuple[str, int]]:
        """How many clients and requests were refused for each of `service_clients.REASONS`."""
        return self._clients.refusals.items()

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
        self._tasks.start_soon(self._clients.watch)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await close_all(self._listeners)
        self._tasks.cancel_scope.cancel()
        # Told nothing of the body's exception, which leaves the block as itself and not inside a group.
        await self._tasks.__aexit__(None, None, None)

    async def _accept(self, listener: SocketListener) -> None:
        while True:
            try:
                stream = await next_connection(listener, self._complaints, _log, "no client can be accepted now: %s")
            except anyio.ClosedResourceError:
                return
            self.accepted += 1
            self._tasks.start_soon(self._serve, stream, self.accepted)

    async def _serve(self, stream: SocketStream, number: int) -> None:
        try:
            peer = stream.extra(SocketAttribute.remote_address, None)
            if peer is None:  # it has left already
                return
            try:
                client = self._clients.enter(Origin.of(str(peer[0])))
            except TurnedAway as refusal:
                await self._part(stream, "" if self._tls is not None else str(refusal))
                return
            await self._talk(stream, client, number)
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            return
        except Exception:
            _log.exception("client %d is hung up on: its request met a fault of this program", number)
        finally:
            await anyio.aclose_forcefully(stream)

    async def _talk(self, stream: SocketStream, client: Client, number: int) -> None:
        talk: ByteStream | None = None
        try:
            with client.scope:
                talk = await self._secured(stream, client)
                if self._only_loopback and not client.origin.loopback:
                    self._clients.turn_away(client, "denied")
                else:
                    await Connection(self._served, talk, client, number).run()
        finally:
            self._clients.leave(client)
        if client.turned_away and talk is not None:
            await self._part(talk, REASONS[client.turned_away])

    async def _secured(self, stream: SocketStream, client: Client) -> ByteStream:
        """The stream on which the client talks. It has as long to make it as a stranger has to authenticate."""
        if self._tls is None:
            return stream
        context = await self._tls.context() if isinstance(self._tls, ForClients) else self._tls
        try:
            return await TLSStream.wrap(stream, server_side=True, ssl_context=context, standard_compatible=False)
        except (anyio.EndOfStream, anyio.BrokenResourceError, OSError) as error:
            self._clients.refusals.count("tls")
            if isinstance(error, ssl.SSLError) and error.reason in _PLAIN_TEXT:
                await self._part(stream, "ERR this port speaks TLS, and nothing else")
            raise

    async def _part(self, stream: ByteStream, text: str) -> None:
        """Say why the client is not served, unless many are told that at this moment."""
        if not text or self._refusals >= _REFUSALS_AT_ONCE:
            return
        self._refusals += 1
        try:
            await say(stream, resp.error(text))
        finally:
            self._refusals -= 1

    def describe(self) -> str:
        """The text of INFO, in the sections and words that clients of Redis look for."""
        lines = ["# Server", f"redis_version:{VERSION_OF_REDIS}", "redis_mode:standalone"]
        lines += ["server_name:rafty", f"tcp_port:{self.port}", "", "# Clients", f"connected_clients:{self.connected}"]
        lines += [
            f"maxclients:{self._clients.limits.connections}",
            *self._refused(),
            "",
            "# Persistence",
            "loading:0",
            "",
            "# Replication",
            "role:master",
        ]
        lines += ["", "# Raft"]
        lines += [
            f"raft_{name}:{value}" for name, value in picture.picture_of(self.node.status(), self.node.transfers())
        ]
        lines += [f"{name}:{text}" for name, text in self._facts()]
        lines += ["", "# Keyspace", f"db0:keys={len(self.machine)},expires=0,avg_ttl=0"]
        return "".join(line + "\r\n" for line in lines)

    async def status(self) -> str:
        """The text of RAFTY STATUS: a line "name:value" for each fact about the node, then about the store.

        On nodes that show the same `kv_commands_applied`, `kv_digest` must be the same.
        """
        async with self._digesting:
            pairs = picture.picture_of(self.node.status(), self.node.transfers())
            machine = self.machine
            applied, keys = machine.commands_applied, len(machine)
            if self._digest is None or self._digest[0] != applied:
                # In a thread, on a copy: the digest of a million keys takes as long as an election timeout.
                self._digest = applied, await run_in_daemon(kv.digest_of, machine.items())
            digest = self._digest[1]
        pairs += [("kv_keys", str(keys)), ("kv_commands_applied", str(applied)), ("kv_digest", digest)]
        return picture.lines([*pairs, *self._facts()]) + "".join(f"{line}\r\n" for line in self._refused())

    def _refused(self) -> list[str]:
        return [f"refused.clients.{reason}:{count}" for reason, count in self.refusals]


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    return (error.strerror or str(error)).lower()
