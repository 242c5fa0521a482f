"""The kit for transports: `check_transport` runs each rule of `RULES` on a fresh network of yours.

Law: *a transport is used as a node uses it, and then worse.*
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from rafty_transports.chunks import CHUNK_BYTES
from rafty_transports.interfaces import Transport
from rafty_transports.testing import transport_lives as lives
from rafty_transports.testing import transport_members as members
from rafty_transports.testing import transport_rules as rules
from rafty_transports.testing.conformance import Rule, chosen, judged
from rafty_transports.testing.ends import MakeTransport, Net, Wanted

RULES: Final[tuple[Rule[Callable[[Net], Awaitable[None]]], ...]] = (
    Rule("never_waits", rules.never_waits),
    Rule("every_kind_travels", rules.every_kind_travels),
    Rule("no_object_is_shared", rules.no_object_is_shared),
    Rule("sender_is_true", rules.sender_is_true),
    Rule("order_is_kept", rules.order_is_kept),
    Rule("newest_is_dropped", rules.newest_is_dropped),
    Rule("unreachable_is_reported", rules.unreachable_is_reported),
    Rule("memory_is_bounded", rules.memory_is_bounded),
    Rule("slow_peer_holds_up_nobody", rules.slow_peer_holds_up_nobody),
    Rule("nobody_is_needed", lives.nobody_is_needed),
    Rule("restarted_peer_is_reached", lives.restarted_peer_is_reached),
    Rule("iteration_ends", lives.iteration_ends),
    Rule("cancelled_iteration_is_clean", lives.cancelled_iteration_is_clean),
    Rule("body_error_leaves_as_itself", lives.body_error_leaves_as_itself),
    Rule("leaving_is_quick", lives.leaving_is_quick),
    Rule("nothing_is_left", lives.nothing_is_left),
    Rule("identify_tells_who_is_there", members.identify_tells_who_is_there),
    Rule("identify_refuses", members.identify_refuses),
    Rule("members_are_followed", members.members_are_followed),
    Rule("removed_member_is_told", members.removed_member_is_told),
)
"""Every rule, in the order in which they are tried; the docstring of each function says what is asked."""

OF_ORDER: Final = frozenset(("order_is_kept", "newest_is_dropped"))
OF_MEMBERS: Final = frozenset(
    ("identify_tells_who_is_there", "identify_refuses", "members_are_followed", "removed_member_is_told")
)


async def check_transport(
    network: Callable[[], MakeTransport],
    *,
    ordered: bool = False,
    reports_loss: bool = True,
    address: Callable[[Transport], str] | None = None,
    largest: int = CHUNK_BYTES,
    most_bytes: int = 64 * 1024 * 1024,
    patience: float = 5.0,
    leave_within: float = 2.0,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
) -> tuple[str, ...]:
    """Try to break every rule of `Transport`; returns the names of the rules that were tried. Call it on each backend.

    network       makes a fresh network; what it returns makes a new transport, not open yet, for the node of a name.
                  The kit asks for n1, n2 and n3, for one of them again after it was closed, and for no two of one
                  name at once. Each of them must know how to reach the others
    ordered       whether one kind of message keeps its order, and what does not fit is dropped newest first: so it is
                  where there are connections
    reports_loss  whether it learns that a peer is away or does not read: so it is where there are connections. Nodes
                  that nobody knows are always reported
    address       where a transport that is open is reached; for a `MembersTransport`. None: the rules of members are
                  not tried
    largest       bytes of the largest payload that must travel. A transport that carries less than the default cannot
                  carry snapshots, nor the batches of a node with default limits
    most_bytes    what may be held for a peer that does not read, at most, on both sides together. Measured is Python's
                  memory, not that of the operating system or of a server
    patience      seconds after which a message that was sent again and again has not arrived
    leave_within  seconds in which a transport must be left
    only, skip    names of rules to try, or to leave out

    Raises `ConformanceError` for the first rule that is broken, in no exception group; `ValueError` for names of rules
    that are none.

    Rules (`RULES` has the functions):

    never_waits                   `send` returns None at once and never raises, for unknown and absent peers, too
    every_kind_travels            each kind of message arrives unchanged; nothing that was not sent, or to others
    no_object_is_shared           what is handed out is nobody else's object (fault F135)
    sender_is_true                nobody sends under another's name (fault F130)
    order_is_kept                 if `ordered`: in the order of sending, within a kind, and once
    newest_is_dropped             if `ordered`: of a burst that does not fit, the oldest arrive (fault F149)
    unreachable_is_reported       a `PeerUnreachable` comes in for a node that nobody knows, or that is away
    memory_is_bounded             a peer that does not read costs less than `most_bytes`, and is reported
    slow_peer_holds_up_nobody     meanwhile others are heard as ever
    nobody_is_needed              it opens though no peer is there, and reaches those that come later
    restarted_peer_is_reached     a node that comes again under its name is reached again
    iteration_ends                the iteration ends, without an error, when the transport closes
    cancelled_iteration_is_clean  waiting for messages can be cancelled
    body_error_leaves_as_itself   an error of the body of `async with` leaves as itself, in no group, in time
    leaving_is_quick              leaving ends within `leave_within`, though much waits for peers that do not read
    nothing_is_left               no task, no thread, no socket is left; a new transport works as the first did
    identify_tells_who_is_there   `identify` gives the identity at an address
    identify_refuses              `identify` raises `Refused` or `OSError` if another node or nobody is there
    members_are_followed          those that `set_members` names are reached
    removed_member_is_told        the iteration of a removed node ends with `RemovedFromCluster`

    Not asked, since not promised: that a message arrives the first time, once, in order, or soon. Not tried, though
    promised: that bytes of strangers, and damaged ones, are refused, since the kit does not know the wire.
    """
    wanted = Wanted(ordered, reports_loss, largest, most_bytes, patience, leave_within, address)
    left_out = {*skip, *(() if ordered else OF_ORDER), *(() if address else OF_MEMBERS)}
    tried = chosen(RULES, only, left_out)
    for rule in tried:
        with judged("transport", rule.name):
            await rule.attempt(Net(network(), wanted))
    return tuple(rule.name for rule in tried)
