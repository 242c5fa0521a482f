"""Members, guests and those who were removed: whom a transport with connections hears, answers, and sends away."""

from random import Random

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_core.events import PeerUnreachable
from rafty_core.messages import HeartbeatResponse
from rafty_transports.interfaces import Identity, MembersTransport, Refused, RemovedFromCluster
from rafty_transports.links import Limits
from rafty_transports.peers import Peer
from rafty_transports.roster import Roster
from rafty_transports.tcp import TcpTransport
from tests.transports.connections import (
    ANYWHERE,
    FORGETFUL,
    NOWHERE,
    QUICK,
    admit_all,
    closed_by_peer,
    connect_as,
    free_address,
    heartbeat,
    identity,
    messages_of,
    node,
    reachable,
    rounds,
    two_nodes,
    until,
)

pytestmark = pytest.mark.anyio


def member(transport: TcpTransport, incarnation: str = "") -> Member:
    """This node as a member of a configuration."""
    return Member(transport.identity.node_id, transport.address, incarnation)


def answers(transport: TcpTransport, to: str, round: int = 1) -> None:
    """The answer to a heartbeat of `to`."""
    transport.send(HeartbeatResponse(transport.identity.node_id, to, 1, round))


async def removal_of(transport: TcpTransport, seconds: float = 8.0) -> str:
    """The sentence with which this node is told that it was removed."""
    with anyio.fail_after(seconds), pytest.raises(RemovedFromCluster) as told:
        async for _ in transport:
            pass
    assert transport.removed == str(told.value)
    return str(told.value)


async def test_the_transport_wants_to_know_the_members() -> None:
    transport: MembersTransport = node("n1", {})
    assert isinstance(transport, TcpTransport)


async def test_members_are_dialed_and_others_become_guests() -> None:
    async with node("n1", {"n3": NOWHERE}) as one, node("n2", {}) as two:
        one.set_members([], [])
        assert not one.peers()["n3"].guest
        one.set_members([Member("n1", "a note about itself"), member(two)], [])
        await until(lambda: one.peers()["n2"].connected)
        assert not one.peers()["n2"].guest
        assert one.peers()["n3"].guest
        one.send(heartbeat("n1", "n2", 4))
        assert rounds(await messages_of(two, 1)) == [4]


async def test_a_member_without_an_address_keeps_the_one_that_is_known() -> None:
    async with two_nodes() as (one, two):
        address = one.peers()["n2"].address
        one.set_members([Member("n1"), Member("n2")], [])
        assert one.peers()["n2"].address == address
        assert one.peers()["n2"].connected
        one.set_members([Member("n1"), Member("n2", NOWHERE)], [])
        assert one.peers()["n2"].address == NOWHERE
        await until(lambda: not one.peers()["n2"].connected)
        assert two.peers()["n1"].address == one.address


async def test_a_member_without_any_address_is_reached_once_it_comes() -> None:
    async with node("n1", {}) as one, reachable("n2") as two:
        one.set_members([Member("n1"), Member("n2")], [])
        await until(lambda: one.peers()["n2"].trouble == "its address is not known")
        answers(one, "n2")
        assert one.peers()["n2"].dropped == 1
        two.set_members([Member("n1", one.address), Member("n2")], [])
        await until(lambda: one.peers()["n2"].connected)
        assert one.peers()["n2"].address == two.identity.address


async def test_an_address_that_is_none_is_trouble_and_no_error() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), Member("n2", "somewhere")], [])
        await until(lambda: one.peers()["n2"].trouble == "an address is host:port, not 'somewhere'")


async def test_a_joining_node_answers_the_leader_that_it_learns_of() -> None:
    async with reachable("n1") as leader, reachable("n4") as joining:
        leader.set_members([Member("n1"), member(joining)], [])
        leader.send(heartbeat("n1", "n4", 1))
        assert rounds(await messages_of(joining, 1)) == [1]
        assert joining.peers()["n1"].guest
        answers(joining, "n1", 1)
        assert await messages_of(leader, 1) == [HeartbeatResponse("n4", "n1", 1, 1)]
        joining.set_members([Member("n1", leader.identity.address), Member("n4")], [])
        assert not joining.peers()["n1"].guest
        assert joining.peers()["n1"].connected


async def test_a_guest_without_an_address_is_heard_and_not_answered() -> None:
    async with node("n2", {}) as two, node("n9", {"n2": two.address}) as guest:
        guest.send(heartbeat("n9", "n2", 6))
        assert rounds(await messages_of(two, 1)) == [6]
        answers(two, "n9")
        assert two.peers()["n9"].dropped == 1
        assert await two.__anext__() == [PeerUnreachable("n9")]
        assert two.unaddressed == 0


async def test_a_guest_that_is_silent_is_forgotten() -> None:
    async with node("n2", {}, FORGETFUL) as two:
        async with await connect_as(two.address, identity("n9"), "n2") as stream:
            await until(lambda: "n9" in two.peers())
            await closed_by_peer(stream)
        assert two.peers() == {}
        answers(two, "n9")
        assert two.unaddressed == 1


async def test_guests_are_few_and_the_idle_ones_make_room() -> None:
    async with node("n2", {}, Limits(guests=2)) as two:
        first = await connect_as(two.address, identity("n7"), "n2")
        async with await connect_as(two.address, identity("n8"), "n2"):
            with pytest.raises(Refused, match="n9 is no member that n2 knows of, and 2 others"):
                await connect_as(two.address, identity("n9"), "n2")
            await first.aclose()
            await until(lambda: not two.peers()["n7"].accepted)
            async with await connect_as(two.address, identity("n9"), "n2"):
                await until(lambda: sorted(two.peers()) == ["n8", "n9"])
            two.set_members([Member("n2"), Member("n8")], [])
            assert not two.peers()["n8"].guest


async def test_a_peer_that_is_admitted_is_tried_again_at_once() -> None:
    admitted: list[str] = []

    def admit(peer: Identity) -> None:
        if peer.node_id not in admitted:
            raise Refused("not yet")

    patient = Limits(backoff_first=30.0, backoff_last=30.0)
    async with node("n2", {}) as two:
        one = TcpTransport(identity("n1"), {"n2": two.address}, ANYWHERE, admit=admit, limits=patient)
        async with one:
            await until(lambda: one.peers()["n2"].refusal)
            await anyio.wait_all_tasks_blocked()
            admitted.append("n2")
            one.set_members([Member("n1"), member(two, "incarnation-n2")], [])
            await until(lambda: one.peers()["n2"].connected)


async def test_another_incarnation_may_start_with_a_lower_boot() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        older = await connect_as(two.address, identity("n1", boot=9), "n2")
        newer = await connect_as(two.address, identity("n1", incarnation="new", boot=1), "n2")
        await closed_by_peer(older)
        with pytest.raises(Refused, match="n1 is connected to n2 in boot 1, this is 0"):
            await connect_as(two.address, identity("n1", incarnation="new", boot=0), "n2")
        await older.aclose()
        await newer.aclose()


@pytest.mark.parametrize("dialing", ["the removed", "the others"])
async def test_who_was_removed_is_told_on_either_side(dialing: str) -> None:
    removed = [Member("n3", "", "old")]
    async with node("n1", {}) as one, reachable("n3", incarnation="old") as three:
        one.set_members([Member("n1"), Member("n2", NOWHERE)], removed)
        if dialing == "the removed":
            three.set_peer("n1", one.address)
        else:
            one.set_peer("n3", three.address)
        told = await removal_of(three)
        assert told == (
            "n3 (incarnation old) was removed from the cluster; give it an empty data directory and add it again"
        )
        assert one.removed is None


async def test_a_removed_peer_keeps_its_connections_for_a_while() -> None:
    async with node("n1", {}, FORGETFUL) as one, reachable("n3", incarnation="old") as three:
        three.set_peer("n1", one.address)
        one.set_members([Member("n1"), member(three, "old")], [])
        await until(lambda: one.peers()["n3"].connected and one.peers()["n3"].accepted)
        one.set_members([Member("n1"), Member("n2", NOWHERE)], [Member("n3", three.address, "old")])
        one.send(heartbeat("n1", "n3", 8))
        assert rounds(await messages_of(three, 1)) == [8]
        assert one.peers()["n3"].guest
        await removal_of(three)
        await until(lambda: "n3" not in one.peers())


def roster(*removed: Member, members: tuple[Member, ...] = ()) -> Roster:
    """A roster of n1 that follows this configuration."""
    made = Roster(identity("n1"), Limits(), lambda _: None)
    made.follow((Member("n1"), *members), removed)
    return made


async def test_an_unknown_incarnation_that_was_removed_is_any_of_that_name() -> None:
    gone = roster(Member("n3"))
    with pytest.raises(RemovedFromCluster):
        gone.check(identity("n3"))
    with pytest.raises(Refused) as refused:  # it joined, perhaps by a configuration that is not here yet
        gone.check(identity("n3", bootstrap=""))
    assert not isinstance(refused.value, RemovedFromCluster)
    back = roster(Member("n3"), members=(Member("n3", NOWHERE, "new"),))
    back.check(identity("n3", incarnation="new"))
    with pytest.raises(RemovedFromCluster):
        back.check(identity("n3", incarnation="old"))
    roster(Member("n3"), members=(Member("n3", NOWHERE),)).check(identity("n3", incarnation="any"))
    both = roster(Member("n3"), Member("n3", "", "old"), members=(Member("n3", NOWHERE, "new"),))
    with pytest.raises(RemovedFromCluster):
        both.check(identity("n3", incarnation="old"))


async def test_only_the_removed_and_the_silent_are_forgotten() -> None:
    kept = roster(Member("n4", "", "incarnation-n4"), members=(Member("n2", NOWHERE),))
    kept.follow([Member("n1"), Member("n2", NOWHERE)], [])
    for name in ("n3", "n4"):
        kept.meet(identity(name)).incarnation = f"incarnation-{name}"
    limits = Limits()
    kept.follow([Member("n1"), Member("n2", NOWHERE)], [Member("n4", "", "incarnation-n4")])
    kept.tidy(1000.0)
    kept.peers["n4"].note(1000.0 + limits.farewell)
    kept.tidy(1000.0 + limits.farewell)
    assert sorted(kept.peers) == ["n2", "n3"]
    kept.peers["n3"].note(1030.0)
    kept.tidy(1029.0 + limits.guest_silence)
    assert sorted(kept.peers) == ["n2", "n3"]
    kept.tidy(1030.0 + limits.guest_silence)
    assert sorted(kept.peers) == ["n2"]


async def test_any_series_of_configurations_keeps_the_roster_whole() -> None:
    for seed in range(300):
        chance = Random(seed)
        arrived: list[Peer] = []
        whole = Roster(identity("n1"), Limits(guests=4), arrived.append)
        names = [f"n{number}" for number in range(1, 12)]
        for _ in range(30):
            members = [Member(name, chance.choice(("", NOWHERE)), "a") for name in chance.sample(names, 4)]
            gone = [Member(name, "", chance.choice(("", "a", "b"))) for name in chance.sample(names, 3)]
            whole.follow(members, gone)
            for name in chance.sample(names, 5):
                try:
                    peer = whole.meet(identity(name, incarnation=chance.choice("ab"), address=NOWHERE))
                    peer.note(float(chance.randrange(100)))
                except Refused:
                    continue
            whole.tidy(float(chance.randrange(100)))
            expected = {each.id for each in members} - {"n1"}
            assert {peer.id for peer in whole.peers.values() if peer.member} == expected
            assert "n1" not in whole.peers
            assert set(map(id, whole.peers.values())) <= set(map(id, arrived))


async def test_identify_says_who_is_at_an_address_and_leaves_nothing_behind() -> None:
    async with node("n1", {}) as one, reachable("n4", incarnation="fresh") as four:
        who = await one.identify("n4", four.address)
        assert (who.node_id, who.incarnation, who.address) == ("n4", "fresh", four.address)
        assert one.peers() == four.peers() == {}
        await until(lambda: four.connections == 0)
        assert four.refusals.total == 0
        assert await one.identify("n1", NOWHERE) == one.identity


async def test_identify_does_not_disturb_a_connection_that_is_there() -> None:
    async with two_nodes() as (one, two):
        before = two._peers["n1"].accepted
        assert (await one.identify("n2", two.address)).node_id == "n2"
        await until(lambda: two.connections == 1)
        assert two._peers["n1"].accepted is before


async def test_identify_names_what_is_wrong() -> None:
    other = TcpTransport(identity("n4", cluster_id="bank.7"), {}, ANYWHERE, admit=admit_all, limits=QUICK)
    async with node("n1", {}) as one, node("n3", {}) as three, other:
        for address, words in ((three.address, "n1 dialed 'n4' and reached n3"), (other.address, "cluster bank.7")):
            with pytest.raises(Refused, match=words):
                await one.identify("n4", address)
        with pytest.raises(OSError, match="an address is host:port"):
            await one.identify("n4", "nowhere")
        with pytest.raises(OSError, match=rf"cannot connect to {NOWHERE}: "):
            await one.identify("n4", NOWHERE)


async def test_identify_takes_a_bounded_time() -> None:
    quick = Limits(handshake=0.2)
    async with node("n1", {}, quick) as one, await anyio.create_tcp_listener(local_host="127.0.0.1") as mute:
        address = f"127.0.0.1:{mute.extra(anyio.abc.SocketAttribute.local_port)}"
        with anyio.fail_after(3.0), pytest.raises(OSError, match="n4 did not finish the handshake"):
            await one.identify("n4", address)


async def test_identify_does_not_ask_whether_the_peer_may_be_met() -> None:
    def admit(_: Identity) -> None:
        raise Refused("nobody is met here")

    async with reachable("n4", incarnation="fresh") as four:
        async with TcpTransport(identity("n1"), {}, free_address(), admit=admit, limits=QUICK) as one:
            assert (await one.identify("n4", four.address)).incarnation == "fresh"
