"""A node's status as lines of text, for `RAFTY STATUS`, `RAFTY MEMBERS` and `INFO`.

Law: *one line for each fact, "name:value", in words that a person reads and a script splits.*
"""

from collections.abc import Iterable, Sequence

from rafty_core.configuration import Configuration, Member
from rafty_core.status import PeerStatus, Status
from rafty_transports.exchange import Progress
from rafty_transports.network import NetworkTransport

PLAIN = (
    "id", "role", "term", "vote", "leader", "commit_index", "applied_index", "durable_index", "first_index",
    "last_index", "snapshot_index", "configuration_index", "fetching_snapshot", "transferring_to", "pending_proposals",
    "pending_reads", "violations",
)  # fmt: skip
GROUPS = ("voters", "outgoing", "learners", "learners_next")


def picture_of(status: Status, transfers: Iterable[Progress] = ()) -> list[tuple[str, str]]:
    """Pairs of name and text: the node, its configuration, on a leader a line for each peer, and for each snapshot
    that is on its way from or to this node."""
    pairs = [(name, _text(getattr(status, name))) for name in PLAIN]
    pairs += [(name, _members(getattr(status.configuration, name))) for name in GROUPS]
    pairs += [(f"peer.{peer.id}", _peer(peer)) for peer in status.peers]
    return pairs + _transfers(transfers)


def members_of(cluster_id: str, status: Status, transfers: Iterable[Progress] = ()) -> list[tuple[str, str]]:
    """Pairs of name and text: the cluster, a line for each member with what a leader knows of it, who was removed."""
    configuration = status.configuration
    pairs = [("cluster_id", cluster_id), ("configuration_index", str(status.configuration_index))]
    committed = "yes" if status.configuration_index <= status.commit_index else "no"
    pairs += [("committed", committed), ("change", _stage(configuration)), ("lease", _lease(configuration))]
    pairs += [("id", status.id), ("leader", _text(status.leader))]
    peers = {peer.id: peer for peer in status.peers}
    for member in configuration.members:
        facts = [f"role={role_of(configuration, member.id)}", f"address={member.address}"]
        facts.append(f"incarnation={member.incarnation}")
        if member.id in peers:
            facts += _progress(peers[member.id], status)
        elif member.id == status.id:
            lag = status.commit_index - status.applied_index
            facts += ["reachable=yes", f"match={status.durable_index}", f"lag={lag}", "flow=itself"]
        pairs.append((f"member.{member.id}", ",".join(facts)))
    pairs.append(("removed", ",".join(dict.fromkeys(member.id for member in configuration.removed))))
    return pairs + _transfers(transfers)


def network_of(transport: NetworkTransport) -> list[tuple[str, str]]:
    """Pairs of name and text: each peer as the transport sees it, and how often it refused connections, and why."""
    pairs = []
    for node_id, peer in sorted(transport.peers().items()):
        yes = {"connected": peer.connected, "accepted": peer.accepted, "guest": peer.guest}
        facts = [f"{name}={'yes' if value else 'no'}" for name, value in yes.items()] + [f"dropped={peer.dropped}"]
        pairs.append((f"network.{node_id}", ",".join(facts)))
    pairs.append(("unaddressed", str(transport.unaddressed)))
    return pairs + [(f"refused.nodes.{reason}", str(count)) for reason, count in transport.refusals.items()]


def role_of(configuration: Configuration, node_id: str) -> str:
    """What a member is: voter, outgoing, learner, learner-to-be, or a voter-to-be that is caught up as a learner."""
    if node_id in configuration.voter_ids:
        return "voter"
    if _named(configuration.learners_next, node_id):
        return "learner-to-be"
    if node_id in configuration.outgoing_ids:
        return "outgoing"
    return "voter-to-be" if configuration.goal is not None and node_id in configuration.goal.voter_ids else "learner"


def lines(pairs: Sequence[tuple[str, str]]) -> str:
    """These pairs as text."""
    return "".join(f"{name}:{value}\r\n" for name, value in pairs)


def _named(members: Iterable[Member], node_id: str) -> bool:
    return any(member.id == node_id for member in members)


def _stage(configuration: Configuration) -> str:
    if configuration.is_joint:
        return "joint"
    return "none" if configuration.goal is None else "catching-up"


def _lease(configuration: Configuration) -> str:
    lease = configuration.lease
    return "none" if lease is None else f"seconds={lease.seconds:g},drift={lease.drift:g}"


def _progress(peer: PeerStatus, status: Status) -> list[str]:
    facts = [f"reachable={'yes' if peer.reachable else 'no'}", f"match={peer.match_index}"]
    facts += [f"lag={max(0, status.last_index - peer.match_index)}", f"flow={peer.flow}"]
    return facts + ([f"catching_up={peer.catching_up}"] if peer.catching_up else [])


def _transfers(transfers: Iterable[Progress]) -> list[tuple[str, str]]:
    return [
        (
            f"snapshot.{moving.peer}",
            f"{'from' if moving.incoming else 'to'}={moving.peer},index={moving.index},done={moving.done},"
            f"size={moving.size}",
        )
        for moving in transfers
    ]


def _text(value: str | int | None) -> str:
    return "none" if value is None else str(value)


def _members(members: Iterable[Member]) -> str:
    return ",".join(f"{member.id}={member.address}" if member.address else member.id for member in members)


def _peer(peer: PeerStatus) -> str:
    reached = "reachable" if peer.reachable else "unreachable"
    return (
        f"{reached},match={peer.match_index},next={peer.next_index},flow={peer.flow},"
        f"inflight={peer.inflight_messages},last_contact={peer.last_contact:.3f},"
        f"pending_snapshot={peer.pending_snapshot},catching_up={peer.catching_up}"
    )
