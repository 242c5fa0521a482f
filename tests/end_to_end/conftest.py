"""Shared by the tests of real nodes: ports of which no other worker of pytest-xdist gives one to a node of its own.

The demo, which is a process of its own, draws from all.
"""

import os
from collections.abc import Iterator

import pytest

from rafty_transports import demo_cluster


@pytest.fixture(autouse=True, scope="session")
def ports_of_this_worker() -> Iterator[None]:
    """Each worker draws from its own part of the ports: a node that was killed keeps what it comes back to."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    first, end = demo_cluster.QUIET_PORTS
    workers = min(workers, (end - first) // 400)  # one is not given again for a while, so there must be enough
    part, number = (end - first) // workers, number % workers
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demo_cluster, "QUIET_PORTS", (first + number * part, first + (number + 1) * part))
        yield
