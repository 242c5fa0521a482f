"""A node's status as lines of text, for `RAFTY STATUS` and `INFO`.

Law: *one line for each fact, "name:value", in words that a person reads and a script splits.*
"""

from collections.abc import Iterable

from rafty_core.configuration import Member
from rafty_core.status import PeerStatus, Status

PLAIN = (
    "id", "role", "term", "vote", "leader", "commit_index", "applied_index", "durable_index", "last_index",
    "snapshot_index", "pending_proposals", "violations",
)  # fmt: skip
GROUPS = ("voters", "outgoing", "learners", "learners_next")


def picture_of(status: Status) -> list[tuple[str, str]]:
    """Pairs of name and text: the node, then its configuration, then on a leader a line for each peer."""
    pairs = [(name, _text(getattr(status, name))) for name in PLAIN]
    pairs += [(name, _members(getattr(status.configuration, name))) for name in GROUPS]
    pairs += [(f"peer.{peer.id}", _peer(peer)) for peer in status.peers]
    return pairs


def _text(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def _members(members: Iterable[Member]) -> str:
    return ",".join(f"{member.id}={member.address}" if member.address else member.id for member in members)


def _peer(peer: PeerStatus) -> str:
    reached = "reachable" if peer.reachable else "unreachable"
    return (
        f"{reached},match={peer.match_index},next={peer.next_index},flow={peer.flow},"
        f"inflight={peer.inflight_messages},last_contact={peer.last_contact:.3f}"
    )
