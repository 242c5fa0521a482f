"""The kit of transports: ours pass, and each that is wrong in one way is told which."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Self

import anyio
import pytest

from rafty_core.configuration import Member
from rafty_transports.interfaces import Identity, Transport
from rafty_transports.links import Limits
from rafty_transports.memory import MemoryNetwork, MemoryTransport
from rafty_transports.tcp import TcpTransport
from rafty_transports.testing import ConformanceError, check_transport
from rafty_transports.testing.transport import OF_MEMBERS, RULES
from tests.transports import broken_transports as wrong
from tests.transports.connections import NOWHERE, admit_all, free_address, identity

pytestmark = pytest.mark.anyio

LIMITS = Limits(keep_alive=0.05, idle=2.0, backoff_first=0.01, backoff_last=0.05, farewell=0.3)


def tcp_network(kind: type[TcpTransport] = TcpTransport) -> Callable[[str], TcpTransport]:
    addresses = {node_id: free_address() for node_id in ("n1", "n2", "n3")}

    def make(node_id: str) -> TcpTransport:
        peers = {other: address for other, address in addresses.items() if other != node_id}
        mine = identity(node_id, address=addresses[node_id])
        return kind(mine, peers, addresses[node_id], admit=admit_all, limits=LIMITS)

    return make


def address_of(transport: Any) -> str:
    address: str = transport.address
    return address


async def test_memory_transport() -> None:
    tried = await check_transport(lambda: MemoryNetwork().transport, ordered=True)
    assert {*tried} == {rule.name for rule in RULES} - OF_MEMBERS


FAULTS: list[tuple[Any, str, str]] = [
    (wrong.AsyncSend, "never_waits", "send() returned <coroutine .*; it must be a plain function that returns None"),
    (wrong.RaisesForUnknown, "never_waits", r"send() on n1 for a message to n9 raised KeyError('n9')"),
    (wrong.BlocksInSend, "never_waits", "send() to n3 held up the event loop for more than 1 s"),
    (wrong.SlowSend, "never_waits", "send() to n9 held up the event loop for more than 1 s"),
    (wrong.LosesAKind, "every_kind_travels", "a SnapshotChunk from n1 to n2 did not arrive within 0.5 s, though"),
    (wrong.ChangesAField, "every_kind_travels", "n2 got what nobody sent: Heartbeat("),
    (wrong.LosesTheSender, "every_kind_travels", "n2 got what nobody sent: RequestVote(sender='n3'"),
    (wrong.TellsEverybody, "every_kind_travels", "n3 got a message that is not to n3: RequestVote(sender='n1'"),
    (wrong.HandsOutTheObject, "no_object_is_shared", "n2 got the very object that n1 sent, a RequestVote, not a copy"),
    (wrong.SharesTheBatch, "no_object_is_shared", "n2 got a AppendEntries whose `batch` is the sender's own object"),
    (wrong.Forges, "sender_is_true", "n1 sent a message with the sender n3, and n2 got it: [Heartbeat(sender='n3'"),
    (wrong.Reorders, "order_is_kept", "n2 got message 49 behind message 50 of the same kind, though order was"),
    (wrong.DropsTheOldest, "newest_is_dropped", "of a burst that did not fit the oldest message was dropped"),
    (
        wrong.SaysNothingOfUnknown,
        "unreachable_is_reported",
        "to n9, a node that does not exist, and no PeerUnreachable",
    ),
    (wrong.SaysNothingOfSlow, "unreachable_is_reported", "to n3, a node that is away, and no PeerUnreachable('n3')"),
    (
        wrong.Grows,
        "memory_is_bounded",
        "n1 sent 32 MiB to n2, which does not read, and .* MiB were held in memory; the bound is 16 MiB",
    ),
    (wrong.OneForAll, "slow_peer_holds_up_nobody", "a Heartbeat from n1 to n3 did not arrive within 0.5 s"),
    (wrong.NeedsItsPeers, "nobody_is_needed", "opening the transport of n1 did not end within 0.5 s"),
    (wrong.ForgetsRestarted, "restarted_peer_is_reached", "a Heartbeat from n1 to n2 did not arrive within 0.5 s"),
    (wrong.NeverEnds, "iteration_ends", "the iteration did not end when the transport closed"),
    (wrong.EndsWithAnError, "iteration_ends", "the iteration raised ConnectionError('the connection is closed') when"),
    (wrong.TakesCancellation, "cancelled_iteration_is_clean", "the iteration took a cancellation for its own"),
    (wrong.LeavesInAGroup, "body_error_leaves_as_itself", "an error of the body left `async with` as ExceptionGroup"),
    (wrong.SwallowsErrors, "body_error_leaves_as_itself", "an error of the body was swallowed by `async with`"),
    (wrong.NeverLeaves, "leaving_is_quick", "leaving the transport of n1 did not end within 0.5 s"),
]


BACKENDS = ("asyncio", "trio")
ON_EACH = [
    pytest.param(
        kind,
        rule,
        words,
        backend,
        marks=pytest.mark.slow if (number + turn) % 2 else (),
        id=f"{kind.__name__}-{rule}-{backend}",
    )
    for number, (kind, rule, words) in enumerate(FAULTS)
    for turn, backend in enumerate(BACKENDS)
]
"""Each fault on one event loop or the other; on both in the long version."""


@pytest.mark.parametrize(("kind", "rule", "words", "backend"), ON_EACH)
def test_each_fault_is_named(kind: Any, rule: str, words: str, backend: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        anyio.run(partial(check, wrong.broken(kind), only=[rule]), backend=backend)
    assert caught.value.rule == rule
    pattern = re.escape(words).replace(r"\.\*", ".*")
    assert re.search(pattern, caught.value.fault), caught.value.fault
    assert str(caught.value) == f"this transport breaks the rule `{rule}`: {caught.value.fault}"


async def check(network: Callable[[], Callable[[str], Transport]], **options: Any) -> None:
    """The kit with little patience."""
    await check_transport(network, ordered=True, most_bytes=16 << 20, patience=0.5, leave_within=0.5, **options)


class NamesItself(TcpTransport):
    async def identify(self, node_id: str, address: str) -> Identity:
        return self.identity


class BelievesTheAsker(TcpTransport):
    async def identify(self, node_id: str, address: str) -> Identity:
        return replace(self.identity, node_id=node_id, incarnation=f"incarnation-{node_id}")


class GoesWhereNobodyIs(TcpTransport):
    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        super().set_members([replace(member, address=NOWHERE) for member in members], removed)


class TellsNobody(TcpTransport):
    def set_members(self, members: Sequence[Member], removed: Iterable[Member]) -> None:
        super().set_members(members, ())


FAULTS_OF_MEMBERS: list[tuple[type[TcpTransport], str, str]] = [
    (NamesItself, "identify_tells_who_is_there", "identify() of n2's address returned the identity of 'n1'"),
    (BelievesTheAsker, "identify_refuses", "but n9 is not there"),
    (GoesWhereNobodyIs, "members_are_followed", "a Heartbeat from n1 to n2 did not arrive within 1 s"),
    (TellsNobody, "removed_member_is_told", "n3 was removed, and its iteration goes on as if it had not been told"),
]


@pytest.mark.parametrize(("kind", "rule", "words"), FAULTS_OF_MEMBERS, ids=[rule for _, rule, _ in FAULTS_OF_MEMBERS])
async def test_each_fault_of_members_is_named(kind: type[TcpTransport], rule: str, words: str) -> None:
    with pytest.raises(ConformanceError, match=re.escape(words)) as caught:
        await check_transport(lambda: tcp_network(kind), address=address_of, patience=1.0, only=[rule])
    assert caught.value.rule == rule


async def test_each_rule_has_a_transport_that_breaks_it() -> None:
    broken = {rule for _, rule, _ in (*FAULTS, *FAULTS_OF_MEMBERS)} | {"nothing_is_left"}
    assert broken == {rule.name for rule in RULES}


async def test_the_transport_that_the_faults_were_made_of_is_right() -> None:
    await check(wrong.broken(wrong.Right))


@pytest.mark.parametrize(("kind", "words"), [(wrong.LosesTheSender, "every_kind_travels"), (wrong.Grows, "memory")])
async def test_the_whole_kit_finds_a_fault_by_itself(kind: Any, words: str) -> None:
    with pytest.raises(ConformanceError, match=words):
        await check(wrong.broken(kind))


async def test_what_is_left_behind_is_named() -> None:
    async with anyio.create_task_group() as tasks:

        class LeaksATask(wrong.Wrapped):
            async def __aenter__(self) -> Self:
                tasks.start_soon(anyio.sleep_forever, name="keeps the connection alive")
                return await super().__aenter__()

        kinds = (
            (LeaksATask, "left behind: task keeps the connection alive"),
            (wrong.LeaksAThread, "left behind: thread the leak, thread the leak"),
            (wrong.LeaksASocket, r"left behind: socket socket:\["),
        )
        try:
            for kind, words in kinds:
                with pytest.raises(ConformanceError, match=words):
                    await check(wrong.broken(kind), only=["nothing_is_left"])
        finally:
            tasks.cancel_scope.cancel()
            while wrong.LEFT:
                wrong.LEFT.pop()()


async def test_names_of_rules_that_are_none() -> None:
    with pytest.raises(ValueError, match="there is no rule everything; choose among body_error"):
        await check_transport(lambda: MemoryNetwork().transport, only=["everything"])


async def test_an_error_while_a_transport_is_made_or_opened_is_a_fault() -> None:
    def network() -> Callable[[str], MemoryTransport]:
        taken = MemoryNetwork()
        return lambda node_id: taken.transport("two words" if node_id == "n2" else node_id)

    with pytest.raises(ConformanceError, match="making the transport of n2 raised ValueError"):
        await check(network)
