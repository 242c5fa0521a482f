"""Every script of the acceptance data, played on a cluster of cores; and scripts of our own, which test the runner."""

from typing import Any

import pytest

from tests.acceptance import data
from tests.acceptance.cluster import Cluster
from tests.acceptance.comparing import UnknownInScript
from tests.acceptance.data import Json
from tests.acceptance.script_runner import ScriptRunner
from tests.acceptance.set_aside import DECISIONS, JOINT_ONLY, why_not_compared

SCRIPTS = {name: data.script(name) for name in data.names("scripts")}
COMPARED = [name for name, script in SCRIPTS.items() if why_not_compared(name, script) is None]
SET_ASIDE = [name for name in SCRIPTS if name not in COMPARED]


@pytest.mark.parametrize("name", COMPARED)
def test_script_plays_as_recorded(name: str) -> None:
    """After each operation every node is in the state that the script gives."""
    ScriptRunner(SCRIPTS[name]).play()


@pytest.mark.parametrize("name", SET_ASIDE or [None])
def test_script_set_aside_plays_and_nodes_agree(name: str | None) -> None:
    """Its states are others here, by a decision of the design; its operations are carried out all the same."""
    script = SCRIPTS[name] if name is not None else {"steps": []}
    assert name is None or why_not_compared(name, script) in DECISIONS
    runner = ScriptRunner(script)
    runner.carry_out()
    runner.cluster.stabilize()
    assert_agreement(runner.cluster)


def assert_agreement(cluster: Cluster) -> None:
    """At most one leader in a term, and the same entry at every committed index."""
    leaders = [node.status.term for node in cluster.nodes.values() if node.status.role == "leader"]
    assert len(set(leaders)) == len(leaders)
    committed: dict[int, Any] = {}
    for node in cluster.nodes.values():
        status = node.status
        for entry in node.raft.entries(status.first_index, status.commit_index):
            assert committed.setdefault(entry.index, entry) == entry


# ------------------------------------------------------------------- the runner


def steps(*given: Json) -> Json:
    """A script of these operations that compares nothing by itself."""
    defaults = {"line": 0, "settled": [], "quiescent": True, "state": {}}
    return {"steps": [{**defaults, "line": line, **step} for line, step in enumerate(given, 1)]}


def add(ids: list[int], voters: list[int], index: int = 10, **options: Any) -> Json:
    """The operation that adds these nodes, which start from a snapshot; without voters, with nothing."""
    term = 1 if voters else 0
    bootstrap = {"voters": voters, "learners": [], "index": index if voters else 0, "term": term, "content": ""}
    return {"op": "add_nodes", "ids": ids, "bootstrap": bootstrap, "options": options}


def progress(peer: int, match: int, state: str, following: int, **flow: Any) -> Json:
    """The fact that node 1 sees a peer so."""
    at_rest = {"paused": False, "pending_snapshot": 0, "inflight": 0}
    seen = {"state": state, "next": following, **at_rest, **flow}
    return {"kind": "progress", "node": 1, "peer": peer, "match": match, "learner": False, "active": True, "flow": seen}


def check(*facts: Json) -> Json:
    """The operation that checks facts of node 1."""
    return {"op": "check", "what": "progress", "node": 1, "facts": list(facts)}


def state(**fields: Any) -> Json:
    """A state of a follower of node 1, with the fields that matter."""
    rest: Json = {"outgoing": [], "learners": [], "learners_next": []}
    return {"role": "follower", "term": 1, "leader": 1, **fields, "config": {**rest, **fields["config"]}}


LEADER_OF_3 = (add([1, 2, 3], [1, 2, 3]), {"op": "campaign", "node": 1}, {"op": "stabilize", "nodes": []})


def test_unknown_operation_fails_loudly() -> None:
    """A script that asks for more than the runner knows is not passed over."""
    with pytest.raises(UnknownInScript, match="operation 'levitate' is not known"):
        ScriptRunner({"steps": [{"line": 1, "op": "levitate"}]}).play()


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (add([4], [], gravity=1), "option 'gravity'"),
        ({"op": "deliver", "to": [{"node": 1, "drop": False}], "type": "MsgHello"}, "type of message 'MsgHello'"),
        ({"op": "transfer_leadership", "node": 1}, "transfer_leadership names none of"),
        (check({"kind": "mood", "node": 1}), "fact 'mood'"),
        (check(progress(2, 11, "replicate", 12, mood=1)), "field of a flow 'mood'"),
    ],
)
def test_what_the_runner_does_not_know_fails_loudly(step: Json, message: str) -> None:
    """An option, a type of message, a fact, a field."""
    runner = ScriptRunner(steps(*LEADER_OF_3, step))
    with pytest.raises(UnknownInScript, match=message):
        runner.play()


def test_runner_sees_a_difference() -> None:
    """Of a fact, and of any field of the state of a settled node."""
    seen = state(commit=11, applied=11, snapshot_index=10, last_index=11, log=[], config={"voters": [1, 2, 3]})
    wrong = {**LEADER_OF_3[-1], "settled": [2], "state": {"2": seen}}
    with pytest.raises(AssertionError, match=r"n2: log is .*'index': 11.*, expected \[\]"):
        ScriptRunner(steps(*LEADER_OF_3[:-1], wrong)).play()


def test_leadership_is_transferred() -> None:
    """To the node that is named; the messages of a type can be dropped."""
    runner = ScriptRunner(
        steps(
            *LEADER_OF_3,
            {"op": "transfer_leadership", "node": 1, "to": 3},
            {"op": "process_ready", "nodes": [1]},
            {"op": "deliver", "to": [{"node": 3, "drop": False}], "type": "MsgTimeoutNow"},
            {"op": "stabilize", "nodes": []},
        )
    )
    runner.play()
    assert [node.status.role for node in runner.cluster.nodes.values()] == ["follower", "follower", "leader"]


def test_slow_follower_is_caught_up_after_compaction() -> None:
    """Node 3 misses three entries; the log is compacted beyond them; it gets a snapshot of all that is applied."""
    lost = {"op": "deliver", "to": [{"node": 3, "drop": True}], "type": "MsgApp"}
    proposals = [{"op": "propose", "node": 1, "data": text} for text in "abc"]
    runner = ScriptRunner(
        steps(
            *LEADER_OF_3,
            *proposals,
            {"op": "stabilize", "nodes": [1, 2]},
            lost,
            {"op": "compact", "node": 1, "index": 13},
            {"op": "tick", "node": 1, "ticks": 1},
            {"op": "stabilize", "nodes": [1, 2]},
            {"op": "stabilize", "nodes": [3]},
            {"op": "stabilize", "nodes": [1]},
            {"op": "deliver", "to": [{"node": 3, "drop": True}], "type": "MsgSnap"},
            {"op": "tick", "node": 1, "ticks": 1},
            {"op": "stabilize", "nodes": []},
            check(progress(2, 14, "replicate", 15), progress(3, 14, "replicate", 15)),
        )
    )
    runner.play()
    assert runner.cluster.nodes[3].content == b"abc"


def change(*changes: tuple[str, int], **how: Any) -> Json:
    """The operation that proposes these changes at node 1."""
    return {"op": "propose_conf_change", "node": 1, "changes": list(map(list, changes)), "transition": "auto", **how}


def test_members_come_and_go_with_their_entries_left_out_of_the_comparison() -> None:
    """Voter 2 is added and removed; an entry that comes between counts one, whatever stands before it."""
    entry = {"term": 1, "index": 13, "type": "normal", "data": "a"}
    noop = {"term": 1, "index": 11, "type": "normal", "data": ""}
    added = {"term": 1, "index": 12, "type": "conf_change", "changes": [["add_voter", 2]]}
    log = [noop, added, entry]
    seen = state(commit=13, applied=13, snapshot_index=10, last_index=13, log=log, config={"voters": [1, 2]})
    leader = {**seen, "role": "leader", "leader": 1, "applied_data": "a", "match": {"1": 13, "2": 13}}
    runner = ScriptRunner(
        steps(
            add([1], [1]),
            {"op": "campaign", "node": 1},
            {"op": "process_ready", "nodes": [1]},
            change(("add_voter", 2)),
            add([2], []),
            {"op": "stabilize", "nodes": []},
            {"op": "propose", "node": 1, "data": "a"},
            {"op": "stabilize", "nodes": [], "settled": [1], "state": {"1": leader}},
            change(("remove", 2)),
            {"op": "stabilize", "nodes": [], "settled": [1], "state": {}},
        )
    )
    with pytest.raises(AssertionError, match=r"line 10.*\n.*config is .*'voters': \[1\]"):
        runner.play()
    assert runner.cluster.nodes[2].content == b"a"


def test_script_in_which_a_leader_removes_itself_is_not_compared() -> None:
    """Its operations are carried out; the decision is named."""
    script = steps(*LEADER_OF_3, change(("remove", 1)), {"op": "stabilize", "nodes": []})
    assert why_not_compared("leaves", script) == JOINT_ONLY
    runner = ScriptRunner(script)
    runner.carry_out()
    assert [node.status.role for node in runner.cluster.nodes.values()] == ["follower"] * 3
    assert_agreement(runner.cluster)
