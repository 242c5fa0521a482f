"""The kit for stores: `check_log_store` runs each rule of `RULES` on disks of yours.

Law: *what `write` returned from is there in the next life, whole, or the store says that it is not.*
"""

import random
from collections.abc import Callable, Collection
from typing import Final

from rafty_transports.interfaces import LogStore
from rafty_transports.testing import log_rules as log
from rafty_transports.testing import peer_rules as peers
from rafty_transports.testing import snapshot_rules as snapshots
from rafty_transports.testing.conformance import Rule, chosen, judged
from rafty_transports.testing.lives import Lives

RULES: Final[tuple[Rule[Callable[[Lives], None]], ...]] = (
    Rule("begins_with_nothing", log.begins_with_nothing),
    Rule("identity_is_kept", log.identity_is_kept),
    Rule("written_is_durable", log.written_is_durable),
    Rule("all_sizes_are_kept", log.all_sizes_are_kept),
    Rule("term_and_vote_go_together", log.term_and_vote_go_together),
    Rule("suffix_is_replaced", log.suffix_is_replaced),
    Rule("writes_keep_their_order", log.writes_keep_their_order),
    Rule("any_thread_may_call", log.any_thread_may_call),
    Rule("closing_is_harmless", log.closing_is_harmless),
    Rule("snapshot_is_whole_or_not_there", snapshots.snapshot_is_whole_or_not_there),
    Rule("snapshot_is_durable", snapshots.snapshot_is_durable),
    Rule("snapshot_travels", snapshots.snapshot_travels),
    Rule("damaged_snapshot_is_refused", snapshots.damaged_snapshot_is_refused),
    Rule("needed_snapshots_stay", snapshots.needed_snapshots_stay),
    Rule("log_starts_behind_a_snapshot", snapshots.log_starts_behind_a_snapshot),
    Rule("installed_snapshot_replaces_the_log", snapshots.installed_snapshot_replaces_the_log),
    Rule("peers_are_remembered", peers.peers_are_remembered),
    Rule("admitted_peers_are_met", peers.admitted_peers_are_met),
    Rule("damage_is_noticed", log.damage_is_noticed),
)
"""Every rule, in the order in which they are tried; the docstring of each function says what is asked."""


def check_log_store(
    open_store: Callable[[str], LogStore],
    *,
    crash: Callable[[str], None] | None = None,
    damage: Callable[[str, random.Random], None] | None = None,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Try to break every rule of `LogStore`; returns the names of the rules that were tried. Not for an event loop.

    open_store  opens the store on the disk of this name, a new one at its first call: one node of a cluster that is
                bootstrapped with it, of the same node and cluster on each disk. Called again for a disk it is the next
                start of the node
    crash       the process that has this disk open ends here, without `close`, and the power fails: whatever is not
                durable is gone. The kit forgets the store and opens the disk again. None: stores are only closed, so
                that one which writes when it is closed passes
    damage      change something of what is stored on this disk, which is not open. None: `damage_is_noticed` is not
                tried
    only, skip  names of rules to try, or to leave out

    Raises `ConformanceError` for the first rule that is broken; `ValueError` for names of rules that are none.

    Rules (`RULES` has the functions):

    begins_with_nothing                  term 0, no vote, no entries, a snapshot of index 0 that names this node; boot 1
    identity_is_kept                     the same names at each start, one boot more; another incarnation on each disk
    written_is_durable                   entries, term and vote of every write are there in the next life
    all_sizes_are_kept                   batches of 1 to 10,000 entries, entries of 1 byte to 1 MiB, every kind
    term_and_vote_go_together            a vote is of its term: a new term without a vote has none (fault F1)
    suffix_is_replaced                   a batch replaces what stands at its index and behind it (fault F112)
    writes_keep_their_order              several writes of one call take effect one after the other
    any_thread_may_call                  each call in another thread, snapshots beside the log
    closing_is_harmless                  closing twice; a write after it raises, or is durable
    snapshot_is_whole_or_not_there       one that was not finished, or was given up, is not there (fault F83)
    snapshot_is_durable                  one that was finished is there in the next life, byte by byte
    snapshot_travels                     read in pieces and received, on another disk: going on where it was
    damaged_snapshot_is_refused          received bytes that are not those announced raise, and leave nothing
    needed_snapshots_stay                `retain` keeps the newest, the one that the log starts behind, those needed
    log_starts_behind_a_snapshot         the row of a snapshot with its configuration, and the log behind it (F80, F86)
    installed_snapshot_replaces_the_log  nothing of the old log is left (fault F142)
    peers_are_remembered                 `meet` is durable, and refuses lower boots and other incarnations (fault F116)
    admitted_peers_are_met               `admit` is durable; who was met before is still known
    damage_is_noticed                    a disk that was damaged is refused, or loads all; never silently less (F107)

    Not tried: that one sync is enough, that a sync which fails is final, that a directory has one process at a time.
    """
    tried = chosen(RULES, only, {*skip, *(() if damage else ("damage_is_noticed",))})
    for rule in tried:
        lives = Lives(rule.name, open_store, crash, damage)
        with judged("log store", rule.name):
            try:
                rule.attempt(lives)
            finally:
                lives.end()
    return tuple(rule.name for rule in tried)
