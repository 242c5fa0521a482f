"""`rafty serve` may open as many files as its hard limit allows: each client and each peer is one."""

import os
import sys
from pathlib import Path

import pytest

from rafty_transports.demo_cluster import LocalCluster
from rafty_transports.serve import MODEST_FILES, raise_file_limit
from tests.end_to_end.cluster import wait_until

resource = pytest.importorskip("resource")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of another process")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_node_has_the_limit_of_open_files_that_it_may_have(tmp_path: Path, backend: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with LocalCluster(1, tmp_path, backends=(backend,), parent=os.getpid()) as cluster:  # which inherits the limits
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
        try:
            cluster.start()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        (node,) = cluster.nodes.values()
        wait_until(lambda: "n1 leads" in node.tail(), "it leads")
        assert node.process is not None
        assert resource.prlimit(node.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)


@pytest.mark.parametrize(
    ("soft", "hard", "granted", "after"),
    [
        (256, 4096, 4096, 4096),
        (4096, 4096, 4096, 4096),
        (256, 1 << 62, MODEST_FILES, MODEST_FILES),  # macOS: "unlimited", which is then refused
        (MODEST_FILES + 1, 1 << 62, MODEST_FILES, MODEST_FILES + 1),
        (256, 1 << 62, 256, 256),
    ],
)
def test_what_the_system_refuses_is_not_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, granted: int, after: int
) -> None:
    limits = [(soft, hard)]

    def setrlimit(kind: int, wanted: tuple[int, int]) -> None:
        if wanted[0] > granted:
            raise ValueError("current limit exceeds maximum limit")
        limits.append(wanted)

    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    raise_file_limit()
    assert limits[-1] == (after, hard)


def test_a_platform_without_limits_has_none_to_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    raise_file_limit()
