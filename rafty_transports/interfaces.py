"""The three seams between Raft and the world: how messages travel, where the log is kept, what commands mean.

Law: *each seam promises little, and says what it does not promise.* rafty brings an implementation of each; a program
that embeds rafty may bring its own.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Protocol, Self, TypeAlias

from rafty_core.configuration import Member
from rafty_core.events import PeerUnreachable
from rafty_core.messages import Message
from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest

Travelling: TypeAlias = Message | SnapshotChunk | SnapshotChunkRequest
"""Everything that a transport carries: what cores say to each other, and the bytes of snapshots."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is: the four names that a handshake compares.

    cluster_id   the cluster's name and a digest of the configuration that it was bootstrapped with
    node_id      the node's name
    incarnation  drawn at random when its data directory was created
    boot         a durable counter, one more at each start

    `bootstrap` is the initial configuration in words ("n1,n2,n3"), so that a refusal can name the difference.
    `address` is where the node is reached by others, as it says itself ("": it does not say).
    """

    cluster_id: str
    node_id: str
    incarnation: str
    boot: int
    bootstrap: str = ""
    address: str = ""


class Refused(Exception):
    """A peer or a request is refused; the text is one sentence that says why and what to do.

    `reason` is a word for counting, one of a few that are known beforehand.
    """

    def __init__(self, text: str, reason: str = "other") -> None:
        super().__init__(text)
        self.reason = reason


class RemovedFromCluster(Refused):
    """A peer was refused because a committed configuration removed it: it never returns as it is."""

    def __init__(self, text: str) -> None:
        super().__init__(text, "removed")


class Transport(Protocol):
    """Carries messages between nodes. Open while inside `async with`.

    Promised: a message that is delivered was sent, unchanged, by the node that its `sender` names; nobody else's
    object is handed out (two nodes never share one).
    Not promised: that a message arrives, arrives once, in order, or soon.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None: ...

    def send(self, message: Travelling) -> None:
        """Take this message for delivery to `message.to`. Never waits and never raises for a peer's sake.

        A message that does not fit (the peer is slow, away or unknown) is dropped, newest first, counted, and reported
        by a `PeerUnreachable` among the incoming.
        """
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Travelling | PeerUnreachable]]:
        """What came in, in lists: each list is all that has gathered since the last. Ends when the transport closes.

        While nobody takes the next list, the transport stops reading: the bound of what it holds is its own.
        """
        ...


class MembersTransport(Transport, Protocol):
    """A transport that wants to know whom it may reach; one that does not (queues, a broker) needs no more than
    `Transport`."""

    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        """These are the members now, with their addresses; those of `removed` are refused, and told why.

        Called at the start and at each change of configuration. A peer that is no member may be heard all the same, if
        its handshake is right: it may be the newer leader of a configuration that this node has not seen (fault F141).
        But once this has returned, nothing is handed out any more of one that was removed and whose name a member has
        now in another incarnation: the core would take it for that member's word (R208).
        """
        ...

    async def identify(self, node_id: str, address: str) -> Identity:
        """Ask who is at this address. Raises `Refused` or `OSError` with one sentence."""
        ...


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """A snapshot that is stored, whole and durable. `size` in bytes and `digest` (hexadecimal) of the whole file."""

    snapshot: Snapshot
    size: int
    digest: str


class SnapshotWriter(Protocol):
    """A snapshot that is being written: `write` as to a binary file, then `finish` or `abort`. Blocking."""

    def write(self, data: bytes, /) -> int:
        """Append these bytes of the state machine's image; returns how many. Raises `OSError`."""
        ...

    def finish(self) -> SnapshotInfo:
        """Make it durable under its final name: content synced, renamed, directory synced."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        ...


class SnapshotReceiver(Protocol):
    """A snapshot that comes in piece by piece, and goes on where it was when the connection was lost. Blocking."""

    offset: int
    """How many bytes from the beginning are here."""

    def write(self, offset: int, data: bytes) -> None:
        """Take the bytes at `offset`, which must be where the last ones ended. Raises `ValueError` for others."""
        ...

    def finish(self) -> SnapshotInfo:
        """Verify size, digest and content, then make it durable under its final name.

        Raises `DamagedSnapshot` (see `storage.errors`) if it is not what was announced; nothing is left then.
        """
        ...

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `finish`."""
        ...


class SnapshotStore(Protocol):
    """Keeps snapshots, each whole or not at all. Methods block; they may be called from any thread, also while the
    log is being written. Snapshots are named by index and term alone: nothing from the wire becomes a path."""

    def infos(self) -> list[SnapshotInfo]:
        """What is stored, the newest first. Says nothing of damage that `open` would find."""
        ...

    def create(self, snapshot: Snapshot) -> SnapshotWriter:
        """Begin to write the snapshot that the state machine is at."""
        ...

    def open(self, index: int, term: int) -> BinaryIO:
        """The state machine's image, to be read once from the beginning; verified before this returns.

        Raises `DamagedSnapshot`, or `LookupError` if it is not here.
        """
        ...

    def read(self, index: int, term: int, offset: int, count: int) -> bytes:
        """Bytes of the whole file, for another node. Raises `LookupError` if it is not here (any more)."""
        ...

    def receive(self, snapshot: Snapshot, size: int, digest: str) -> SnapshotReceiver:
        """Begin, or go on, to take in a snapshot of another node: of these bytes exactly. One at a time: the bytes of
        another one that was begun are dropped."""
        ...

    def retain(self, most: int, needed: Collection[int] = ()) -> None:
        """Remove all but the newest `most`, the one that the log starts behind, and those of the indexes `needed`."""
        ...


class LogStore(Protocol):
    """Keeps what a node promised. Its methods block; `Node` calls them in a worker thread, one at a time.

    Promised: when `write` returns, every given write is durable and would be loaded after a power failure.
    An error of any method is fatal for the node: a store that knows less than it promised never votes.
    """

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        ...

    @property
    def joined(self) -> bool:
        """Whether this node joined a cluster that was there; False: the cluster was bootstrapped with it."""
        ...

    @property
    def snapshots(self) -> SnapshotStore:
        """Where the snapshots are kept that the log starts behind."""
        ...

    def load(self) -> Stable:
        """What was durable when the store was opened."""
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """Make these writes durable, in order, with one sync."""
        ...

    def meet(self, peer: Identity) -> None:
        """Store durably that this peer was met; return at once if that is known.

        Raises `Refused` if the peer has another incarnation than when it was met first, or a lower boot than the
        highest that was met (an older disk image, or another machine under the same name).
        """
        ...

    def admit(self, members: Sequence[Member]) -> None:
        """A committed configuration has these members: who stands there with an incarnation may be met under it, though
        another one was met before under the same id. Durable before the next `meet` that rests on it returns."""
        ...

    def met(self) -> dict[str, str]:
        """The incarnation under which each peer was met, by id."""
        ...

    def close(self) -> None:
        """Release everything. Never raises for what was already durable."""
        ...


class StateMachine(Protocol):
    """What the commands mean. Must be deterministic: equal commands in equal order give equal results and state.

    No clock, no random numbers, no order of sets, no look at the outside. The same command is applied on every node.

    A machine may have more, and is asked for it by name: `snapshot` and `restore` (see `SnapshottingMachine`; without
    them the log is never compacted), and `applied_index` (see `DurableMachine`).
    """

    def apply(self, first_index: int, commands: Sequence[bytes]) -> Sequence[bytes]:
        """Carry out these committed commands, in order; return one result for each.

        `commands[i]` stands at log index `first_index + i`. Indexes between one call and the next may belong to entries
        of Raft's own. A refusal by the business ("no such account") is a returned result. An exception stops the node,
        and a restart meets the same command again: nothing is skipped.
        """
        ...


class SnapshottingMachine(StateMachine, Protocol):
    """A machine whose state can be written down and taken over, so that the log can be compacted (thesis 5)."""

    def snapshot(self) -> Callable[[BinaryIO], None]:
        """Hold on to the state as it is now, quickly; return what writes it down.

        What is returned is called once, in a worker thread, while `apply` goes on: it must write the state of the
        moment at which `snapshot` was called. An exception of either stops the node.
        """
        ...

    def restore(self, index: int, source: BinaryIO) -> None:
        """Take over the state that is read from `source`, in place of all that was: that of applied index `index`.

        Called in a worker thread, and nothing is applied meanwhile. The content is verified; what raises stops the
        node.
        """
        ...


class DurableMachine(StateMachine, Protocol):
    """A machine that keeps its own state durable, and continues from there after a restart."""

    @property
    def applied_index(self) -> int:
        """The log index of the last command whose effect is durable, together with this number (fault F101).

        Read once, when the node starts. After `restore` it is the index that `restore` was given.
        """
        ...
