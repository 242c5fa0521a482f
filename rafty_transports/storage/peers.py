"""Whom a node has met, and whether somebody is still the same.

Law: *under one name a node counts one incarnation, and of it no boot that is older than one it has met.*

A node that comes back on an empty disk, or on an older image of its disk, has forgotten votes and entries; whoever met
the newer one refuses it until a membership change admits it (fault F116).
"""

from rafty_core.entries import LARGEST
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage.records import Peers


def check_peer(peer: Identity, own: Identity, met: Peers) -> bool:
    """Whether meeting this peer tells something new, to be stored; raises `Refused` if it must not be met."""
    if peer.cluster_id != own.cluster_id:
        raise Refused(
            f"{peer.node_id} belongs to cluster {peer.cluster_id} (bootstrapped with {peer.bootstrap}), this node to "
            f"{own.cluster_id} (bootstrapped with {own.bootstrap}); start one of them with the other's configuration"
        )
    if not 1 <= peer.boot <= LARGEST:
        raise Refused(f"{peer.node_id} names itself boot {peer.boot}, which no node can be in")
    known = (own.incarnation, own.boot) if peer.node_id == own.node_id else met.get(peer.node_id)
    if known is None:
        return True
    incarnation, boot = known
    if peer.incarnation != incarnation:
        raise Refused(
            f"{peer.node_id} has incarnation {peer.incarnation}, but was met as {incarnation}: its data directory is "
            "another one; give it back the old one, or remove the member and add it again"
        )
    if peer.boot < boot:
        raise Refused(
            f"{peer.node_id} is in boot {peer.boot}, but was met in boot {boot}: its data directory is an older copy, "
            "or two processes run under one name; end the other, or remove the member and add it again"
        )
    return peer.boot > boot
