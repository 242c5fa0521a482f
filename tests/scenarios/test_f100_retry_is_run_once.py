"""Fault F100: a call whose answer was lost is tried again, and is applied twice.

"If the state machine receives a command whose serial number has already been executed, it responds immediately without
re-executing the request" (paper 8): after lost answers, copies out of order, a snapshot, a change of leader.
"""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from rafty_core import Configuration
from rafty_core.sessions import APPLIED, Sessions, encode_call
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.session import Session
from rafty_transports.storage.memory import MemoryStore
from tests.core.session_log import Journal, Log, image
from tests.transports.nodes import IDS, QUICK, Recorder, leader_of, until
from tests.transports.session_kit import Scripted, setting


def test_f100_a_copy_of_a_call_is_answered_and_not_run() -> None:
    log = Log()
    session = log.open()
    call = encode_call(session, 1, 0, b"x")
    assert [log.one(call), log.one(call), *log.apply(b"other", call, call)] == [
        *[APPLIED + b"1:x"] * 2,
        b"2:other",
        *[APPLIED + b"1:x"] * 2,
    ]
    assert log.ran == [b"x", b"other"]


def test_f100_calls_of_a_pipelining_client_that_overtake_each_other_all_run() -> None:
    log = Log()
    session = log.open()
    for sequence in (2, 3, 1, 2, 1, 3):
        assert log.one(encode_call(session, sequence, 0, b"%d" % sequence)).endswith(b"%d" % sequence)
    assert log.ran == [b"2", b"3", b"1"]


def test_f100_a_copy_that_arrives_behind_a_snapshot_is_not_run() -> None:
    log = Log()
    session = log.open()
    call = encode_call(session, 1, 0, b"x")
    answer = log.one(call)
    restored = Sessions(Journal())
    restored.restore(log.last, io.BytesIO(image(log.machine)))
    assert list(restored.apply(log.last + 1, [call])) == [answer]
    assert restored.apply(log.last + 2, [encode_call(session, 2, 1, b"y")]) == [APPLIED + b"2:y"]


@pytest.mark.anyio
async def test_f100_a_session_tries_again_under_the_same_number() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "unanswered", "unanswered", "lost")
        with anyio.fail_after(10):
            async with Session(way) as session:
                assert await session.propose(b"x") == b"did x"
        assert on.applied == [b"x"]


@pytest.mark.anyio
async def test_f100_a_later_answer_does_not_acknowledge_an_earlier_call() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "unanswered")
        with anyio.fail_after(10):
            async with Session(way) as session, anyio.create_task_group() as tasks:
                tasks.start_soon(call, session, b"first")
                await until(lambda: on.applied == [b"first"])
                assert await session.propose(b"second") == b"did second"
        assert on.applied == [b"first", b"second"]


@pytest.mark.anyio
async def test_f100_calls_go_on_through_a_change_of_leader() -> None:
    network = MemoryNetwork()
    async with sessions_cluster(network) as (nodes, recorders):
        old = leader_of(nodes)
        assert old is not None
        follower = next(node for node in nodes if node is not old)
        with anyio.fail_after(20):
            async with follower.session() as session, anyio.create_task_group() as tasks:
                for number in range(20):
                    tasks.start_soon(call, session, b"%d" % number)
                await until(lambda: len(recorders[0].applied) > 0)
                for node in nodes:
                    if node is not old:
                        network.block(old.identity.node_id, node.identity.node_id)
                for number in range(20, 40):
                    tasks.start_soon(call, session, b"%d" % number)
                others = [node for node in nodes if node is not old]
                await until(lambda: leader_of(others) is not None)
            network.heal()
            await until(lambda: all(len(recorder.applied) == 40 for recorder in recorders))
    assert recorders[0].applied == recorders[1].applied == recorders[2].applied
    assert len(set(recorders[0].applied)) == 40


async def call(session: Session, command: bytes) -> None:
    """One call, and its own result."""
    assert await session.propose(command) == b"did " + command


@asynccontextmanager
async def sessions_cluster(network: MemoryNetwork) -> AsyncIterator[tuple[Sequence[Node], Sequence[Recorder]]]:
    """Three nodes whose machines have sessions, one of them leading."""
    nodes, recorders = list[Node](), [Recorder() for _ in IDS]
    async with AsyncExitStack() as stack:
        for node_id, recorder in zip(IDS, recorders, strict=True):
            store = MemoryStore(node_id, Configuration.of(*IDS))
            node = Node(store, network.transport(node_id), Sessions(recorder), config=QUICK)
            nodes.append(await stack.enter_async_context(node))
        await until(lambda: leader_of(nodes) is not None and all(node.status().leader for node in nodes))
        yield nodes, recorders
