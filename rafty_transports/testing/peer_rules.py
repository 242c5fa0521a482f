"""What a store must remember of its peers, so that one that forgot its promises is not counted (fault F116).

Law: *under one name one incarnation is met, and of it no boot below the highest.*
"""

from dataclasses import replace

from rafty_core.configuration import Member
from rafty_transports.interfaces import Identity, LogStore, Refused
from rafty_transports.testing.conformance import calling, require
from rafty_transports.testing.lives import Lives


def _peer(store: LogStore, incarnation: str, boot: int) -> Identity:
    return replace(store.identity, node_id="peer", incarnation=incarnation, boot=boot)


def _meets(store: LogStore, peer: Identity, when: str) -> None:
    with calling(f"meet() of a peer in boot {peer.boot} {when}"):
        store.meet(peer)


def _refuses(store: LogStore, peer: Identity, why: str) -> None:
    raised = False
    try:
        store.meet(peer)
    except Refused as refusal:
        raised = bool(str(refusal))
    require(raised, f"meet() returned for a peer {why}; it raises Refused, with a sentence")


def peers_are_remembered(lives: Lives) -> None:
    """`meet` is durable; a lower boot, another incarnation and another cluster are refused, in later lives, too."""
    store = lives.open()
    for boot in (3, 3, 5):
        _meets(store, _peer(store, "cafe", boot), "that is not lower than before")
        store = lives.restart()
    _refuses(store, _peer(store, "cafe", 4), "in boot 4 that was met in boot 5")
    _refuses(store, _peer(store, "beef", 9), "with another incarnation than it was met with")
    _refuses(store, replace(_peer(store, "cafe", 9), cluster_id="other.0123456789ab"), "of another cluster")
    _meets(store, _peer(store, "cafe", 5), "that is known")
    met = store.met()
    require(met == {"peer": "cafe"}, f"met() says {met!r:.100}; met was peer with the incarnation cafe")


def admitted_peers_are_met(lives: Lives) -> None:
    """`admit` lets the incarnation of a configuration be met, in later lives, too; what is known stays known."""
    store = lives.open()
    _meets(store, _peer(store, "old", 9), "for the first time")
    with calling("admit()"):
        store.admit([Member("peer", "", "new"), Member(store.identity.node_id)])
    store = lives.restart()
    require(store.met() == {"peer": "old"}, f"met() says {store.met()!r:.100} of a peer that was only admitted")
    _meets(store, _peer(store, "new", 2), "that was admitted before a restart")
    _refuses(store, _peer(store, "third", 1), "with an incarnation that was never admitted")
    for told in ("old", "new"):
        store.admit([Member("peer", "", told)])
    store = lives.restart()
    require(store.met() == {"peer": "new"}, f"met() says {store.met()!r:.100}; met last was the incarnation new")
    _refuses(store, _peer(store, "new", 1), "in boot 1 that was met in boot 2, after it was admitted again")
    _refuses(store, _peer(store, "old", 8), "in boot 8 that was met in boot 9, after another one was admitted")
