"""R210: many clients ask for RAFTY STATUS at the same time.

Found by reading: the digest of the store was computed for each of them, in a thread of its own and on a copy of its
own. Forty that asked together had forty threads at work, all on the same state, while the node had to lead.
"""

import threading
import time
from collections.abc import Iterable

import anyio
import pytest

from rafty_transports import kv
from tests.transports.service_kit import OneReplica, connected, encode, serving

pytestmark = pytest.mark.anyio


async def test_r210_the_digest_of_a_state_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    real, threads = kv.digest_of, set[int]()

    def slowly(items: Iterable[tuple[bytes, bytes]]) -> str:
        threads.add(threading.get_ident())
        time.sleep(0.2)
        return real(items)

    async def ask() -> None:
        async with connected(server) as client:
            texts.append(await client.bulk(encode(b"RAFTY", b"STATUS")))

    monkeypatch.setattr(kv, "digest_of", slowly)
    texts: list[str] = []
    async with serving(OneReplica()) as server:
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
    assert len(threads) == 1
    assert {line for text in texts for line in text.splitlines() if line.startswith("kv_digest:")} == {
        f"kv_digest:{real([])}"
    }
