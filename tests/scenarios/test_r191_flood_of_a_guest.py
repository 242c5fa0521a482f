"""R191: somebody who is no member, and whose handshake was right, floods a node with messages that break the protocol.

Found by attacking a leader: each message cost a step and a line of its log, members waited behind thousands of them,
and the leader was taken for dead. What guests say is taken a portion at a time, and so many messages a second; of what
a node complains about, a line a second is written.
"""

import logging

import anyio
import pytest

from rafty_core.output import ProtocolViolation
from rafty_transports.memory import MemoryNetwork
from rafty_transports.queues import GUEST_SECONDS, Inbox
from rafty_transports.telling import COMPLAINT_SECONDS, Telling
from tests.transports.connections import heartbeat
from tests.transports.nodes import cluster, leader_of

pytestmark = pytest.mark.anyio

PORTION = [heartbeat("x1", "n1")] * 2000


async def test_guests_wait_for_each_other_and_members_for_no_guest() -> None:
    inbox, order = Inbox(1 << 30), list[str]()

    async def put(name: str, guest: bool) -> None:
        await inbox.put(PORTION, 1, guest=guest)
        order.append(name)

    async with anyio.create_task_group() as tasks:
        await put("first guest", True)
        tasks.start_soon(put, "second guest", True)
        await anyio.wait_all_tasks_blocked()
        await put("member", False)
        assert order == ["first guest", "member"]
        began = anyio.current_time()
        assert len(await inbox.take()) == 2 * len(PORTION)
        assert len(await inbox.take()) == len(PORTION)
        assert anyio.current_time() - began > 0.5 * GUEST_SECONDS * len(PORTION)
    assert order[-1] == "second guest"


async def test_a_flood_of_complaints_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async with cluster(MemoryNetwork()) as nodes:
        leader = leader_of(nodes)
        assert leader is not None
        telling, watching = Telling(), 0
        with telling.watch() as notices, caplog.at_level(logging.WARNING):
            for number in range(500):
                telling.tell([ProtocolViolation("x1", f"nonsense {number}")], leader.status())
            telling.end()
            async for _ in notices:
                watching += 1
            telling._complained -= 2 * COMPLAINT_SECONDS
            for number in (1, 2):
                telling.tell([ProtocolViolation("x1", f"later {number}")], leader.status())
            telling._complained -= 2 * COMPLAINT_SECONDS
            telling.tell([ProtocolViolation("x1", "last")], leader.status())
    later, last = (record.getMessage() for record in caplog.records[-2:])
    assert later.endswith("later 1, and 499 more since the last one")
    assert last.endswith("last, and 1 more since the last one")
    assert watching == 500
    assert sum("nonsense" in record.getMessage() for record in caplog.records) == 1
