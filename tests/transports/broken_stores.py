"""Stores that are wrong in one way each, for the tests of the kit that must name it.

Law: *each takes one rule out of a store that is right*, the one in memory.
"""

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rafty_core.configuration import Member
from rafty_core.entries import Batch
from rafty_core.output import Write
from rafty_core.stable import Stable
from rafty_transports.interfaces import Identity
from rafty_transports.storage import MemoryStore
from tests.transports.storage_kit import VOTERS


class Right:
    """A store around one that is right; a fault is one method that differs."""

    def __init__(self, inner: MemoryStore) -> None:
        self.inner = inner
        self.opened()

    def opened(self) -> None:
        """One more start."""

    def again(self) -> MemoryStore:
        return self.inner.restarted()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def identity(self) -> Identity:
        return self.inner.identity

    def load(self) -> Stable:
        return self.inner.load()

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes)

    def close(self) -> None:
        self.inner.close()


class NotEmpty(Right):
    def load(self) -> Stable:
        return replace(self.inner.load(), term=1) if self.inner.load().term == 0 else self.inner.load()


class ForgetsTheBoot(Right):
    @property
    def identity(self) -> Identity:
        return replace(self.inner.identity, boot=1)


class NewIncarnation(Right):
    @property
    def identity(self) -> Identity:
        own = self.inner.identity
        return replace(own, incarnation=f"{own.incarnation}-{own.boot}")


class AnswersTooSoon(Right):
    """Keeps the last write of each call for later, and does it with the next, or when it is closed."""

    def opened(self) -> None:
        self.late: list[Write] = []

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(self.late)
        self.late = list(writes)

    def close(self) -> None:
        self.write([])
        self.inner.close()


class LosesTheTail(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, batches=list(stable.batches)[:-1])


class LosesLargeEntries(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, batches=[one for one in stable.batches if one.weight < 1 << 20])


class MixesTermAndVote(Right):
    """Writes the vote only if there is one."""

    def opened(self) -> None:
        self.vote: list[str | None] = getattr(self.inner, "vote", [None])
        self.inner.vote = self.vote  # type: ignore[attr-defined]

    def again(self) -> MemoryStore:
        again = super().again()
        again.vote = self.vote  # type: ignore[attr-defined]
        return again

    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes)
        self.vote[0] = next((write.vote for write in reversed(writes) if write.vote), self.vote[0])

    def load(self) -> Stable:
        return replace(self.inner.load(), vote=self.vote[0])


class IgnoresTruncation(Right):
    """Writes over entries, and leaves those behind them."""

    def write(self, writes: Sequence[Write]) -> None:
        stored = self.inner.load().batches
        before = {at: entry for one in stored for at, entry in enumerate(one.entries, one.first)}
        self.inner.write(writes)
        last = max((one.last for write in writes for one in write.batches), default=0)
        position = self.inner._position
        if last and last + 1 in before and not any(write.snapshot for write in writes):
            tail = [before[at] for at in sorted(before) if at > last]
            self.inner._batches.append(Batch(last + 1, position.term, tail))


class LosesTheLastOfMany(Right):
    def write(self, writes: Sequence[Write]) -> None:
        self.inner.write(writes[:-1] if len(writes) > 2 else writes)


class OneThread(Right):
    def opened(self) -> None:
        self.owner = threading.get_ident()

    def write(self, writes: Sequence[Write]) -> None:
        if threading.get_ident() != self.owner:
            raise RuntimeError("objects created in a thread can only be used in that same thread")
        self.inner.write(writes)


class WritesIntoNothing(Right):
    """Takes writes after it was closed, and drops them."""

    def opened(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self.inner.close()

    def write(self, writes: Sequence[Write]) -> None:
        if not self.closed:
            self.inner.write(writes)


class Snapshots:
    """A `SnapshotStore` around one that is right."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class RetainsTheNewest(Right):
    @property
    def snapshots(self) -> Any:
        class Few(Snapshots):
            def retain(self, most: int, needed: object = ()) -> None:
                for key in sorted(self.inner._files, reverse=True)[most:]:
                    del self.inner._files[key]

        return Few(self.inner.snapshots)


class BelievesWhatIsSent(Right):
    @property
    def snapshots(self) -> Any:
        class Trusting(Snapshots):
            def receive(self, snapshot: Any, size: int, digest: str) -> Any:
                receiver = self.inner.receive(snapshot, size, digest)
                receiver.finish = lambda: self.inner.infos()
                return receiver

        return Trusting(self.inner.snapshots)


class KeepsWhatWasGivenUp(Right):
    @property
    def snapshots(self) -> Any:
        class Keeping(Snapshots):
            def create(self, snapshot: Any) -> Any:
                writer = self.inner.create(snapshot)
                writer.abort = lambda: writer._file and writer.finish()
                return writer

        return Keeping(self.inner.snapshots)


class TakesBytesAnywhere(Right):
    @property
    def snapshots(self) -> Any:
        class Lax(Snapshots):
            def receive(self, snapshot: Any, size: int, digest: str) -> Any:
                receiver = self.inner.receive(snapshot, size, digest)
                write = receiver.write
                receiver.write = lambda offset, data: write(receiver.offset, data)
                return receiver

        return Lax(self.inner.snapshots)


class ForgetsSnapshots(Right):
    def again(self) -> MemoryStore:
        again = self.inner.restarted()
        again._snapshots._files.clear()
        return again


class ForgetsTheConfiguration(Right):
    def load(self) -> Stable:
        stable = self.inner.load()
        return replace(stable, snapshot=replace(stable.snapshot, configuration=VOTERS))


class KeepsTheOldLog(Right):
    """Installs a snapshot as one of its own: the log stays."""

    def write(self, writes: Sequence[Write]) -> None:
        before = list(self.inner.load().batches)
        self.inner.write(writes)
        if any(write.installs for write in writes):
            self.inner._batches[:0] = before


class ForgetsPeers(Right):
    def again(self) -> MemoryStore:
        again = self.inner.restarted()
        again._peers = {}
        return again


class MeetsAnybody(Right):
    def meet(self, peer: Identity) -> None:
        self.inner._peers = {(peer.node_id, peer.incarnation): peer.boot}


class AdmitsAndForgets(Right):
    def admit(self, members: Sequence[Member]) -> None:
        for member in members:
            if member.id == "peer":
                self.inner._peers = {("peer", member.incarnation): 1}
