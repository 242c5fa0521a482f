"""A data directory belongs to one node of one cluster, drawn once and checked at every start.

Law: *the cluster's id tells how it was bootstrapped, and the incarnation tells one data directory from the next.*

Nodes that were bootstrapped with different voters would each find a majority of their own; the digest in the cluster's
id makes them refuse each other. A node that joins a cluster is told its id, and knows no members before it hears of
them. A cluster that is restored from a backup, or recovered from a survivor, gets an id that was never there before.
A node that lost its disk comes back under its old name with a new incarnation, and so cannot vote a second time under
the old one (fault F116).
"""

import hashlib
import secrets
import zlib
from dataclasses import dataclass, field, replace

from rafty_core.configuration import Configuration, Member, check_node_id
from rafty_transports.storage.errors import WrongDataDirectory


@dataclass(frozen=True, slots=True)
class Birth:
    """What was fixed when a data directory was created: cluster, node, incarnation, and the initial configuration.

    The initial configuration of a node that joined is empty.
    """

    cluster: str
    cluster_id: str
    node_id: str
    incarnation: str
    initial: Configuration

    @property
    def bootstrap(self) -> str:
        """The ids of the initial voters in words: "n1,n2,n3"; "" for a node that joined."""
        return ",".join(self.initial.voter_ids)

    @property
    def joined(self) -> bool:
        """Whether the node joined a cluster that was there."""
        return not self.initial.voters

    @property
    def seed(self) -> int:
        """What every CRC of this data directory starts from, so that no record of another one fits (fault F115)."""
        names = (self.cluster, self.cluster_id, self.node_id, self.incarnation, self.initial.encode().decode())
        return zlib.crc32("\n".join(names).encode())


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller of a store takes a data directory for. `join` is a cluster's id, and then `cluster` is not read.

    Raises `ValueError` for names that are none, and for `initial` and `join` at once.
    """

    node_id: str
    cluster: str = "rafty"
    initial: Configuration | None = None
    join: str | None = None
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.cluster if self.join is None else name_in(self.join))
        check_names(self.node_id, self.name)
        if self.initial is not None and self.join is not None:
            raise ValueError("a node is bootstrapped with an initial configuration or joins a cluster, not both")


def born(wanted: Wanted) -> Birth:
    """The birth of a new data directory; draws its incarnation. Raises `ValueError` for arguments without sense."""
    incarnation = secrets.token_hex(8)
    if wanted.join is not None:
        return Birth(wanted.name, wanted.join, wanted.node_id, incarnation, Configuration())
    initial = wanted.initial or Configuration()
    check_initial(initial, wanted.node_id)
    return Birth(wanted.name, cluster_id_of(wanted.name, initial), wanted.node_id, incarnation, initial)


def reborn(node_id: str, cluster: str, members: Configuration) -> Birth:
    """The birth of the first node of a cluster that goes on from what another one left, under an id of its own.

    `members` is its configuration; the incarnation that is drawn is filled in.
    """
    check_names(node_id, cluster)
    check_initial(members, node_id)
    incarnation = secrets.token_hex(8)

    def filled(group: tuple[Member, ...]) -> tuple[Member, ...]:
        return tuple(replace(one, incarnation=incarnation) if one.id == node_id else one for one in group)

    initial = replace(members, voters=filled(members.voters), learners=filled(members.learners))
    return Birth(cluster, f"{cluster}.{secrets.token_hex(6)}", node_id, incarnation, initial)


def check_initial(initial: Configuration, node_id: str) -> None:
    """Raise `ValueError` unless a cluster can begin with this configuration on this node."""
    if not initial.voters or not initial.at_rest:
        raise ValueError("an initial configuration has at least one voter and is not joint")
    if initial.member(node_id) is None:
        raise ValueError(f"the initial configuration does not name this node, {node_id}")


def check_names(node_id: str, cluster: str) -> None:
    """Raise `ValueError` unless both are legal names: 1 to 64 printable ASCII characters, no space."""
    check_node_id(node_id)
    try:
        check_node_id(cluster)
    except ValueError as error:
        raise ValueError(f"a cluster's name follows the rules of a node id: {error}") from None


def cluster_id_of(cluster: str, initial: Configuration) -> str:
    """The id of the cluster of this name that is bootstrapped with this configuration: the name, a dot, a digest."""
    digest = hashlib.sha256("\n".join(initial.voter_ids).encode()).hexdigest()
    return f"{cluster}.{digest[:12]}"


def name_in(cluster_id: str) -> str:
    """The cluster's name in a cluster's id. Raises `ValueError` for what is no id."""
    name, dot, digest = cluster_id.rpartition(".")
    if not (dot and name and digest.isascii() and digest.isalnum() and len(digest) <= 64):
        raise ValueError(
            f"{cluster_id!r:.160} is no cluster id; that is a name, a dot and a digest, as its nodes show it"
        )
    return name


def check_belongs(found: Birth, where: str, wanted: Wanted) -> None:
    """Raise `WrongDataDirectory` unless `found` is what the caller expects to find."""
    if found.node_id != wanted.node_id:
        raise WrongDataDirectory(
            f"{where} belongs to node {found.node_id}, not to {wanted.node_id}; "
            "give each node a data directory of its own"
        )
    if found.cluster != wanted.name:
        raise WrongDataDirectory(
            f"{where} belongs to cluster {found.cluster}, not to {wanted.name}; give the one that is meant"
        )
    if wanted.join is not None and wanted.join != found.cluster_id:
        raise WrongDataDirectory(
            f"{where} belongs to cluster {found.cluster_id}, not to {wanted.join}; give the one that is meant, "
            "or a new data directory"
        )
    if wanted.initial is not None and cluster_id_of(wanted.name, wanted.initial) != found.cluster_id:
        raise WrongDataDirectory(_other_beginning(found, where, wanted.initial))


def _other_beginning(found: Birth, where: str, initial: Configuration) -> str:
    given = ",".join(initial.voter_ids)
    if found.joined or cluster_id_of(found.cluster, found.initial) != found.cluster_id:
        how = "joined" if found.joined else "was restored or recovered as"
        return (
            f"{where} {how} cluster {found.cluster_id}, and was not bootstrapped with the voters {given}; "
            "start it without an initial configuration"
        )
    return (
        f"{where} was bootstrapped with the voters {found.bootstrap}, not with {given}; "
        "the initial configuration of a cluster never changes: give the one it was created with"
    )
