"""What a node knows when it starts: the state that survived.

Law: *a node starts from what it once made durable, and from nothing else* (paper, Figure 2: "persistent state").
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rafty_core.configuration import Configuration
from rafty_core.entries import Batch


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the core knows of a snapshot: the index and term of the last entry it holds, and the configuration there.

    A cluster is bootstrapped with a snapshot of nothing: index 0, term 0, and the initial configuration.
    """

    index: int = 0
    term: int = 0
    configuration: Configuration = field(default_factory=Configuration)


@dataclass(frozen=True, slots=True)
class Stable:
    """The durable state that a store loads: term, vote in that term, snapshot, and the log behind the snapshot.

    `batches` are contiguous and start at `snapshot.index + 1` or before (what the snapshot covers is ignored). The
    configuration in force is that of the last configuration entry among them, else the snapshot's.
    """

    term: int = 0
    vote: str | None = None
    snapshot: Snapshot = field(default_factory=Snapshot)
    batches: Sequence[Batch] = ()
