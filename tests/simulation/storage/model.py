"""What a store must hold: everything that was made durable, and no byte of anything else.

Law: *what is loaded is what a prefix of the writes makes, and that prefix has every write that was told durable* (I20).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rafty_core.output import Write
from rafty_core.stable import Snapshot, Stable

Entry = tuple[int, bytes]


@dataclass
class Model:
    """Durable state: term, vote, snapshot, and the log behind `base`. Nothing is forgotten by compaction."""

    snapshot: Snapshot
    term: int = 0
    vote: str | None = None
    base: int = 0
    log: list[Entry] = field(default_factory=list)

    @property
    def last(self) -> int:
        """Index of the last entry, or of the base."""
        return self.base + len(self.log)

    def term_at(self, index: int) -> int:
        """The term of the entry at this index, or of the snapshot that installed the base."""
        return self.log[index - self.base - 1][0] if index > self.base else self.snapshot.term

    def do(self, write: Write) -> None:
        """This write is durable."""
        if write.snapshot is not None:
            self.snapshot = write.snapshot
            if write.installs:
                self.base, self.log = write.snapshot.index, []
        self.term, self.vote = write.term, write.vote
        for batch in write.batches:
            self.log[batch.first - self.base - 1 :] = [(batch.term, entry) for entry in batch.entries]

    def after(self, writes: Sequence[Write]) -> "Model":
        """What is to be held once these are durable too."""
        model = Model(self.snapshot, self.term, self.vote, self.base, list(self.log))
        for write in writes:
            model.do(write)
        return model

    def differs(self, stable: Stable) -> str:
        """In which way this is something else than what was loaded; "" if it is not."""
        if (stable.term, stable.vote) != (self.term, self.vote):
            return f"term and vote are {stable.term}, {stable.vote}, not {self.term}, {self.vote}"
        if stable.snapshot != self.snapshot:
            return f"the snapshot is {stable.snapshot}, not {self.snapshot}"
        index = first = stable.batches[0].first if stable.batches else max(self.snapshot.index, self.base) + 1
        if not self.base < first <= self.snapshot.index + 1:
            return f"the log begins at {first}, behind the snapshot {self.snapshot.index}"
        for batch in stable.batches:
            if batch.first != index:
                return f"a batch begins at {batch.first}, not {index}"
            held = self.log[index - self.base - 1 : index - self.base - 1 + len(batch.entries)]
            if held != [(batch.term, bytes(entry)) for entry in batch.entries]:
                return f"the entries from {index} on are others"
            index += len(batch.entries)
        if index - 1 != self.last:
            return f"the log ends at {index - 1}, not {self.last}"
        return ""
