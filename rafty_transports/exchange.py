"""Snapshots on their way between nodes: one side asks for pieces, the other reads them off its disk.

Law: *nothing replaces anything before all of it is here and verified; and nobody waits for the disk in the event loop.*

The asking side keeps a few requests on their way, takes the pieces in order, and asks again from where it stands when
nothing comes: a lost connection costs what was in the air. A disk that stands still loses the snapshot, like a peer of
which nothing comes: the leader waits for whoever fetches until it hears of the end (R171, R172). The answering side
keeps nothing but which snapshots were asked for lately, so that they are not removed under a follower that needs them.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from rafty_core.output import Fetch
from rafty_core.stable import Snapshot
from rafty_transports.chunks import CHUNK_BYTES, SnapshotChunk, SnapshotChunkRequest
from rafty_transports.interfaces import SnapshotInfo, SnapshotReceiver, SnapshotStore
from rafty_transports.storage.errors import StoreError
from rafty_transports.threads import OneEach, run_in_daemon

logger = logging.getLogger("rafty")

T = TypeVar("T")

WINDOW = 4
"""How many pieces are asked for at once; what is more only waits in queues, ahead of appends."""

ASK_AGAIN_SECONDS = 1.0
"""After so long without a piece the missing ones are asked for again."""

GIVE_UP_SECONDS = 10.0
"""After so long without a piece, or in one call of the disk, the snapshot is given up; the leader offers one anew."""

SLOWEST_DISK = 1e6
"""Bytes that a disk which works reads in a second, at least."""

REMEMBERED_SECONDS = 60.0
"""A snapshot that was asked for within this time is kept for whoever asked."""

MOST_ASKING = 256
"""Requests of other nodes that wait for the disk, at most, and of each node no more than `WINDOW`: one that asks
without end keeps the disk from no other one (R215). What does not fit is dropped, and asked for again."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot on its way: from or to which peer, of which index, how much of it, in bytes."""

    peer: str
    incoming: bool
    index: int
    done: int
    size: int


class SnapshotLost(Exception):
    """The snapshot cannot be fetched; the text says why."""


class Sender:
    """Answers requests for pieces, one at a time and in a worker thread.

    store   where the snapshots are
    send    takes a piece for its way
    """

    def __init__(self, node_id: str, store: SnapshotStore, send: Callable[[SnapshotChunk], None]) -> None:
        self._node_id = node_id
        self._store = store
        self._send = send
        self._waiting: list[SnapshotChunkRequest] = []
        self._arrived = anyio.Event()
        self._asked: dict[str, tuple[float, Progress]] = {}  # by peer: when, and how far it is
        self._held: dict[int, tuple[float, int]] = {}  # by reader: when, and the index
        self._infos: dict[tuple[int, int], SnapshotInfo] = {}

    def put(self, request: SnapshotChunkRequest) -> None:
        """A peer asks for a piece. Never waits; what is too much is dropped."""
        of_this_peer = sum(waiting.sender == request.sender for waiting in self._waiting)
        if of_this_peer < WINDOW and len(self._waiting) < MOST_ASKING:
            self._waiting.append(request)
            self._arrived.set()

    def hold(self, reader: int, index: int) -> None:
        """Somebody who is no peer reads this snapshot, and no other any more; `reader` is any number of its own."""
        self._held[reader] = anyio.current_time(), index

    def needed(self) -> list[int]:
        """Indexes of snapshots that peers have asked for lately, or others have read."""
        now = anyio.current_time()
        self._held = {reader: held for reader, held in self._held.items() if now - held[0] < REMEMBERED_SECONDS}
        self._asked = {peer: (at, seen) for peer, (at, seen) in self._asked.items() if now - at < REMEMBERED_SECONDS}
        return sorted({seen.index for _, seen in self._asked.values()} | {index for _, index in self._held.values()})

    def progress(self) -> list[Progress]:
        """What is being sent."""
        self.needed()
        return [seen for _, seen in self._asked.values() if seen.done < seen.size]

    async def run(self) -> None:
        """Answer for ever."""
        while True:
            await self._arrived.wait()
            self._arrived = anyio.Event()
            while self._waiting:
                request = self._waiting.pop(0)
                self._send(await self._answer(request))

    async def _answer(self, request: SnapshotChunkRequest) -> SnapshotChunk:
        index, term = request.index, request.term
        try:
            info = await self._info(index, term, fresh=request.offset == 0)
            offset = request.offset if request.digest in ("", info.digest) else info.size
            data = b""
            if offset < info.size:
                data = await run_in_daemon(self._store.read, index, term, offset, min(CHUNK_BYTES, info.size - offset))
        except (LookupError, OSError, StoreError) as error:
            self._infos.pop((index, term), None)
            logger.warning("%s cannot send the snapshot at %d to %s: %s", self._node_id, index, request.sender, error)
            return SnapshotChunk(self._node_id, request.sender, index, term, "", 0, request.offset, b"")
        if not data:  # the file that it asks for is not the one that is here
            return SnapshotChunk(self._node_id, request.sender, index, term, "", 0, request.offset, b"")
        done = Progress(request.sender, False, index, offset + len(data), info.size)
        self._asked[request.sender] = (anyio.current_time(), done)
        if len(self._asked) > MOST_ASKING:
            self.needed()  # which forgets who asked long ago (R216)
        return SnapshotChunk(self._node_id, request.sender, index, term, info.digest, info.size, offset, data)

    async def _info(self, index: int, term: int, *, fresh: bool) -> SnapshotInfo:
        """What is stored; looked up anew for whoever begins, since the same index may be written again (R124)."""
        known = None if fresh else self._infos.get((index, term))
        if known is None:
            infos = await run_in_daemon(self._store.infos)
            self._infos = {(info.snapshot.index, info.snapshot.term): info for info in infos}
            known = self._infos.get((index, term))
        if known is None:
            raise LookupError(f"there is no snapshot at index {index} of term {term}")
        return known


class Receiver:
    """Fetches one snapshot. Make one for each `Fetch`; `put` gives it the pieces, `run` ends when it is here.

    `disk` is for all of a node together: a call that hangs is waited for by the next, so that threads do not pile up.
    """

    def __init__(
        self,
        node_id: str,
        fetch: Fetch,
        store: SnapshotStore,
        send: Callable[[SnapshotChunkRequest], None],
        disk: OneEach | None = None,
    ) -> None:
        self.fetch = fetch
        self._node_id = node_id
        self._store = store
        self._send = send
        self._disk = OneEach() if disk is None else disk
        self._file: SnapshotReceiver | None = None
        self._digest, self._size = "", 0
        self._asked_to = 0
        self._pieces: list[SnapshotChunk] = []
        self._arrived = anyio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """What is being fetched."""
        return self.fetch.snapshot

    def progress(self) -> Progress:
        """How far it is."""
        done = 0 if self._file is None else self._file.offset
        return Progress(self.fetch.peer, True, self.snapshot.index, done, self._size)

    def put(self, chunk: SnapshotChunk) -> None:
        """A piece has come; one of another snapshot, or of another node, is nobody's (fault F84)."""
        mine = (self.fetch.peer, self.snapshot.index, self.snapshot.term)
        if (chunk.sender, chunk.index, chunk.term) != mine or len(self._pieces) > 4 * WINDOW:
            return
        self._pieces.append(chunk)
        self._arrived.set()

    async def run(self) -> None:
        """Fetch it. Raises `SnapshotLost`, after which nothing of it is left but what may be gone on with later."""
        if await self._is_here():
            return
        self._ask(0)
        heard = anyio.current_time()
        while self._file is None or self._file.offset < self._size:
            with anyio.move_on_after(ASK_AGAIN_SECONDS):
                await self._arrived.wait()
            self._arrived = anyio.Event()
            pieces, self._pieces = self._pieces, []
            taken = False
            for piece in pieces:
                taken |= await self._take(piece)
            if taken:
                heard = anyio.current_time()
            elif anyio.current_time() - heard >= GIVE_UP_SECONDS:
                raise SnapshotLost(f"nothing came of {self.fetch.peer} for {GIVE_UP_SECONDS:g} s")
            elif not pieces:
                self._asked_to = 0 if self._file is None else self._file.offset
            self._ask_on()
        await self._finish(self._file)

    async def _is_here(self) -> bool:
        """Whether it was fetched before, and not needed then; and is still whole (R129)."""
        try:
            infos = await self._on_disk(self._store.infos)
            size = next((info.size for info in infos if info.snapshot == self.snapshot), None)
            if size is None:
                return False
            (await self._on_disk(self._store.open, self.snapshot.index, self.snapshot.term, size=size)).close()
        except (LookupError, OSError, StoreError) as error:
            logger.warning("%s fetches the snapshot at %d again: %s", self._node_id, self.snapshot.index, error)
            return False
        return True

    async def _take(self, piece: SnapshotChunk) -> bool:
        """Put the piece where it belongs; whether it was the next one."""
        if piece.size == 0:
            raise SnapshotLost(f"{self.fetch.peer} has no snapshot at {self.snapshot.index} (any more)")
        try:
            if self._file is None:
                self._digest, self._size = piece.digest, piece.size
                self._file = await self._on_disk(self._store.receive, self.snapshot, piece.size, piece.digest)
                self._asked_to = self._file.offset if self._file.offset else CHUNK_BYTES
            if piece.digest != self._digest or piece.size != self._size or piece.offset != self._file.offset:
                return False
            await self._on_disk(self._file.write, piece.offset, piece.data)
        except (OSError, ValueError, StoreError) as error:
            raise SnapshotLost(f"the snapshot at {self.snapshot.index} cannot be stored: {error}") from error
        return True

    def _ask_on(self) -> None:
        """Keep the window full."""
        if self._file is None:
            if self._asked_to == 0:
                self._ask(0)
            return
        self._asked_to = max(self._asked_to, self._file.offset)
        while self._asked_to < min(self._size, self._file.offset + WINDOW * CHUNK_BYTES):
            self._ask(self._asked_to)

    def _ask(self, offset: int) -> None:
        index, term = self.snapshot.index, self.snapshot.term
        self._send(SnapshotChunkRequest(self._node_id, self.fetch.peer, index, term, self._digest, offset))
        self._asked_to = offset + CHUNK_BYTES

    async def _finish(self, file: SnapshotReceiver) -> None:
        try:
            info = await self._on_disk(file.finish, size=self._size)
        except (OSError, StoreError) as error:
            raise SnapshotLost(f"the snapshot of {self.fetch.peer} is refused: {error}") from error
        if info.snapshot != self.snapshot:
            raise SnapshotLost(f"{self.fetch.peer} sent another snapshot than it offered")

    async def _on_disk(self, call: Callable[..., T], *arguments: Any, size: int = 0) -> T:
        """Make this call of the disk, which reads `size` bytes. Raises `SnapshotLost` if it takes too long."""
        with anyio.move_on_after(GIVE_UP_SECONDS + size / SLOWEST_DISK):
            return await self._disk.run("short" if size == 0 else "long", call, *arguments)
        raise SnapshotLost(f"the disk stands still; the snapshot of {self.fetch.peer} waits for it")
