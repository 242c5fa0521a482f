"""Whom a node has met, and whether somebody is still the same.

Law: *under one name a node counts one incarnation, and of it no boot that is older than one it has met.*

A node that comes back on an empty disk, or on an older image of its disk, has forgotten votes and entries; whoever met
the newer one refuses it until a membership change admits it (fault F116). Such a pair of id and incarnation is noted
beside the others, with boot 0 as long as it was not met.
"""

from collections.abc import Sequence
from typing import Final

from rafty_core.configuration import Member
from rafty_core.entries import LARGEST
from rafty_transports.interfaces import Identity, Refused
from rafty_transports.storage.records import Peers

MOST_MET: Final = 256
"""So many peers are remembered, the newest; all of them are written whenever one of them is new."""


def check_peer(peer: Identity, own: Identity, met: Peers) -> bool:
    """Whether meeting this peer tells something new, to be stored; raises `Refused` if it must not be met."""
    if peer.cluster_id != own.cluster_id:
        raise Refused(
            f"{peer.node_id} belongs to cluster {_in_words(peer)}, this node to {_in_words(own)}; "
            "start one of them with the other's configuration",
            "cluster",
        )
    if not 1 <= peer.boot <= LARGEST:
        raise Refused(f"{peer.node_id} names itself boot {peer.boot}, which no node can be in", "incarnation")
    if peer.node_id == own.node_id:
        known = {own.incarnation: own.boot}
    else:
        known = {incarnation: boot for (node_id, incarnation), boot in met.items() if node_id == peer.node_id}
    boot = known.get(peer.incarnation)
    if boot is None:
        others = [incarnation for incarnation, reached in known.items() if reached > 0]
        if others:
            raise Refused(
                f"{peer.node_id} has incarnation {peer.incarnation}, but was met as {others[-1]}: its data directory "
                "is another one; give it back the old one, or remove the member and add it again",
                "incarnation",
            )
        return True
    if peer.boot < boot:
        raise Refused(
            f"{peer.node_id} is in boot {peer.boot}, but was met in boot {boot}: its data directory is an older copy, "
            "or two processes run under one name; end the other, or remove the member and add it again",
            "incarnation",
        )
    return peer.boot > boot


def after_meeting(peer: Identity, met: Peers) -> Peers:
    """Whom the node has met once it has met this one: the newest at the end, and of those that were met the newest
    `MOST_MET`. Strangers that make a node forget others have the right to speak in their names already."""
    key = (peer.node_id, peer.incarnation)
    others = {other: boot for other, boot in met.items() if other != key}
    known = [other for other, boot in others.items() if boot > 0]
    for oldest in known[: max(0, len(known) + 1 - MOST_MET)]:
        del others[oldest]  # or whoever connects under many names fills the disk (R207)
    return {**others, key: peer.boot}


def after_admitting(members: Sequence[Member], own: Identity, met: Peers) -> Peers:
    """The pairs of these members may be met from now on, in any boot; what is known of pairs stays known.

    It does not matter in which order configurations are told, or how often: they are told again after each start.
    """
    pairs = [(member.id, member.incarnation) for member in members if member.incarnation and member.id != own.node_id]
    return {**met, **{pair: 0 for pair in pairs if pair not in met}}


def incarnations(met: Peers) -> dict[str, str]:
    """The incarnation under which each peer was met last, by id; who was only admitted was not met."""
    return {node_id: incarnation for (node_id, incarnation), boot in met.items() if boot > 0}


def _in_words(identity: Identity) -> str:
    origin = f"bootstrapped with {identity.bootstrap}" if identity.bootstrap else "which it joined"
    return f"{identity.cluster_id} ({origin})"
