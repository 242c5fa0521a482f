"""What is known of each peer, and what that ends, wakes and forgets. Nothing connects here."""

import logging
from collections.abc import Callable

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_transports.complaints import Complaints
from rafty_transports.links import Limits
from rafty_transports.peers import ACCEPTED, DIALED, AcceptedConnection, Peer
from rafty_transports.roster import Roster
from tests.transports.connections import NOWHERE, heartbeat, identity

pytestmark = pytest.mark.anyio

OLD, NEW = identity("n2", incarnation="old"), identity("n2", incarnation="new")


def peer_of(*, connected: bool = False, accepted: bool = False) -> Peer:
    """n2, a member, as n1 knows it."""
    peer = Peer("n2", Limits(), Complaints(), member=True)
    peer.outbox.connected = connected
    if accepted:
        peer.accepted = AcceptedConnection(OLD)
    return peer


def accepted_ends(peer: Peer) -> bool:
    """Whether the connection that it opened is to end."""
    assert peer.accepted is not None
    return peer.accepted.scope.cancel_called


async def woken(peer: Peer, what: Callable[[], object]) -> bool:
    """Whether this ends the pause before the next attempt."""
    with anyio.move_on_after(0.5) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(peer.heard)
            await anyio.wait_all_tasks_blocked()
            what()
    return not scope.cancelled_caught


async def test_trouble_is_logged_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    peer = peer_of()
    for reason in ("one", "one", "two", "two", "one"):
        peer.failed(reason)
    assert [record.getMessage() for record in caplog.records] == [
        f"no connection to n2: {reason}" for reason in ("one", "two", "one")
    ]


async def test_a_refusal_is_over_once_the_same_direction_has_agreed() -> None:
    peer = peer_of()
    peer.refused(DIALED, "not you")
    peer.refused(ACCEPTED, "nor you")
    assert (peer.refusal, peer.trouble) == ("not you", "not you")
    peer.agreed(ACCEPTED, OLD)
    assert (peer.refusal, peer.trouble) == ("not you", "not you")
    peer.agreed(DIALED, OLD)
    assert (peer.refusal, peer.trouble) == (None, None)


@pytest.mark.parametrize("direction", [DIALED, ACCEPTED])
async def test_nothing_of_an_earlier_life_is_for_the_next(direction: str) -> None:
    peer = peer_of(connected=True, accepted=True)
    peer.agreed(direction, OLD)
    peer.outbox.put(heartbeat("n1", "n2"))
    peer.agreed(direction, OLD)
    assert not peer.outbox.empty
    assert not peer.attempt.cancel_called
    assert not accepted_ends(peer)
    peer.agreed(direction, NEW)
    assert peer.outbox.empty
    assert peer.attempt.cancel_called == (direction == ACCEPTED)
    assert accepted_ends(peer) == (direction == DIALED)


@pytest.mark.parametrize("connected", [True, False])
async def test_breaking_off_ends_what_has_agreed_and_no_attempt(connected: bool) -> None:
    peer = peer_of(connected=connected, accepted=True)
    assert await woken(peer, peer.break_off)
    assert peer.attempt.cancel_called == connected
    assert accepted_ends(peer)
    assert await woken(peer_of(), peer_of().break_off) is False


async def test_the_end_of_a_peer_ends_everything() -> None:
    peer = peer_of(accepted=True)
    peer.end()
    assert peer.attempt.cancel_called
    assert accepted_ends(peer)


async def test_an_address_that_a_peer_says_is_news_only_to_who_has_none() -> None:
    for address in ("", NOWHERE):
        peer = peer_of()
        peer.move(address)
        peer.attempt = anyio.CancelScope()
        peer.tell("")
        assert not peer.attempt.cancel_called
        peer.tell("elsewhere:1")
        assert peer.attempt.cancel_called == (address == "")
        assert peer.addresses == [where for where in (address, "elsewhere:1") if where]


async def test_messages_wait_only_for_who_can_be_reached() -> None:
    peer = peer_of()
    assert not peer.outbox.put(heartbeat("n1", "n2"))
    peer.move(NOWHERE)
    assert peer.outbox.put(heartbeat("n1", "n2"))
    peer.move("")
    assert not peer.outbox.put(heartbeat("n1", "n2"))
    peer.tell(NOWHERE)
    assert peer.outbox.put(heartbeat("n1", "n2"))


def roster(guests: int = 2) -> Roster:
    """The roster of n1, which is alone."""
    made = Roster(identity("n1"), Limits(guests=guests), lambda _: None)
    made.follow([Member("n1")], [])
    return made


async def test_of_guests_that_are_away_the_one_that_was_silent_longest_makes_room() -> None:
    for first, second, gone in ((1.0, 2.0, "n7"), (2.0, 1.0, "n8")):
        few = roster()
        few.meet(identity("n7")).note(first)
        few.meet(identity("n8")).note(second)
        few.meet(identity("n9"))
        assert sorted(few.peers) == sorted({"n7", "n8", "n9"} - {gone})


async def test_a_guest_that_is_connected_makes_no_room() -> None:
    few = roster()
    connected = few.meet(identity("n7"))
    connected.note(1.0)
    connected.accepted = AcceptedConnection(identity("n7"))
    few.meet(identity("n8")).note(2.0)
    few.meet(identity("n9"))
    assert sorted(few.peers) == ["n7", "n9"]
    assert not accepted_ends(connected)


async def test_who_is_forgotten_twice_takes_nobody_along() -> None:
    few = roster()
    first = few.meet(identity("n7"))
    few.forget(first)
    second = few.meet(identity("n7"))
    few.forget(first)
    assert few.peers == {"n7": second}
    assert not second.attempt.cancel_called


async def test_who_is_removed_a_second_time_has_time_to_hear_it_again() -> None:
    few, limits = roster(), Limits()
    few.meet(identity("n7", incarnation="a")).incarnation = "a"
    removed = [Member("n7", "", "a")]
    few.follow([Member("n1")], removed)
    few.tidy(100.0)
    few.follow([Member("n1")], [])
    few.follow([Member("n1")], removed)
    few.tidy(100.0 + limits.farewell)
    assert list(few.peers) == ["n7"]
    few.tidy(100.0 + 2 * limits.farewell)
    assert not few.peers


async def test_the_connections_of_a_predecessor_end_when_its_successor_is_a_member() -> None:
    few = roster()
    peer = few.meet(identity("n7", incarnation="a"))
    peer.incarnation = "a"
    peer.accepted = AcceptedConnection(identity("n7", incarnation="a"))
    few.follow([Member("n1"), Member("n7", NOWHERE, "b")], [])
    assert not accepted_ends(peer)
    few.follow([Member("n1"), Member("n7", NOWHERE, "b")], [Member("n7", "", "a")])
    assert accepted_ends(peer)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_guest_that_becomes_a_member_is_dialed_without_being_wanted(connected: bool) -> None:
    few = roster()
    peer = few.meet(identity("n7"))
    peer.outbox.connected = connected
    few.follow([Member("n1"), Member("n7")], [])
    assert peer.member
    assert peer.attempt.cancel_called == (not connected)


@pytest.mark.parametrize("name", ["", "n 1", "n\n1", "é", "x" * 65])
async def test_a_name_that_is_none_is_no_peer(name: str) -> None:
    few = roster()
    with pytest.raises(ValueError, match="a node id"):
        few.name(name, NOWHERE)
    assert not few.peers
