"""R211: a client that is shown what its node has sends a read and, in the same moment, a call of a session.

Found by reading: reads of that kind go ahead of writes, and need nobody; only before calls of sessions they did not.
Where there was no leader the read was answered with an error, and where there was one it waited for a majority.
"""

from collections.abc import Sequence

import pytest

from rafty_core.outcomes import NotLeader, ProposalError
from rafty_transports import kv
from tests.transports.service_kit import OneReplica, connected, encode, serving

pytestmark = pytest.mark.anyio

OPEN = encode(b"RAFTY", b"SESSION", b"OPEN")


class Leaderless(OneReplica):
    """A node that has a store, and nobody who leads."""

    async def propose_many(self, commands: Sequence[bytes]) -> list[bytes | ProposalError]:
        self.batches.append(len(commands))
        return [NotLeader("no leader")] * len(commands)


async def test_r211_the_read_needs_nobody() -> None:
    node = Leaderless()
    node.machine.apply(1, [kv.encode_set(b"a", b"1")])
    async with serving(node) as server, connected(server) as client:
        await client.ask(encode(b"RAFTY", b"READ", b"STALE"), b"+OK\r\n")
        await client.ask(encode(b"GET", b"a") + OPEN, b"$1\r\n1\r\n-NOTLEADER no leader\r\n")
        assert (node.reads, node.batches) == ([("stale", 0)], [1])
