"""What the driver tells the core, besides messages from peers.

Law: *everything that happens to a node is an event; nothing reaches the core by another way.*

A wrong event (a `Persisted` for a write that was never asked for, an `Applied` that goes backwards) is a mistake of
the embedding program and raises `ValueError` at once, with the state as it was.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

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


LocalEvent: TypeAlias = Propose | Campaign | Persisted | Applied | PeerUnreachable
Event: TypeAlias = LocalEvent | Message

LOCAL_EVENT_TYPES: tuple[type[LocalEvent], ...] = (Propose, Campaign, Persisted, Applied, PeerUnreachable)
