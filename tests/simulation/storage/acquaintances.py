"""Whom one store has met, over all its lives, and whom it must refuse.

Law: *under one name one incarnation counts, and of it no boot that is older than one that was met* (fault F116).
"""

import random
from collections.abc import Sequence

from rafty_core.configuration import Member
from rafty_core.entries import LARGEST
from rafty_transports.interfaces import Identity

Pair = tuple[str, str]

NAMES = ("n2", "n3", "n4", "n5", "n6", "n7", "n8")
MOST = 4
"""So many names that were met are remembered here: a small bound shows what becomes of those beyond it."""


class Acquaintances:
    """What a store must remember of others.

    boots     the highest boot of each (id, incarnation) that was met, the newest last; 0: it was only admitted
    expected  what that is once the call that was not answered is durable
    """

    def __init__(self) -> None:
        self.boots: dict[Pair, int] = {}
        self.expected: dict[Pair, int] = {}

    def refuses(self, peer: Identity, own: Identity) -> bool:
        """Whether this peer must not be met."""
        if peer.cluster_id != own.cluster_id or not 1 <= peer.boot <= LARGEST:
            return True
        known = {pair[1]: boot for pair, boot in self.boots.items() if pair[0] == peer.node_id}
        if peer.node_id == own.node_id:
            known = {own.incarnation: own.boot}
        if peer.incarnation in known:
            return peer.boot < known[peer.incarnation]
        return any(boot > 0 for boot in known.values())

    def meeting(self, peer: Identity) -> None:
        """This peer, who must not be refused, is being met."""
        pair = (peer.node_id, peer.incarnation)
        self.expected = dict(self.boots)
        if self.boots.get(pair) != peer.boot:
            self.expected.pop(pair, None)
            for other in [one for one, boot in self.expected.items() if boot > 0][: -MOST + 1]:
                del self.expected[other]
            self.expected[pair] = peer.boot

    def admitting(self, members: Sequence[Member], own: Identity) -> None:
        """These members are being admitted."""
        pairs = [(one.id, one.incarnation) for one in members if one.incarnation and one.id != own.node_id]
        self.expected = self.boots | {pair: 0 for pair in pairs if pair not in self.boots}

    def answered(self) -> None:
        """The call was answered: what it was for is durable."""
        self.boots = self.expected

    def settle(self, found: dict[Pair, int]) -> bool:
        """Whether a new life of the store knows what it must; from now on that is what it must know."""
        if found not in (self.boots, self.expected):
            return False
        self.boots = self.expected = dict(found)
        return True


def draw_peer(draw: random.Random, own: Identity) -> Identity:
    """Somebody who says who they are; most of the time it may well be true."""
    name = draw.choice(NAMES) if draw.random() < 0.95 else own.node_id
    cluster_id = own.cluster_id if draw.random() < 0.95 else "rafty.fedcba987654"
    incarnation = f"of-{name}" if draw.random() < 0.8 else f"other-of-{name}"
    boot = draw.choice((1, 1, 2, 3, 3, 5)) if draw.random() < 0.95 else draw.choice((0, -1, LARGEST + 1))
    return Identity(cluster_id, name, incarnation, boot, own.bootstrap)
