"""Snapshots of one node: taken as the log grows, sent to followers that need them, fetched when it is behind.

Law: *what takes long is a task and a thread of its own, and the core hears of it when it is done.*
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from rafty_core.events import Event, SnapshotFailed, SnapshotReceived, SnapshotTaken
from rafty_core.output import Committed, Fetch, Restore
from rafty_core.raft import Raft
from rafty_core.stable import Stable
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.compaction import Compactor, SnapshotNotTaken, SnapshotPolicy
from rafty_transports.exchange import Progress, Receiver, Sender, SnapshotLost
from rafty_transports.interfaces import SnapshotInfo, SnapshotStore, Travelling
from rafty_transports.machine import Machine
from rafty_transports.threads import OneEach

logger = logging.getLogger("rafty")

CHUNKS = frozenset((SnapshotChunk, SnapshotChunkRequest))


class NodeSnapshots:
    """The snapshots of a running node.

    store  where they are kept
    send   takes a message for its way
    tell   takes an event that the core is to hear of soon
    start  begins a task that belongs to the node
    """

    def __init__(
        self,
        node_id: str,
        machine: Machine,
        store: SnapshotStore,
        policy: SnapshotPolicy,
        *,
        send: Callable[[Travelling], None],
        tell: Callable[[Event], None],
        start: Callable[[Callable[[], Awaitable[None]]], None],
    ) -> None:
        self.compactor = Compactor(machine, store, policy)
        self.sender = Sender(node_id, store, send)
        self._node_id = node_id
        self._machine = machine
        self._store = store
        self._policy = policy
        self._send = send
        self._tell = tell
        self._start = start
        self._disk = OneEach()
        self._receiver: Receiver | None = None
        self._fetching = anyio.CancelScope()

    def begin(self, stable: Stable, applied: int) -> None:
        """What a state machine that keeps its own state has applied already counts; everything else is applied anew."""
        behind = [batch for batch in stable.batches if batch.last > stable.snapshot.index and batch.first <= applied]
        self.compactor.log_bytes = sum(batch.weight for batch in behind)

    def note_applied(self, portions: Sequence[Committed | Restore]) -> None:
        """These go to the state machine now: what weighs, is what a snapshot could take out of the log (fault R70)."""
        for portion in portions:
            if isinstance(portion, Restore):
                self.compactor.log_bytes = 0
            else:
                self.compactor.log_bytes += sum(map(len, portion.entries))

    def progress(self) -> list[Progress]:
        """Snapshots on their way now, to this node and from it."""
        incoming = [] if self._receiver is None else [self._receiver.progress()]
        return incoming + self.sender.progress()

    def take_in(self, message: object) -> bool:
        """Take a piece of a snapshot, or a request for one, out of what came in; whether it was one of these."""
        if type(message) is SnapshotChunk:
            if self._receiver is not None:
                self._receiver.put(message)
            return True
        if type(message) is SnapshotChunkRequest:
            self.sender.put(message)
            return True
        return False

    def compact_if_due(self, raft: Raft) -> None:
        """Take a snapshot if the log has grown enough. A disk that refuses it is told in the log."""
        if self.compactor.due and not raft.is_behind_snapshot:
            self._start(partial(self._compact, raft))

    async def _compact(self, raft: Raft) -> None:
        try:
            await self.take(raft)
        except SnapshotNotTaken:
            return

    async def take(self, raft: Raft) -> SnapshotInfo:
        """Take a snapshot now; return when it is durable. The log is compacted then. Raises `SnapshotNotTaken`."""
        if not self._machine.can_snapshot:
            raise SnapshotNotTaken("this state machine has no `snapshot` and `restore`: its log is never compacted")
        if self._machine.restoring or raft.is_behind_snapshot:
            raise SnapshotNotTaken("the state machine is being restored; try again")
        if raft.snapshot().index == 0:
            raise SnapshotNotTaken("nothing has been applied here yet, so that there is nothing to take a snapshot of")
        info = await self.compactor.take(raft.snapshot(), self.sender.needed())
        index, policy = info.snapshot.index, self._policy
        self._tell(SnapshotTaken(index, raft.start_of_tail(index, policy.trailing_entries, policy.trailing_bytes)))
        return info

    def fetch(self, fetch: Fetch) -> None:
        """Fetch this snapshot, in place of any other."""
        self._fetching.cancel()
        self._receiver = Receiver(self._node_id, fetch, self._store, self._send, self._disk)
        self._start(partial(self._fetch, self._receiver))

    async def _fetch(self, receiver: Receiver) -> None:
        if receiver is not self._receiver:
            return  # overtaken by another one before it began
        snapshot = receiver.snapshot
        event: Event
        with anyio.CancelScope() as self._fetching:
            try:
                await receiver.run()
            except SnapshotLost as error:
                logger.warning("%s: %s", self._node_id, error)
                event = SnapshotFailed(snapshot.index, snapshot.term)
            else:
                event = SnapshotReceived(snapshot.index, snapshot.term)
            if receiver is self._receiver:  # overtaken at its very end, it is too late to be cancelled (R121)
                self._receiver = None
                self._tell(event)
