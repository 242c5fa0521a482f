"""Rules 6: changes of members, one at a time, on nodes that talk to each other."""

from typing import Any

import pytest

from rafty_core import Change, ChangeMembership, ChangeRefused, Member, MembershipAnswer, NotLeader, Snapshot
from rafty_core.changes import Kind
from tests.acceptance import data
from tests.acceptance.bench import Bench
from tests.acceptance.cluster import Cluster, configuration, name_of
from tests.acceptance.data import Json

ONE_AT_A_TIME = data.table("conf_change_one_at_a_time")

ADD_3 = ChangeMembership("change", [Change("add_learner", Member("n3"))])
ADD_4 = ChangeMembership("another", [Change("add_learner", Member("n4"))])


def reason(happened: Any) -> str | None:
    """Why the one change that was answered is refused; None if there was no answer."""
    found = [answer for answer in happened.answers if isinstance(answer, MembershipAnswer)]
    if not found:
        return None
    (answer,) = found
    assert isinstance(answer.error, ChangeRefused)
    return answer.error.reason


def test_rule_6_01_one_change_at_a_time() -> None:
    """A second change is refused while the first is pending, which stays so; a refused change leaves no entry.

    Even the first has to wait here until the leader's no-op is committed (rule 6-02): then what the table says of both
    holds.
    """
    first, second = ONE_AT_A_TIME.get("steps") or [{}, {}]
    bench = Bench(voters=[1, 2])
    bench.lead()
    assert reason(bench.step(ADD_3)) == "not_ready"
    bench.acknowledge(2, 1)
    assert reason(bench.step(ADD_3)) is None
    pending = first.get("then", {"last_index": 2, "pending_conf_index": 2})
    assert (bench.status.last_index, bench.status.configuration_index) == tuple(pending.values())
    assert reason(bench.step(ADD_4)) == "in_progress"
    assert bench.status.configuration_index == second.get("then", {}).get("pending_conf_index", 2)
    assert bench.status.last_index == pending["last_index"]
    bench.acknowledge(2, 2)
    assert reason(bench.step(ADD_4)) is None


@pytest.mark.parametrize("row", data.rows("new_leader_pending_config"), ids=str)
def test_rule_6_02_new_leader_accepts_no_change_at_first(row: Json) -> None:
    """Not before the entries of earlier leaders are applied: its own entry behind them must be committed."""
    bench = Bench(voters=[1, 2], log=[1] if row["has_uncommitted_entry"] else [])
    bench.lead()
    bench.acknowledge(2, row["pending_until"])
    assert reason(bench.step(ADD_3)) == "not_ready"
    bench.all_acknowledge()
    assert bench.status.applied_index > row["pending_until"]
    assert reason(bench.step(ADD_3)) is None


# --------------------------------------------------------------------- stories


def cluster_of(voters: list[int], learners: list[int], joiners: list[int], leader: int = 1) -> Cluster:
    """A cluster with this leader; joiners are there, with nothing, and are no members yet."""
    cluster = Cluster()
    for number in voters + learners:
        cluster.add(number, Snapshot(10, 1, configuration(voters, learners)))
    for number in joiners:
        cluster.add(number, Snapshot())
    cluster.campaign(leader)
    cluster.stabilize()
    return cluster


def leader_of(cluster: Cluster) -> int:
    """The number of the node that leads the newest term."""
    leaders = [number for number, node in cluster.nodes.items() if node.status.role == "leader"]
    return max(leaders, key=lambda number: cluster.nodes[number].status.term)


def made(cluster: Cluster, *changes: tuple[Kind, int]) -> Any:
    """Have the leader make this change; what became of it."""
    node = cluster.nodes[leader_of(cluster)]
    node.answers.clear()
    node.step(ChangeMembership("change", cluster.changes_of(changes)))
    for _ in range(3):
        cluster.stabilize()
        cluster.tick(leader_of(cluster))  # who has left is told, and who was slow is asked again
    cluster.stabilize()
    (answer,) = (each for each in node.answers if isinstance(each, MembershipAnswer))
    return answer


def members(cluster: Cluster, *numbers: int) -> tuple[list[str], list[str]]:
    """Voters and learners, on which these nodes agree."""
    (now,) = {cluster.nodes[number].status.configuration for number in numbers}
    assert now.at_rest
    return list(now.voter_ids), [member.id for member in now.learners]


def test_rule_6_03_added_node_is_a_voter() -> None:
    """It has the log, and its vote counts: without it nothing is committed any more."""
    cluster = cluster_of([1], [], [2])
    assert made(cluster, ("add_voter", 2)).error is None
    assert members(cluster, 1, 2) == (["n1", "n2"], [])
    cluster.propose(1, b"data")
    cluster.stabilize([1])
    assert cluster.nodes[1].status.commit_index < cluster.nodes[1].status.last_index
    cluster.stabilize()
    assert cluster.nodes[2].content == b"data"


def test_rule_6_04_roles_follow_each_change() -> None:
    """A learner is added, promoted, demotes itself while it leads, and is promoted again; the terms go on."""
    cluster = cluster_of([1, 3], [], [2])
    assert made(cluster, ("add_learner", 2)).error is None
    assert members(cluster, 1, 2, 3) == (["n1", "n3"], ["n2"])
    assert made(cluster, ("add_voter", 2)).error is None
    assert members(cluster, 1, 2, 3) == (["n1", "n2", "n3"], [])
    assert made(cluster, ("add_learner", 1)).error is None
    assert members(cluster, 1, 2, 3) == (["n2", "n3"], ["n1"])
    assert cluster.nodes[1].status.role == "follower"
    assert made(cluster, ("add_voter", 1)).error is None
    assert members(cluster, 1, 2, 3) == (["n1", "n2", "n3"], [])


@pytest.mark.parametrize("learner", [False, True])
def test_rule_6_06_last_voter_cannot_be_removed(learner: bool) -> None:
    """Node 2, voter or learner, goes; node 1 cannot."""
    cluster = cluster_of([1] if learner else [1, 2], [2] if learner else [], [])
    assert made(cluster, ("remove", 2)).error is None
    assert members(cluster, 1) == (["n1"], [])
    error = made(cluster, ("remove", 1)).error
    assert isinstance(error, ChangeRefused)
    assert error.reason == "no_voters_left"
    assert members(cluster, 1) == (["n1"], [])


def test_rule_6_07_adding_a_member_changes_nothing() -> None:
    """Voter or learner: answered at once, without an entry. In another life it is refused, and so is any change by
    a node that does not lead."""
    cluster = cluster_of([1, 2], [3], [])
    last = cluster.nodes[1].status.last_index
    known: list[tuple[Kind, int]] = [("add_voter", 2), ("add_voter", 1), ("add_learner", 3)]
    for each in known:
        answer = made(cluster, each)
        assert (answer.error, answer.configuration) == (None, configuration([1, 2], [3]))
    assert cluster.nodes[1].status.last_index == last
    bench = Bench(stable=cluster.nodes[1].disk.load())
    (answer,) = bench.step(ADD_4).answers
    assert isinstance(answer.error, NotLeader)


def test_rule_6_07_member_with_another_data_directory_is_refused() -> None:
    """It is another node under the same name."""
    cluster = cluster_of([1], [], [])
    first, second = (Change("add_learner", Member("n2", incarnation=life)) for life in ("one", "two"))
    node = cluster.nodes[1]
    node.step(ChangeMembership("first", [first]))
    cluster.stabilize()
    node.step(ChangeMembership("second", [second]))
    errors = {answer.token: answer.error for answer in node.answers}
    assert errors["first"] is None
    assert errors["second"].reason == "exists"


def test_rule_6_17_same_node_added_twice() -> None:
    """The second time is no change."""
    cluster = cluster_of([1], [], [2])
    assert made(cluster, ("add_voter", 2)).error is None
    last = cluster.nodes[1].status.last_index
    assert made(cluster, ("add_voter", 2)).error is None
    assert cluster.nodes[1].status.last_index == last
    assert members(cluster, 1, 2) == (["n1", "n2"], [])


def test_rule_6_18_added_learner_is_listed() -> None:
    """In force as soon as it is appended, final when it is committed."""
    bench = Bench(voters=[1, 2])
    bench.lead_committed()
    bench.step(ADD_3)
    assert bench.status.configuration == configuration([1, 2], [3])
    assert bench.raft.committed_configuration == configuration([1, 2])
    bench.acknowledge(2, 2)
    assert bench.raft.committed_configuration == configuration([1, 2], [3])


def test_rule_6_21_who_stays_keeps_its_progress() -> None:
    """A leader knows what a member holds, whatever becomes of it: promoted, demoted, beside one that comes or goes."""
    cluster = cluster_of([1, 3], [], [2, 4])
    changes: list[list[tuple[Kind, int]]] = [
        [("add_learner", 2)],
        [("add_voter", 2), ("add_learner", 4)],
        [("add_learner", 2), ("add_voter", 4)],
        [("remove", 4), ("add_voter", 2)],
    ]
    lowest: dict[str, int] = {}
    for each in changes:
        node = cluster.nodes[1]
        node.step(ChangeMembership("change", cluster.changes_of(each)))
        for _ in range(100):
            for peer in node.status.peers:
                assert peer.match_index >= lowest.get(peer.id, 0)
                lowest[peer.id] = peer.match_index
            if cluster.quiet:
                break
            for number in sorted(cluster.nodes):
                cluster.deliver(number)
                cluster.process_ready(number)
        assert cluster.quiet
    assert members(cluster, 1, 2, 3) == (["n1", "n2", "n3"], [])
    assert lowest[name_of(2)] == cluster.nodes[1].status.last_index


def test_rule_6_18_added_learner_is_caught_up_at_once() -> None:
    """In a cluster of three, without any time passing: it is probed when it is added, and says what it lacks."""
    cluster = cluster_of([1, 2, 3], [], [4])
    cluster.nodes[1].want(cluster.changes_of([("add_learner", 4)]))
    cluster.stabilize()
    assert members(cluster, 1, 2, 3, 4) == (["n1", "n2", "n3"], ["n4"])
    assert cluster.nodes[4].status.commit_index == cluster.nodes[1].status.commit_index
