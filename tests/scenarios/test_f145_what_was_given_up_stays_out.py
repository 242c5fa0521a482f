"""A cluster that goes on from one survivor has another id, so that those given up for lost are strangers to it.

A, B, C; B and C are lost, and A is recovered alone. Then B and C come back: they are two of three, and elect a leader
of the old cluster. Neither half may take the other for its own.
"""

from pathlib import Path

import pytest

from rafty_core import Batch, Configuration, Member, Write
from rafty_transports.interfaces import Refused
from rafty_transports.storage import SqliteStore
from rafty_transports.storage.rebirth import recover

OLD = Configuration.of("a", "b", "c")


def test_f145_survivor_and_lost_members_refuse_each_other(tmp_path: Path) -> None:
    survivor = SqliteStore.open(tmp_path / "a", node_id="a", initial=OLD)
    survivor.write([Write(1, 3, None, [Batch(1, 3, [b"\x01kept"])])])
    before = survivor.identity
    survivor.close()
    recover(tmp_path / "a", cluster="rafty", members=Configuration(voters=(Member("a"),)))
    again = SqliteStore.open(tmp_path / "a", node_id="a")
    lost = SqliteStore.open(tmp_path / "b", node_id="b", initial=OLD)
    try:
        assert again.identity.cluster_id != before.cluster_id
        assert again.load().batches[-1].entries[-1] == b"\x01kept"
        with pytest.raises(Refused, match="cluster"):
            again.meet(lost.identity)
        with pytest.raises(Refused, match="cluster"):
            lost.meet(again.identity)
    finally:
        again.close()
        lost.close()
