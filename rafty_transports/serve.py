"""`rafty serve`: one node of a cluster as a process.

Law: *everything that can be refused is refused before the data directory is touched.*

The process says on its standard output what a person or a script waits for: that it serves, and whom it follows or
that it leads, whenever that changes. Warnings go to the standard error, a line each, and the same line not again and
again.

Each connection is an open file, and so the process raises its limit of open files (the soft RLIMIT_NOFILE) to what it
may have at most (the hard one), as Redis does. Who wants it lower sets the hard one.
"""

import contextlib
import ctypes
import errno
import importlib.util
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
import anyio.to_thread

from rafty_core.configuration import Configuration, Member
from rafty_core.output import LeaderChanged
from rafty_core.sessions import Sessions
from rafty_core.status import Status
from rafty_transports.addresses import parse_address, split_address
from rafty_transports.administration import Administration
from rafty_transports.credentials import ForClients
from rafty_transports.exits import DONE, REMOVED, CommandFailed, WrongInput
from rafty_transports.kv import KeyValueMachine
from rafty_transports.node import Node, NodeFailed, NodeRemoved
from rafty_transports.observers import Notices
from rafty_transports.offline import begin_anew
from rafty_transports.picture import network_of
from rafty_transports.printing import MOST_LINES, Lines
from rafty_transports.security import Credentials
from rafty_transports.service import RespServer, ServiceError
from rafty_transports.signals import Gently, run_until_signal
from rafty_transports.storage import SqliteStore, StoreError
from rafty_transports.tcp import TcpTransport, TransportError

QUIET_SECONDS = 60.0
"""A warning is not repeated for so long, unless another of its kind came in between."""

LAST_WORDS_SECONDS = 0.2
"""How long a process that ends waits for readers of its standard output, and again of its standard error."""

STDOUT, STDERR = 1, 2

MODEST_FILES = 10_240
"""The limit of open files that is asked for where the system does not grant the highest that it names, as macOS."""

SET_PDEATHSIG = 1
"""The option of Linux's `prctl` that has a process signalled when its parent dies."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one node is started with. `client` is "host:port"; for the other addresses see `addresses`.

    cluster    id -> address of every node that the cluster is created with, this one among them; empty: the node joins,
               or goes on with the data directory that it has
    join       the id of the cluster that it joins, or None
    listen     where to listen for other nodes
    credentials  files of the certificate, its key, and the authority; None: everything is plain text
    client_tls   clients are served by TLS, with the same certificate
    restored   the data directory is an older copy: it is put aside, and the node joins its cluster anew
    advertise  where other nodes reach this one
    parent     process id of the parent that this process must not outlive; None lets it
    """

    node_id: str
    cluster: Mapping[str, str]
    data: str
    client: str
    listen: Sequence[str]
    advertise: str = ""
    credentials: tuple[str, str, str] | None = None
    client_tls: bool = False
    join: str | None = None
    restored: bool = False
    name: str = "rafty"
    backend: str = "asyncio"
    password: str | None = field(default=None, repr=False)
    admin_password: str | None = field(default=None, repr=False)
    protected_mode: bool = True
    verbose: bool = False
    parent: int | None = None


def run(settings: Settings) -> int:
    """Run the node until a signal ends it. Raises `CommandFailed`, most often `WrongInput`, if it cannot go on."""
    if settings.parent is not None:
        die_with_parent(settings.parent)
    raise_file_limit()
    check_backend(settings.backend)
    for where in settings.listen:
        address = parse_address(where)
        check_free(address.socket, "nodes")
        if address.web:
            check_websocket(settings.backend)
    check_free(settings.client, "clients")
    gently = Gently()
    talk = partial(_talk, settings, gently)
    return run_until_signal(talk, what=f"node {settings.node_id}", backend=settings.backend, gently=gently)


async def _talk(settings: Settings, gently: Gently) -> int:
    """Serve, and let what was said be written before the process ends, but not wait for readers."""
    said, logged = Lines(STDOUT), Lines(STDERR)
    log_to(logged, settings)
    try:
        return await _serve(settings, said, gently)
    finally:
        for lines in (said, logged):
            lines.close(LAST_WORDS_SECONDS)


async def _serve(settings: Settings, said: Lines, gently: Gently) -> int:
    credentials = _credentials(settings)
    if settings.restored:
        settings = await _begin_anew(settings, said)
    store = await _open_store(settings)
    peers = {node_id: where for node_id, where in settings.cluster.items() if node_id != settings.node_id}
    machine = KeyValueMachine()
    transport = TcpTransport(store.identity, peers, settings.listen, admit=store.meet, credentials=credentials)
    node = Node(store, transport, Sessions(machine))
    server = RespServer(
        node,
        settings.client,
        machine=machine,
        administration=Administration(node, store.snapshots),
        password=settings.password,
        admin_password=settings.admin_password,
        protected_mode=settings.protected_mode,
        tls=_for_clients(settings, credentials),
        facts=partial(network_of, transport),
    )
    try:
        with node.notices() as notices:
            async with node, server:
                said.put(
                    f"{settings.node_id} serves clients on {server.address}, nodes on {', '.join(transport.addresses)}"
                )
                if not node.status().configuration.members:
                    said.put(_not_yet_member(settings, store))
                with anyio.CancelScope() as gently.scope:
                    await _tell(node, notices, said)
    except NodeRemoved as removal:
        raise CommandFailed(str(removal), REMOVED) from removal
    except NodeFailed as failure:
        advice = "" if isinstance(failure.__cause__, StoreError) else "; see to it, then start the node again"
        raise CommandFailed(f"{failure}{advice}") from failure
    except (TransportError, ServiceError) as error:
        raise WrongInput(f"{error}; end whatever uses the address, or give another one") from error
    return DONE


def _credentials(settings: Settings) -> Credentials | None:
    if settings.credentials is None:
        return None
    try:
        credentials = Credentials.from_files(*settings.credentials)
        credentials.check_own(settings.node_id)
    except ValueError as error:
        raise WrongInput(str(error)) from error
    return credentials


def _for_clients(settings: Settings, credentials: Credentials | None) -> ForClients | None:
    """With a password clients need no certificate; without one they show one of the same authority."""
    if credentials is None or not settings.client_tls:
        return None
    return credentials.for_clients(certificate_required=settings.password is None)


async def _begin_anew(settings: Settings, said: Lines) -> Settings:
    cluster_id, kept = await anyio.to_thread.run_sync(begin_anew, settings.data, settings.node_id, settings.join)
    said.put(f"{settings.node_id} begins anew: its old data directory is kept as {kept}")
    said.put(f"next: remove {settings.node_id} with `rafty remove`, then add it again with `rafty add`")
    return replace(settings, join=cluster_id, restored=False)


def _not_yet_member(settings: Settings, store: SqliteStore) -> str:
    return (
        f"{settings.node_id} waits to be added to {store.identity.cluster_id}: "
        f"`rafty add --nodes HOST:PORT,... {settings.node_id} {settings.advertise}`"
    )


async def _open_store(settings: Settings) -> SqliteStore:
    members = tuple(Member(node_id, where) for node_id, where in settings.cluster.items())
    opening = partial(
        SqliteStore.open,
        settings.data,
        node_id=settings.node_id,
        cluster=settings.name,
        initial=Configuration(voters=members) if members else None,
        join=settings.join,
        address=settings.advertise,
    )
    try:
        return await anyio.to_thread.run_sync(opening, abandon_on_cancel=True)
    except (StoreError, ValueError) as error:
        raise WrongInput(str(error)) from error


async def _tell(node: Node, notices: Notices, lines: Lines) -> None:
    """Say whom this node follows, or that it leads, now and whenever that changes."""
    said = ""
    async for notice in notices:
        if isinstance(notice, LeaderChanged):
            status = node.status()
            state = describe_leadership(status)
            if state != said and (said or status.leader is not None):
                said = state
                lines.put(f"{state}, term {status.term}")


def describe_leadership(status: Status) -> str:
    """Whom the node follows, or that it leads, as a sentence without an end."""
    if status.role == "leader":
        return f"{status.id} leads"
    return f"{status.id} follows {status.leader}" if status.leader else f"{status.id} knows no leader"


def check_backend(backend: str) -> None:
    """Raise `WrongInput` if what this backend needs is not installed."""
    if backend != "asyncio" and importlib.util.find_spec(backend) is None:
        raise WrongInput(f"{backend} is not installed; install it (`pip install 'rafty[{backend}]'`) or use asyncio")


def check_websocket(backend: str) -> None:
    """Raise `WrongInput` if what WebSocket needs on this backend is not installed."""
    library = "trio_websocket" if backend == "trio" else "websockets"
    if importlib.util.find_spec(library) is None:
        raise WrongInput(f"WebSocket needs {library}; install it (`pip install 'rafty[websocket]'`) or listen on TCP")


def check_free(where: str, whom: str) -> None:
    """Raise `WrongInput` if this address cannot be listened on, before anything is written to the disk."""
    host, port = split_address(where)
    try:
        family, kind, protocol, _, resolved = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(resolved)
            probe.listen(1)
    except (OSError, UnicodeError) as error:
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise WrongInput(
                f"cannot listen for {whom} on {where}: the address is in use; end what uses it, or give another one"
            ) from None
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise WrongInput(f"cannot listen for {whom} on {where}: {reason}; give an address of this machine") from None


class _OneLine(logging.Formatter):
    """A record as one line. Tracebacks are for --verbose."""

    def __init__(self, verbose: bool) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._verbose = verbose

    def format(self, record: logging.LogRecord) -> str:
        if not self._verbose:
            record = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        text = super().format(record)
        return text if self._verbose else text.replace("\n", " ")


class _NotTwice(logging.Filter):
    """Passes a line once in `QUIET_SECONDS`: both directions of a connection say the same about a peer."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], tuple[str, float]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is new, compared with the last one of its kind, or of its kind and peer."""
        kind, text = str(record.msg), record.getMessage()
        peer = str(record.args[0]) if kind.startswith("connection with %s") and isinstance(record.args, tuple) else ""
        before, at = self._last.get((kind, peer), ("", 0.0))
        now = time.monotonic()
        if len(self._last) >= MOST_LINES:  # strangers have any names they like (R216)
            self._last.clear()
        self._last[kind, peer] = text, now
        return text != before or now > at + QUIET_SECONDS


class _ToLines(logging.Handler):
    """Hands each record on as it is to be read; never waits."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        self._lines.put(self.format(record))


def log_to(lines: Lines, settings: Settings) -> None:
    """Send what the library logs there: warnings, or everything with --verbose."""
    handler = _ToLines(lines)
    handler.setFormatter(_OneLine(settings.verbose))
    handler.addFilter(_NotTwice())
    logging.basicConfig(handlers=[handler], level=logging.INFO if settings.verbose else logging.WARNING)
    logging.raiseExceptions = False  # a line that cannot be written is no reason for a traceback


def raise_file_limit() -> None:
    """Let this process open as many files, which connections are, as it may; never fewer than before."""
    try:
        import resource
    except ImportError:  # not on every platform
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, MODEST_FILES):
        if soft == hard or (wanted != hard and soft >= wanted):
            return
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends, however that ends; at once if it has ended already."""
    prctl = None
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            prctl = ctypes.CDLL(None, use_errno=True).prctl
    if prctl is None or prctl(SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        threading.Thread(target=_watch_parent, args=(parent,), name="rafty parent", daemon=True).start()
    if os.getppid() != parent:  # it died before we asked to be told
        os.kill(os.getpid(), signal.SIGKILL)


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.25)
    os.kill(os.getpid(), signal.SIGKILL)
