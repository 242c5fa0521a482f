"""What the driver tells the core, besides messages from peers.

Law: *everything that happens to a node is an event; nothing reaches the core by another way.*

A wrong event (a `Persisted` for a write that was never asked for, an `Applied` that goes backwards) is a mistake of
the embedding program and raises `ValueError` at once, with the state as it was.
"""

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from rafty_core.changes import Change
from rafty_core.configuration import Lease
from rafty_core.messages import Message, Value


class Propose(Value):
    """Replicate these commands. They are appended together, in order, and answered together under `token`.

    `token` is the caller's own: it comes back in the answer and means nothing to Raft. An answer always comes; as long
    as this node lives it is the truth, or `OutcomeUnknown`. Commands are bytes of at least 0 and at most
    `Config.max_command_bytes` bytes each, and at most `Config.max_proposal_bytes` together.
    """

    __slots__ = ("token", "commands")

    def __init__(self, token: Any, commands: Sequence[bytes]) -> None:
        self.token = token
        self.commands = commands


class Campaign(Value):
    """Start an election now instead of at the election timeout (with a pre-vote, as always). A leader ignores it."""

    __slots__ = ()


class Read(Value):
    """Say when the state machine may be read (thesis 6.4). The `ReadAnswer` comes once enough is applied here.

    mode  "linearizable"  everything that was committed before this event is seen; a majority is asked
          "lease"         the same, by the leader's lease where the configuration has one (else as above)
          "at_least"      whatever is applied, but not less than `index`; nobody is asked
    """

    __slots__ = ("token", "mode", "index")

    def __init__(self, token: Any, mode: str = "linearizable", index: int = 0) -> None:
        self.token = token
        self.mode = mode
        self.index = index


class ChangeMembership(Value):
    """Change who the members are (thesis 4). Only a leader takes it; its answer comes when all is done, or undone.

    changes   what is to be different, in order
    based_on  the index of the configuration that the change was made against; refused if another is in force. 0: any
    force     also if fewer than a majority of the new voters are heard now
    lease     what voters promise from now on; "keep" leaves it as it is
    """

    __slots__ = ("token", "changes", "based_on", "force", "lease")

    def __init__(
        self,
        token: Any,
        changes: Sequence[Change],
        based_on: int = 0,
        force: bool = False,
        lease: Lease | Literal["keep"] | None = "keep",
    ) -> None:
        self.token = token
        self.changes = changes
        self.based_on = based_on
        self.force = force
        self.lease = lease


class TransferLeadership(Value):
    """Hand leadership to `target`, or to the voter that is most up to date if that is None (thesis 3.10).

    Until it is done, or `timeout` seconds are over (0: an election timeout), proposals are refused.
    """

    __slots__ = ("token", "target", "timeout")

    def __init__(self, token: Any, target: str | None = None, timeout: float = 0.0) -> None:
        self.token = token
        self.target = target
        self.timeout = timeout


class SnapshotTaken(Value):
    """A snapshot of the state machine at applied index `index` is durable, with `Raft.snapshot()` of that moment.

    The log up to `compact_to` is not needed here any more; -1: up to `index`. What a follower is being sent is kept
    longer, within bounds. One that is older than the newest snapshot changes nothing.
    """

    __slots__ = ("index", "compact_to")

    def __init__(self, index: int, compact_to: int = -1) -> None:
        self.index = index
        self.compact_to = compact_to


class SnapshotReceived(Value):
    """The bytes of the snapshot that `Output.fetch` asked for are here: whole, verified, durable."""

    __slots__ = ("index", "term")

    def __init__(self, index: int, term: int) -> None:
        self.index = index
        self.term = term


class SnapshotFailed(Value):
    """The snapshot that `Output.fetch` asked for cannot be had: the peer has it no more, what came is damaged, or
    nothing comes any more."""

    __slots__ = ("index", "term")

    def __init__(self, index: int, term: int) -> None:
        self.index = index
        self.term = term


class Persisted(Value):
    """Every write up to number `seq` is durable: it survives a power failure from now on."""

    __slots__ = ("seq",)

    def __init__(self, seq: int) -> None:
        self.seq = seq


class Applied(Value):
    """The state machine has applied everything handed out up to log index `index`.

    `results` are the results of the commands applied since the last `Applied`, one for each, in order; or empty, and
    then answers to proposals carry no results.
    """

    __slots__ = ("index", "results")

    def __init__(self, index: int, results: Sequence[bytes] = ()) -> None:
        self.index = index
        self.results = results


class PeerUnreachable(Value):
    """The transport dropped messages for this peer, or lost its connection to it: some may never have arrived."""

    __slots__ = ("peer",)

    def __init__(self, peer: str) -> None:
        self.peer = peer


LocalEvent: TypeAlias = (
    Propose
    | Read
    | ChangeMembership
    | TransferLeadership
    | Campaign
    | Persisted
    | Applied
    | SnapshotTaken
    | SnapshotReceived
    | SnapshotFailed
    | PeerUnreachable
)
Event: TypeAlias = LocalEvent | Message

LOCAL_EVENT_TYPES: tuple[type[LocalEvent], ...] = (
    Propose,
    Read,
    ChangeMembership,
    TransferLeadership,
    Campaign,
    Persisted,
    Applied,
    SnapshotTaken,
    SnapshotReceived,
    SnapshotFailed,
    PeerUnreachable,
)

READ_MODES = ("linearizable", "lease", "at_least")
