"""The key-value service: a server that speaks RESP, so that every client of Redis is a client of the cluster.

Law: *every request is answered once, in order, and what the log was asked for is answered with what became of it.*

What happens to the requests of one client is `service_connection`. Reads are linearizable unless a client asks for
another mode, on every node: they look at the store of the node itself, once that has heard that it may (thesis 6.4).

Bounded are the connections, the bytes and arguments of a request, the weight of a batch, and the time a client may take
to accept its replies.
"""

import errno
import logging
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream

from rafty_transports import kv, picture, resp
from rafty_transports.addresses import split_address
from rafty_transports.administration import Administration
from rafty_transports.conversation import VERSION_OF_REDIS
from rafty_transports.service_connection import LINGER_SECONDS, Connection, Served, ServingNode, linger
from rafty_transports.threads import run_in_daemon

_REFUSALS_AT_ONCE = 64
_NO_MORE_SOCKETS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))

_log = logging.getLogger("rafty.service")


class ServiceError(Exception):
    """The service cannot be opened; the text is one sentence that says why."""


class RespServer:
    """Serves the key-value store of `node` to clients of Redis while inside `async with`.

    listen          "host:port"; an empty host is every interface; port 0 takes a free one, and `address` says which
    machine         the machine that the node applies to; it is read here
    administration  what answers RAFTY MEMBERS and its like; None: nobody
    password        what AUTH must name; None lets everybody in
    connections     how many clients are served at once; one more is refused with an error
    send_timeout    seconds that a client may take to accept a piece of its replies before it is hung up on

    Raises `ValueError` for an address that is none; opening raises `ServiceError`. Leaving the block hangs up on all
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
        connections: int = 1000,
        send_timeout: float = 10.0,
    ) -> None:
        self.node = node
        self.machine = machine
        self.limit = connections
        self.connected = 0
        self.accepted = 0
        self._refusals = 0
        self._listen = listen
        self._host, self._port = split_address(listen)
        self._listeners: Sequence[SocketListener] = ()
        self._digest: tuple[int, str] | None = None
        secret = password.encode() if password is not None else None
        self._served = Served(node, machine, administration, secret, send_timeout, self.describe, self.status)

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
                await Connection(self._served, stream, number).run()
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
            with anyio.move_on_after(LINGER_SECONDS):
                await stream.send(resp.error("ERR max number of clients reached"))
                await linger(stream)
        finally:
            self._refusals -= 1

    def describe(self) -> str:
        """The text of INFO, in the sections and words that clients of Redis look for."""
        lines = ["# Server", f"redis_version:{VERSION_OF_REDIS}", "redis_mode:standalone"]
        lines += ["server_name:rafty", f"tcp_port:{self.port}", "", "# Clients", f"connected_clients:{self.connected}"]
        lines += [f"maxclients:{self.limit}", "", "# Persistence", "loading:0", "", "# Replication", "role:master"]
        lines += ["", "# Raft"]
        lines += [
            f"raft_{name}:{value}" for name, value in picture.picture_of(self.node.status(), self.node.transfers())
        ]
        lines += ["", "# Keyspace", f"db0:keys={len(self.machine)},expires=0,avg_ttl=0"]
        return "".join(line + "\r\n" for line in lines)

    async def status(self) -> str:
        """The text of RAFTY STATUS: a line "name:value" for each fact about the node, then about the store.

        On nodes that show the same `kv_commands_applied`, `kv_digest` must be the same.
        """
        pairs = picture.picture_of(self.node.status(), self.node.transfers())
        machine = self.machine
        applied, keys = machine.commands_applied, len(machine)
        if self._digest is None or self._digest[0] != applied:
            # In a thread, on a copy: the digest of a million keys takes as long as an election timeout.
            digest = await run_in_daemon(kv.digest_of, machine.items())
            self._digest = applied, digest
        else:
            digest = self._digest[1]
        pairs += [("kv_keys", str(keys)), ("kv_commands_applied", str(applied)), ("kv_digest", digest)]
        return picture.lines(pairs)


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    return (error.strerror or str(error)).lower()
