"""A picture of a node, for people, programs and tests.

Law: *a picture changes nothing and shares nothing*: it is built on request, of plain values.
"""

from dataclasses import dataclass

from rafty_core.configuration import Configuration
from rafty_core.roles import Leader
from rafty_core.state import State


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One follower as its leader sees it. `last_contact` is in seconds before the picture was taken.

    flow              "probe", "replicate" or "snapshot"
    pending_snapshot  index of the snapshot that it is fetching; 0: none
    catching_up       rounds of catching up before it becomes a voter (thesis 4.2.1); 0: it is not on its way to be one
    """

    id: str
    match_index: int
    next_index: int
    flow: str
    paused: bool
    inflight_messages: int
    inflight_bytes: int
    last_contact: float
    reachable: bool
    pending_snapshot: int = 0
    catching_up: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """One node. `peers` is empty unless it leads; `violations` counts messages dropped for breaking the protocol.

    first_index          of the first entry in the log (or where it would be)
    configuration        the one in force, and `configuration_index` where it stands; committed or not
    fetching_snapshot    index of the snapshot that this node is fetching; 0: none
    transferring_to      whom leadership is being handed over to, or None
    """

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
    first_index: int = 1
    configuration_index: int = 0
    pending_reads: int = 0
    fetching_snapshot: int = 0
    transferring_to: str | None = None


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
        snapshot_index=state.snapshot.index,
        configuration=state.configuration,
        peers=_peers(state),
        pending_proposals=state.proposals.count,
        violations=state.violations,
        first_index=state.log.first_index,
        configuration_index=state.log.configurations.index,
        pending_reads=state.reads_waiting,
        fetching_snapshot=0 if state.fetching is None else state.fetching.snapshot.index,
        transferring_to=_transfer_target(state),
    )


def _transfer_target(state: State) -> str | None:
    role = state.role
    return role.transfer.target if isinstance(role, Leader) and role.transfer is not None else None


def _peers(state: State) -> tuple[PeerStatus, ...]:
    if not isinstance(state.role, Leader):
        return ()
    catching = state.role.catching
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
            pending_snapshot=progress.pending_snapshot,
            catching_up=catching[peer].round if peer in catching else 0,
        )
        for peer, progress in state.role.progress.items()
    )
