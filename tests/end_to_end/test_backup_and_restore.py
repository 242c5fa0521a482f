"""A backup of a cluster that runs becomes a new cluster, with an id of its own; the old members are no part of it."""

from pathlib import Path

import pytest

from tests.end_to_end.cluster import EACH, Writer, ask, check_present, wait_for_progress, wait_until
from tests.end_to_end.growing import GrowingCluster, listen_of, rafty, wait_for_words


@pytest.mark.parametrize("backend", EACH)
def test_backup_is_restored_as_a_new_cluster_that_refuses_old_members(tmp_path: Path, backend: str) -> None:
    backup = tmp_path / "backup"
    with GrowingCluster(3, tmp_path, backend=backend, log_bytes=20_000) as cluster:
        cluster.wait_for_leader()
        assert ask(cluster.clients[0], [b"SET", b"when", b"before"]) == [b"OK"]
        writers = [Writer(number, cluster.clients) for number in range(2)]
        for writer in writers:
            writer.start()
        wait_for_progress(writers, 400)
        before = [key for writer in writers for key in writer.acknowledged]
        said = cluster.command("backup", str(backup))
        assert f"{backup} holds what was applied at index" in said
        wait_for_progress(writers)
        for writer in writers:
            writer.stop()
        assert ask(cluster.clients[0], [b"SET", b"when", b"after"]) == [b"OK"]
        old_id = cluster.cluster_id()
        cluster.kill()
        refused = cluster.command_of("backup", cluster.clients, str(tmp_path / "none"), code=1)
        assert "there is no backup" in refused
        assert not (tmp_path / "none").exists()
        old = list(cluster.nodes.values())
        cluster.leave_out("n1", "n2", "n3")

        # A new n1 at the address of the old one, out of the backup.
        where = listen_of(old[0])
        said = rafty("restore", str(backup), "--data", str(tmp_path / "new"), "--id", "n1", "--cluster", f"n1={where}")
        assert f"it holds what cluster {old_id} had at index" in said
        restored = cluster.newcomer("n1", tmp_path / "new", listen=where)
        cluster.nodes["n1"] = restored
        restored.start()
        cluster.wait_for_leader()
        new_id = cluster.cluster_id()
        assert new_id != old_id
        assert new_id in said
        check_present(before, restored.client)
        assert ask(restored.client, [b"GET", b"when"]) == [b"before"]

        # An old member comes back: it calls n1, and n1 calls nobody whom it does not know.
        old[1].start()
        wait_for_words(old[1], "n1", old_id, new_id)
        wait_for_words(restored, "n2", old_id, new_id)
        wait_until(lambda: "raft_role" in cluster.info(old[1]), "the old n2 serves")
        assert cluster.info(old[1])["raft_leader"] == "none"
        assert cluster.voters() == {"n1"}
        old[1].kill()

        cluster.grow("n2b", "n3b")
        cluster.wait_for_voters("n1", "n2b", "n3b")
        cluster.check_everywhere(before)
