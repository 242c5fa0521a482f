"""The handshake, sentence by sentence: what is wrong in one is refused by whoever reads it, with a reason, and soon."""

import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from zlib import crc32

import anyio
import msgpack
import pytest
from anyio.abc import SocketAttribute, SocketStream

from rafty_transports.codec import VERSION
from rafty_transports.handshake import (
    REMOVED,
    TEXT_LIMIT,
    HandshakeFailed,
    OnlyAsked,
    RefusedPeer,
    answer,
    dial,
    identify,
    refuse,
)
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from tests.transports.connections import admission, admit_all, closed_by_peer, identity, until

pytestmark = pytest.mark.anyio

HELLO, WELCOME, BEGIN, REFUSAL, FAREWELL = 1, 2, 3, 4, 5
ONE, TWO = identity("n1", address="one:1"), identity("n2", address="two:2")


def sentence(fields: Any) -> bytes:
    """What is said in a handshake, whatever it is."""
    body: bytes = msgpack.packb(fields)
    return struct.pack(">4sHI", b"rfty", len(body), crc32(body)) + body


def hello(**changed: Any) -> list[Any]:
    """The Hello of n1 to n2, with some of its fields changed."""
    fields = {
        "kind": HELLO,
        "lowest": VERSION,
        "highest": VERSION,
        "group": 0,
        "cluster_id": ONE.cluster_id,
        "node_id": ONE.node_id,
        "incarnation": ONE.incarnation,
        "boot": ONE.boot,
        "bootstrap": ONE.bootstrap,
        "meant": "n2",
        "address": ONE.address,
    }
    return list({**fields, **changed}.values())


def welcome(**changed: Any) -> list[Any]:
    """The Welcome of n2, with some of its fields changed."""
    fields = {
        "kind": WELCOME,
        "version": VERSION,
        "cluster_id": TWO.cluster_id,
        "node_id": TWO.node_id,
        "incarnation": TWO.incarnation,
        "boot": TWO.boot,
        "bootstrap": TWO.bootstrap,
        "address": TWO.address,
    }
    return list({**fields, **changed}.values())


@asynccontextmanager
async def both_ends() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    """A connection: the end that dialed, and the other."""
    accepted: list[SocketStream] = []
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def keep(stream: SocketStream) -> None:
        accepted.append(stream)
        await anyio.sleep_forever()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, keep)
        near = await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port))
        await until(lambda: accepted)
        async with near, accepted[0] as far:
            yield near, far
        tasks.cancel_scope.cancel()


async def outcome(side: Awaitable[Any]) -> Any:
    """What this returns or raises."""
    try:
        with anyio.fail_after(8):
            return await side
    except Exception as error:
        return error


async def answered(said: bytes, **options: Any) -> Any:
    """What comes of it when n2 is told this and nothing more, and answers."""
    async with both_ends() as (near, far):
        await near.send(said)
        await near.send_eof()
        return await outcome(answer(far, TWO, admit_all, admission(), **options))


async def dialed(said: bytes, function: Callable[..., Awaitable[Any]] = dial) -> Any:
    """What comes of it when n1 dials n2 and is told this and nothing more."""
    async with both_ends() as (near, far):
        await far.send(said)
        await far.send_eof()
        return await outcome(function(near, ONE, "n2", *([admission()] if function is dial else [])))


async def test_who_keeps_to_the_handshake_is_met() -> None:
    theirs, rest = await answered(sentence(hello()) + sentence([BEGIN]) + b"the rest")
    assert (theirs, rest) == (ONE, b"the rest")
    assert await dialed(sentence(welcome())) == TWO
    assert await dialed(sentence(welcome()), identify) == TWO
    assert await dialed(sentence([*welcome(), "a field of a later version"])) == TWO


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        (hello(kind=WELCOME), "protocol", "no Hello"),
        (hello()[:9], "protocol", "no Hello"),
        (hello(lowest="1"), "protocol", "no Hello"),
        (hello(highest=None), "protocol", "no Hello"),
        (hello(group=0.0), "protocol", "no Hello"),
        (hello(lowest=VERSION + 1, highest=VERSION + 1), "version", "no common protocol version"),
        (hello(lowest=VERSION - 1, highest=VERSION - 1), "version", "no common protocol version"),
        (hello(group=1), "version", "there is only group 0"),
        (hello(cluster_id="bank.7"), "cluster", "cluster bank.7"),
        (hello(meant="n3"), "name", "dialed 'n3' and reached n2"),
        (hello(meant=None), "name", "an address is wrong"),
        (hello(node_id="n 1"), "name", "no legal name"),
        (hello(node_id=7), "name", "no legal name"),
        (hello(incarnation=7), "protocol", "that is no text"),
        (hello(incarnation="x" * (TEXT_LIMIT + 1)), "protocol", "that is no text"),
        (hello(cluster_id=None), "protocol", "that is no text"),
        (hello(boot=-1), "protocol", "a boot that is no number"),
        (hello(boot=2**63), "protocol", "a boot that is no number"),
        (hello(boot=True), "protocol", "a boot that is no number"),
        (hello(boot=1.0), "protocol", "a boot that is no number"),
        ([], "protocol", "no list that begins with a number"),
        (7, "protocol", "no list that begins with a number"),
        ("text", "protocol", "no list that begins with a number"),
        ([True], "protocol", "no list that begins with a number"),
        ({1: 2}, "protocol", "this is no list"),
        ([1] * 33, "protocol", "this is no list"),
        ([HELLO, msgpack.Timestamp(5)], "protocol", "this is no list"),
        ([HELLO, b"bytes"], "protocol", "this is no list"),
    ],
)
async def test_a_hello_that_is_wrong_is_refused(said: Any, reason: str, words: str) -> None:
    refused = await answered(sentence(said) + sentence([BEGIN]))
    assert isinstance(refused, RefusedPeer), repr(refused)
    assert words in str(refused)
    assert refused.reason == reason
    assert len(str(refused)) < 2 * TEXT_LIMIT


@pytest.mark.parametrize("said", [b"\x16\x03\x01\x02\x00\x01", b"\x15\x03\x03\x00\x02\x02"])
async def test_who_speaks_tls_to_plain_text_is_told_so(said: bytes) -> None:
    refused = await answered(said)
    assert isinstance(refused, RefusedPeer)
    assert (refused.reason, "speaks TLS, and the other side plain text" in str(refused)) == ("tls", True)
    refused = await dialed(said)
    assert (refused.reason, "speaks TLS, and the other side plain text" in str(refused)) == ("tls", True)


async def test_a_body_that_no_library_can_read_is_refused() -> None:
    for body in (
        b"\xc1",
        b"\x92\x01",
        b"\x92\x01\xa2\xff\xfe",
        b"\x91" * 4096,
        b"\xdd\xff\xff\xff\xff",
        b"\x91\x01\x00",
    ):
        refused = await answered(struct.pack(">4sHI", b"rfty", len(body), crc32(body)) + body)
        assert isinstance(refused, RefusedPeer), repr(refused)
        assert refused.reason == "protocol"


@pytest.mark.parametrize("function", [dial, identify])
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (welcome(kind=BEGIN), "neither welcomes nor refuses"),
        (welcome()[:6], "neither welcomes nor refuses"),
        (welcome(version=VERSION + 1), "chose protocol version"),
        (welcome(version=None), "chose protocol version"),
        (welcome(cluster_id="bank.7"), "cluster bank.7"),
        (welcome(node_id="n3"), "n1 dialed n2 and reached n3"),
        (welcome(node_id="n1"), "n1 dialed n2 and reached n1"),
        (welcome(boot=-1), "a boot that is no number"),
        (welcome(address=7), "that is no text"),
    ],
)
async def test_a_welcome_that_is_wrong_is_refused(
    said: list[Any], words: str, function: Callable[..., Awaitable[Any]]
) -> None:
    refused = await dialed(sentence(said), function)
    assert isinstance(refused, Refused), repr(refused)
    assert words in str(refused)


@pytest.mark.parametrize(
    ("begin", "kind", "reason"),
    [
        ([WELCOME], HandshakeFailed, "protocol"),
        ([9], HandshakeFailed, "protocol"),
        ([FAREWELL], OnlyAsked, "silent"),
        ([REFUSAL, "not you"], RefusedPeer, "other"),
        ([REFUSAL, "you are gone", REMOVED], RemovedFromCluster, "removed"),
    ],
)
async def test_who_does_not_begin_is_not_met(begin: list[Any], kind: type[Exception], reason: str) -> None:
    ended = await answered(sentence(hello()) + sentence(begin))
    assert type(ended) is kind
    assert isinstance(ended, HandshakeFailed | Refused)
    assert ended.reason == reason


@pytest.mark.parametrize("said", [[REFUSAL], [REFUSAL, 7], [REFUSAL, "x" * 3000], [REFUSAL, None, REMOVED]])
async def test_a_reason_that_is_none_or_too_long_is_cut(said: list[Any]) -> None:
    refused = await dialed(sentence(said))
    assert isinstance(refused, RemovedFromCluster if REMOVED in said else Refused)
    assert 0 < len(str(refused)) <= TEXT_LIMIT


async def test_what_this_side_says_is_never_longer_than_the_other_reads() -> None:
    long = replace(ONE, bootstrap="n" * 5000, address="a" * 5000)
    for mine in (long, replace(long, bootstrap="\ud800" * 10, address="")):
        async with both_ends() as (near, far), anyio.create_task_group() as tasks:
            met: list[Identity] = []

            async def dial_with(mine: Identity = mine, near: SocketStream = near, met: list[Identity] = met) -> None:
                met.append(await dial(near, mine, "n2", admission()))

            tasks.start_soon(dial_with)
            theirs, _ = await answer(far, replace(mine, node_id="n2"), admit_all, admission())
            await until(lambda met=met: met)  # type: ignore[misc]
            for identity_of in (theirs, met[0]):
                assert len(identity_of.bootstrap) == min(len(mine.bootstrap), TEXT_LIMIT)
                assert len(identity_of.address) == min(len(mine.address), TEXT_LIMIT)
    async with both_ends() as (near, far):
        await refuse_and_close(far, Refused("x" * 5000))
        assert len(await closed_by_peer(near)) < TEXT_LIMIT + 100


async def refuse_and_close(stream: SocketStream, refusal: Refused) -> None:
    """As whoever accepted it does."""
    await refuse(stream, refusal)
    await stream.aclose()


async def test_a_silent_side_is_given_up() -> None:
    async with both_ends() as (near, far), both_ends() as (other, _):
        for waiting in (
            answer(far, TWO, admit_all, admission(), seconds=0.05),
            dial(near, ONE, "n2", admission(), seconds=0.05),
            identify(other, ONE, "n2", seconds=0.05),
        ):
            ended = await outcome(waiting)
            assert isinstance(ended, HandshakeFailed)
            assert "within 0.05 s" in str(ended)
            assert ended.reason == "silent"


async def test_who_was_refused_and_stays_is_left_in_a_moment_and_not_before() -> None:
    async with both_ends() as (_, far):
        began = anyio.current_time()
        with anyio.fail_after(5):
            await refuse(far, Refused("not you"))
        assert 0.4 < anyio.current_time() - began < 4.0  # what is unread would have a close reset the connection


async def test_of_who_was_refused_and_goes_on_talking_little_is_read() -> None:
    size, left = 300_000, 0
    async with both_ends() as (near, far), anyio.create_task_group() as tasks:

        async def talk() -> None:
            await near.send(bytes(size))
            await near.send_eof()

        tasks.start_soon(talk)
        await refuse(far, Refused("not you"))
        with anyio.fail_after(5), suppress(anyio.EndOfStream):
            while True:
                left += len(await far.receive())
    assert left >= size - 64 * 1024


async def test_a_connection_that_breaks_in_the_middle_is_a_handshake_that_failed() -> None:
    async with both_ends() as (near, far):
        await far.aclose()
        assert isinstance(await outcome(dial(near, ONE, "n2", admission())), HandshakeFailed)
    async with both_ends() as (near, far):
        await far.aclose()
        with pytest.raises(anyio.BrokenResourceError):
            while True:
                await near.send(b"x")
        assert isinstance(await outcome(dial(near, ONE, "n2", admission())), HandshakeFailed)
    for cut in (2, 8, 30):
        ended = await answered(sentence(hello())[:cut])
        assert isinstance(ended, HandshakeFailed)
        assert "ended the connection" in str(ended)
