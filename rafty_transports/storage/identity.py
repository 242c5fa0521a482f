"""A data directory belongs to one node of one cluster, drawn once and checked at every start.

Law: *the cluster's id tells how it was bootstrapped, and the incarnation tells one data directory from the next.*

Nodes that were bootstrapped with different voters would each find a majority of their own; the digest in the cluster's
id makes them refuse each other. A node that lost its disk comes back under its old name with a new incarnation, and
so cannot vote a second time under the old one (fault F116).
"""

import hashlib
import json
import secrets
import zlib
from dataclasses import dataclass

from rafty_core.configuration import Configuration, Member, check_node_id
from rafty_transports.storage.errors import WrongDataDirectory

GROUPS = ("voters", "outgoing", "learners", "learners_next")


@dataclass(frozen=True, slots=True)
class Birth:
    """What was fixed when a data directory was created: cluster, node, incarnation, and the initial configuration."""

    cluster: str
    node_id: str
    incarnation: str
    initial: Configuration

    @property
    def bootstrap(self) -> str:
        """The ids of the initial voters in words: "n1,n2,n3"."""
        return ",".join(self.initial.voter_ids)

    @property
    def cluster_id(self) -> str:
        """The cluster's name, a dot, and a short digest of the ids of its initial voters."""
        return cluster_id_of(self.cluster, self.initial)

    @property
    def seed(self) -> int:
        """What every CRC of this data directory starts from, so that no record of another one fits (fault F115)."""
        text = "\n".join((self.cluster, self.node_id, self.incarnation, encode_configuration(self.initial)))
        return zlib.crc32(text.encode())


def born(node_id: str, cluster: str, initial: Configuration) -> Birth:
    """The birth of a new data directory; draws its incarnation. Raises `ValueError` for arguments without sense."""
    check_names(node_id, cluster)
    if not initial.voters or initial.outgoing:
        raise ValueError("an initial configuration has at least one voter and is not joint")
    if node_id not in [member.id for member in initial.members]:
        raise ValueError(f"the initial configuration does not name this node, {node_id}")
    return Birth(cluster, node_id, secrets.token_hex(8), initial)


def check_names(node_id: str, cluster: str) -> None:
    """Raise `ValueError` unless both are legal names: 1 to 64 printable ASCII characters, no space."""
    check_node_id(node_id)
    try:
        check_node_id(cluster)
    except ValueError as error:
        raise ValueError(f"a cluster's name follows the rules of a node id: {error}") from None


def cluster_id_of(cluster: str, initial: Configuration) -> str:
    """The id of the cluster of this name that is bootstrapped with this configuration."""
    digest = hashlib.sha256("\n".join(initial.voter_ids).encode()).hexdigest()
    return f"{cluster}.{digest[:12]}"


def check_belongs(found: Birth, where: str, node_id: str, cluster: str, initial: Configuration | None) -> None:
    """Raise `WrongDataDirectory` unless `found` is what the caller expects to find."""
    if found.node_id != node_id:
        raise WrongDataDirectory(
            f"{where} belongs to node {found.node_id}, not to {node_id}; give each node a data directory of its own"
        )
    if found.cluster != cluster:
        raise WrongDataDirectory(
            f"{where} belongs to cluster {found.cluster}, not to {cluster}; give the one that is meant"
        )
    if initial is not None and cluster_id_of(cluster, initial) != found.cluster_id:
        raise WrongDataDirectory(
            f"{where} was bootstrapped with the voters {found.bootstrap}, not with {','.join(initial.voter_ids)}; "
            "the initial configuration of a cluster never changes: give the one it was created with"
        )


def encode_configuration(configuration: Configuration) -> str:
    """The configuration as JSON, always the same text for the same configuration."""
    groups = {
        group: [[member.id, member.address, member.incarnation] for member in getattr(configuration, group)]
        for group in GROUPS
    }
    return json.dumps(groups, separators=(",", ":"), sort_keys=True)


def decode_configuration(text: str) -> Configuration:
    """The configuration of `encode_configuration`; raises `ValueError`, `TypeError` or `KeyError` for anything else."""
    groups = json.loads(text)
    return Configuration(**{group: tuple(Member(*fields) for fields in groups[group]) for group in GROUPS})
