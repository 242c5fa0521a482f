"""Plays a script of operations on a cluster, and compares every node with the state that the script gives.

Law: *an operation, an option or a field that is not known fails loudly; nothing is passed over in silence.*

A script gives the states of the nodes that changed in a step; the others are expected as they were. Settled nodes are
compared in full, the others by role and term. rafty has pre-votes always: for a node that has not settled, a
pre-candidate of term t - 1 stands for a candidate of term t.
"""

from collections.abc import Callable
from typing import Any

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
)
from tests.acceptance.cluster import Cluster, Node, configuration, name_of, number_of
from tests.acceptance.data import Json

CONFIGURATION_FIELDS = ("voters", "outgoing", "learners", "learners_next")

OPTIONS = {"max_inflight": "max_inflight_messages", "max_inflight_bytes": "max_inflight_bytes"}
"""Options of `add_nodes` that are settings of a node here."""

CLUSTER_OPTIONS = ("pre_vote", "check_quorum")

MESSAGES: dict[str, tuple[type[Message], ...]] = {
    # as the tables call them
    "append": (AppendEntries,),
    "append_reply": (AppendEntriesResponse,),
    "heartbeat": (Heartbeat,),
    "heartbeat_reply": (HeartbeatResponse,),
    "vote": (RequestVote,),
    "vote_reply": (RequestVoteResponse,),
    "pre_vote": (PreVote,),
    "pre_vote_reply": (PreVoteResponse,),
    # as the core that the scripts were recorded from calls them
    "MsgApp": (AppendEntries,),
    "MsgAppResp": (AppendEntriesResponse,),
    "MsgHeartbeat": (Heartbeat,),
    "MsgHeartbeatResp": (HeartbeatResponse,),
    "MsgVote": (RequestVote,),
    "MsgVoteResp": (RequestVoteResponse,),
    "MsgPreVote": (PreVote,),
    "MsgPreVoteResp": (PreVoteResponse,),
}


class UnknownInScript(Exception):
    """The script asks for something that this runner does not know."""


def known(mapping: dict[str, Any], key: str, what: str) -> Any:
    """The value of this key, or a loud failure that names it."""
    if key not in mapping:
        raise UnknownInScript(f"{what} {key!r} is not known")
    return mapping[key]


class ScriptRunner:
    """Plays one script; `play` raises `AssertionError` with all differences of the first step that has any."""

    def __init__(self, script: Json) -> None:
        self.script = script
        self.cluster = Cluster()
        self.expected: dict[int, Json] = {}
        self.operations: dict[str, Callable[[Json], None]] = {
            "log_level": lambda step: None,
            "add_nodes": self._add_nodes,
            "campaign": lambda step: self.cluster.campaign(step["node"]),
            "propose": lambda step: self.cluster.propose(step["node"], step["data"].encode()),
            "process_ready": self._process_ready,
            "deliver": self._deliver,
            "stabilize": lambda step: self.cluster.stabilize(step["nodes"]),
            "tick": lambda step: self.cluster.tick(step["node"], step["ticks"]),
            "check": lambda step: None,  # the facts are compared below
            "report_unreachable": lambda step: self.cluster.report_unreachable(step["node"], _peer(step)),
        }

    def play(self) -> None:
        """Play every step; compare after each."""
        for step in self.script["steps"]:
            known(self.operations, step["op"], "operation")(step)
            differences = self._differences(step)
            if step["op"] == "check":
                differences += [text for fact in step["facts"] for text in self._check(fact)]
            if differences:
                raise AssertionError(f"line {step['line']}, {step['op']}:\n  " + "\n  ".join(differences))

    # ------------------------------------------------------------ operations

    def _add_nodes(self, step: Json) -> None:
        settings = {}
        for option, value in step["options"].items():
            if option in CLUSTER_OPTIONS:
                setattr(self.cluster, option, value)
            else:
                settings[known(OPTIONS, option, "option")] = value
        bootstrap = step["bootstrap"]
        members = configuration(bootstrap["voters"], bootstrap["learners"])
        for number in step["ids"]:
            snapshot = Snapshot(bootstrap["index"], bootstrap["term"], members)
            self.cluster.add(number, snapshot, bootstrap["content"].encode(), **settings)

    def _process_ready(self, step: Json) -> None:
        for number in step["nodes"] or sorted(self.cluster.nodes):
            self.cluster.process_ready(number)

    def _deliver(self, step: Json) -> None:
        kinds = known(MESSAGES, step["type"], "type of message") if step["type"] else ()
        for target in step["to"]:
            self.cluster.deliver(target["node"], target["drop"], kinds)

    # ------------------------------------------------------------ comparison

    def _differences(self, step: Json) -> list[str]:
        self.expected.update({int(number): state for number, state in step["state"].items()})
        found = []
        for number, state in sorted(self.expected.items()):
            node = self.cluster.nodes[number]
            if number in step["settled"]:
                found += compare_in_full(node, state, step["quiescent"])
            else:
                found += compare_role_and_term(node, state)
        return found

    def _check(self, fact: Json) -> list[str]:
        node = self.cluster.nodes[fact["node"]]
        checks: dict[str, Callable[[Node, Json], list[str]]] = {
            "durable_log": lambda node, fact: _compare(node, "durable log", durable_log(node), fact["entries"]),
            "progress": compare_progress,
            "role": compare_role_and_term,
        }
        found: list[str] = known(checks, fact["kind"], "fact")(node, fact)
        return found


def _peer(step: Json) -> int:
    for key in ("peer", "to", "unreachable", "target"):
        if isinstance(step.get(key), int):
            return int(step[key])
    raise UnknownInScript(f"report_unreachable names no peer: {step!r:.200}")


# -------------------------------------------------------------------- comparing


def compare_in_full(node: Node, expected: Json, quiet: bool) -> list[str]:
    """Every field that the script gives. `snapshot_term` is no part of the public picture of a node."""
    found: list[str] = []
    expected = {"durable_log": expected["log"], **expected}
    for field, value in expected.items():
        if field == "snapshot_term" or (field == "config" and not quiet):
            continue  # a configuration is in effect when appended here, and when applied there
        if field == "config":
            value = {name: sorted(value[name]) for name in CONFIGURATION_FIELDS}
        if field == "flow":
            found += compare_flow(node, value)
            continue
        found += _compare(node, field, known(FIELDS, field, "field of a state")(node), value)
    return found


def compare_role_and_term(node: Node, expected: Json) -> list[str]:
    """Role and term, of a node that may have more to do."""
    status = node.status
    wanted = (expected["role"], expected["term"])
    if wanted[0] == "candidate" and status.role == "pre_candidate":
        wanted = ("pre_candidate", expected["term"] - 1)
    return _compare(node, "role and term", (status.role, status.term), wanted)


def compare_flow(node: Node, expected: Json) -> list[str]:
    """What a leader knows of each peer; its own entry is what its disk has confirmed."""
    found = []
    actual = flow(node)
    for number, value in expected.items():
        mine = actual.get(number, {})
        for field in value:
            found += _compare(node, f"flow of {number}, {field}", mine.get(field), value[field])
    return found + _compare(node, "peers", sorted(actual), sorted(expected))


def compare_progress(node: Node, fact: Json) -> list[str]:
    """One peer as its leader sees it. A peer that has not been heard yet counts as reachable for an election timeout
    here (and as not active there), so that `active` is compared only where it is said to hold."""
    number, status = str(fact["peer"]), node.status
    mine = flow(node)[number]
    learners = [str(number_of(member.id)) for member in status.configuration.learners]
    found = _compare(node, f"match of {number}", match(node)[number], fact["match"])
    found += _compare(node, f"learner {number}", number in learners, fact["learner"])
    for field, value in fact["flow"].items():
        found += _compare(node, f"flow of {number}, {field}", mine[field], value)
    if fact["active"]:
        found += _compare(node, f"reachable {number}", mine["reachable"], True)
    return found


def _compare(node: Node, what: str, actual: Any, expected: Any) -> list[str]:
    return [] if actual == expected else [f"{name_of(node.number)}: {what} is {actual!r}, expected {expected!r}"]


def match(node: Node) -> dict[str, int]:
    """What each member holds, as a leader knows it: of itself, what is durable."""
    status = node.status
    matches = {str(number_of(peer.id)): peer.match_index for peer in status.peers}
    return {str(node.number): status.durable_index, **matches}


def flow(node: Node) -> dict[str, Json]:
    """How each member is replicated to. A leader is no peer of its own: its entry says what its disk has confirmed."""
    status = node.status
    itself = {"state": "replicate", "next": status.durable_index + 1, "paused": False, "inflight": 0}
    found: dict[str, Json] = {str(node.number): {**itself, "pending_snapshot": 0, "reachable": True}}
    for peer in status.peers:
        found[str(number_of(peer.id))] = {
            "state": peer.flow,
            "next": peer.next_index,
            "paused": peer.paused,
            "inflight": peer.inflight_messages,
            "pending_snapshot": 0,
            "reachable": peer.reachable,
        }
    return found


def log(node: Node) -> list[Json]:
    """The log behind the snapshot."""
    status = node.status
    entries = node.raft.entries(status.snapshot_index + 1, status.last_index)
    return [_entry(entry.term, entry.index, entry.data) for entry in entries]


def durable_log(node: Node) -> list[Json]:
    """The log as the disk has it."""
    first = node.disk.snapshot.index + 1
    return [_entry(term, index, entry[1:]) for index, (term, entry) in enumerate(node.disk.log, first)]


def members(node: Node) -> dict[str, list[int]]:
    """The configuration, by numbers."""
    now = node.status.configuration
    return {name: sorted(number_of(member.id) for member in getattr(now, name)) for name in CONFIGURATION_FIELDS}


def _entry(term: int, index: int, data: bytes) -> Json:
    return {"term": term, "index": index, "type": "normal", "data": data.decode()}


FIELDS: dict[str, Callable[[Node], Any]] = {
    "role": lambda node: node.status.role,
    "term": lambda node: node.status.term,
    "vote": lambda node: number_of(node.status.vote),
    "leader": lambda node: number_of(node.status.leader),
    "commit": lambda node: node.status.commit_index,
    "applied": lambda node: node.status.applied_index,
    "last_index": lambda node: node.status.last_index,
    "snapshot_index": lambda node: node.status.snapshot_index,
    "config": members,
    "log": log,
    "durable_log": durable_log,
    "applied_data": lambda node: (node.content + b"".join(node.applied)).decode(),
    "match": match,
}
