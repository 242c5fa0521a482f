"""A picture of a node, for people, programs and tests.

Law: *a picture changes nothing and shares nothing*: it is built on request, of plain values.
"""

from dataclasses import dataclass

from rafty_core.configuration import Configuration
from rafty_core.state import Leader, State


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One follower as its leader sees it. `last_contact` is in seconds before the picture was taken."""

    id: str
    match_index: int
    next_index: int
    flow: str
    paused: bool
    inflight_messages: int
    inflight_bytes: int
    last_contact: float
    reachable: bool


@dataclass(frozen=True, slots=True)
class Status:
    """One node. `peers` is empty unless it leads; `violations` counts messages dropped for breaking the protocol."""

    id: str
    role: str
    term: int
    vote: str | None
    leader: str | None
    commit_index: int
    applied_index: int
    durable_index: int
    last_index: int
    snapshot_index: int
    configuration: Configuration
    peers: tuple[PeerStatus, ...]
    pending_proposals: int
    violations: int


def status_of(state: State) -> Status:
    """The picture of this state."""
    return Status(
        id=state.id,
        role=state.role.name,
        term=state.term,
        vote=state.vote,
        leader=state.role.leader,
        commit_index=state.log.commit,
        applied_index=state.applying.applied,
        durable_index=state.writes.index,
        last_index=state.log.last_index,
        snapshot_index=state.log.snapshot_index,
        configuration=state.configuration,
        peers=_peers(state),
        pending_proposals=state.proposals.count,
        violations=state.violations,
    )


def _peers(state: State) -> tuple[PeerStatus, ...]:
    if not isinstance(state.role, Leader):
        return ()
    return tuple(
        PeerStatus(
            id=peer,
            match_index=progress.match,
            next_index=progress.next,
            flow=progress.state,
            paused=progress.is_paused,
            inflight_messages=progress.inflights.count,
            inflight_bytes=progress.inflights.bytes,
            last_contact=state.now - progress.contact,
            reachable=progress.reachable,
        )
        for peer, progress in state.role.progress.items()
    )
