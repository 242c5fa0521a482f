"""Messages for the kit of transports: one of each kind, and numbered ones.

Law: *whatever a core or a node may say is said here, too*: a transport that forgets a kind fails.
"""

from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import Batch
from rafty_core.messages import (
    FORWARD_OUTCOMES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.codec import encode
from rafty_transports.interfaces import Travelling

DIGEST = "0123456789abcdef" * 4

MEMBERS = Configuration(
    voters=(Member("n1", "[::1]:7001", "a1"), Member("n2", "host:7002", "a2")),
    outgoing=(Member("n1"), Member("n3")),
    learners=(Member("n4"),),
    goal=Configuration.of("n1", "n2", "n4"),
    newcomers=("n4",),
    removed=(Member("n9", "", "dead"),),
    lease=Lease(0.25, 0.01),
)


def every_kind(sender: str, to: str, largest: int) -> list[Travelling]:
    """One message of each kind at least; the payloads of three of them have `largest` bytes."""
    large = bytes(range(256)) * (largest // 256 + 1)
    ends = (sender, to)
    return [
        RequestVote(*ends, 7, 12, 6, True),
        RequestVoteResponse(*ends, 7, False),
        PreVote(*ends, 7, 0, 0),
        PreVoteResponse(*ends, 7, 8, True),
        AppendEntries(*ends, 7, 12, 6, 11),
        AppendEntries(*ends, 7, 12, 6, 11, Batch(13, 7, [b"\x00", b"\x01", b"\x01first", b"\x01" + bytes(range(256))])),
        AppendEntries(*ends, 7, 12, 6, 11, Batch(13, 7, [b"\x01" + large[: largest - 1]])),
        AppendEntriesResponse(*ends, 7, True, 13),
        AppendEntriesResponse(*ends, 7, False, 13, 4, 2),
        Heartbeat(*ends, 2**63 - 1, 12, 1),
        HeartbeatResponse(*ends, 7, 1),
        ForwardedProposal(*ends, 7, 3, 99, (b"", b"one", large[: largest - 3])),
        *[ForwardedProposalResponse(*ends, 7, 3, 99, outcome) for outcome in FORWARD_OUTCOMES],
        ForwardedProposalResponse(*ends, 7, 3, 99, "superseded", (b"", b"result"), "n3", "so it is: ä"),
        InstallSnapshot(*ends, 7, 12, 6, MEMBERS),
        InstallSnapshotResponse(*ends, 7, 12),
        TimeoutNow(*ends, 7),
        ReadIndexRequest(*ends, 7, 3, 99, True),
        ReadIndexResponse(*ends, 7, 3, 99, 12),
        SnapshotChunkRequest(*ends, 12, 6, DIGEST, 5),
        SnapshotChunk(*ends, 12, 6, DIGEST, 2**40, 988, large[:largest]),
    ]


def heartbeat(sender: str, to: str, number: int) -> Heartbeat:
    """A small message with a number in it."""
    return Heartbeat(sender, to, 1, 0, number)


def append(sender: str, to: str, number: int, size: int = 100) -> AppendEntries:
    """An append of one entry of `size` bytes with a number in it; no two share their bytes."""
    entry = b"\x01%d" % number
    return AppendEntries(sender, to, 1, number, 1, 0, Batch(number + 1, 1, [entry.ljust(size, b".")]))


def number_of(message: object) -> int | None:
    """The number in a message of the two above; None for others."""
    if isinstance(message, Heartbeat):
        return message.round
    return message.prev_log_index if isinstance(message, AppendEntries) else None


def bytes_of(message: Travelling) -> bytes:
    """What the codec makes of this message: equal for two messages if, and only if, no receiver can tell them apart."""
    return b"".join(encode(message))


def named(message: object) -> str:
    """A message in words that fit into a sentence."""
    return f"{message!r:.160}"
