"""Plays a script of operations on a cluster, and compares every node with the state that the script gives.

Law: *an operation, an option or a field that is not known fails loudly; nothing is passed over in silence.*

A script gives the states of the nodes that changed in a step; the others are expected as they were. Settled nodes are
compared in full, the others by role and term. rafty has pre-votes always: for a node that has not settled, a
pre-candidate of term t - 1 stands for a candidate of term t.

From the first change of members on, the steps on the way are others here: nodes are compared in full where everything
is quiet there and they are settled here, and configurations where everything is quiet here too.
"""

from collections.abc import Callable
from typing import Any

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    Message,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
    TimeoutNow,
)
from tests.acceptance.cluster import ELECTION_TICKS, HEARTBEAT_TICKS, Cluster
from tests.acceptance.comparing import Comparing, UnknownInScript, compare_role_and_term, known
from tests.acceptance.data import Json
from tests.acceptance.node import configuration

OPTIONS = {
    "max_inflight": "max_inflight_messages",
    "inflight": "max_inflight_messages",
    "max_inflight_bytes": "max_inflight_bytes",
    "max_committed_size_per_ready": "max_apply_bytes",
}
"""Options of `add_nodes` that are settings of a node here."""

CLUSTER_OPTIONS = {"pre_vote": "pre_vote", "prevote": "pre_vote", "check_quorum": "check_quorum"}
CLUSTER_OPTIONS["checkquorum"] = "check_quorum"

NO_OPTIONS = {
    "step_down_on_removal": "a leader that has left the configuration steps down, always",
    "disable_conf_change_validation": "there is one change at a time, always",
    "read_only": "how reads are confirmed is said with each read",
}
"""Options that are none here."""

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
    "snapshot": (InstallSnapshot,),
    "timeout_now": (TimeoutNow,),
    "proposal": (ForwardedProposal,),
    # as the core that the scripts were recorded from calls them
    "MsgApp": (AppendEntries,),
    "MsgAppResp": (AppendEntriesResponse,),
    "MsgHeartbeat": (Heartbeat,),
    "MsgHeartbeatResp": (HeartbeatResponse,),
    "MsgVote": (RequestVote,),
    "MsgVoteResp": (RequestVoteResponse,),
    "MsgPreVote": (PreVote,),
    "MsgPreVoteResp": (PreVoteResponse,),
    "MsgSnap": (InstallSnapshot,),
    "MsgSnapStatus": (InstallSnapshotResponse,),
    "MsgTimeoutNow": (TimeoutNow,),
    "MsgProp": (ForwardedProposal, ForwardedProposalResponse),
    "MsgReadIndex": (ReadIndexRequest,),
    "MsgReadIndexResp": (ReadIndexResponse,),
}


NOTHING_SAID: Json = {"log": [], "commit": 0, "snapshot_index": 0}
"""What is known of a node whose state a script has not given."""


class ScriptRunner:
    """Plays one script; `play` raises `AssertionError` with all differences of the first step that has any."""

    def __init__(self, script: Json) -> None:
        self.script = script
        self.cluster = Cluster()
        self.cluster.hands_over = any(step["op"] == "transfer_leadership" for step in script["steps"])
        self.comparing = Comparing()
        self.expected: dict[int, Json] = {}
        self.changing = False  # whether a change of members has been proposed
        self.operations: dict[str, Callable[[Json], None]] = {
            "log_level": lambda step: None,
            "add_nodes": self._add_nodes,
            "campaign": lambda step: self.cluster.campaign(_node(step)),
            "propose": lambda step: self.cluster.propose(_node(step), _bytes(step["data"])),
            "propose_conf_change": self._change,
            "process_ready": self._process_ready,
            "deliver": self._deliver,
            "stabilize": lambda step: self.cluster.stabilize(_nodes(step)),
            "tick": lambda step: self.cluster.tick(_node(step), step["ticks"]),
            "tick_election": lambda step: self.cluster.tick(_node(step), ELECTION_TICKS),
            "tick_heartbeat": lambda step: self.cluster.tick(_node(step), HEARTBEAT_TICKS),
            "compact": lambda step: self.cluster.nodes[_node(step)].compact(step["index"]),
            "transfer_leadership": lambda step: self.cluster.transfer_leadership(_node(step), _peer(step)),
            "report_unreachable": lambda step: self.cluster.report_unreachable(_node(step), _peer(step)),
            "send_snapshot": lambda step: self.cluster.send_snapshot(_node(step), _peer(step)),
            "forget_leader": self._forget_leader,
            "set_randomized_election_timeout": self._set_election_timeout,
            "set_election_timeout": self._set_election_timeout,
            "check": lambda step: None,  # the facts are compared below
        }

    def play(self) -> None:
        """Play every step; compare after each."""
        for step in self.script["steps"]:
            self._operate(step)
            differences = self._differences(step)
            if step["op"] == "check":
                differences += [text for fact in step["facts"] for text in self._check(step, fact)]
            if differences:
                raise AssertionError(f"line {step['line']}, {step['op']}:\n  " + "\n  ".join(differences))

    def carry_out(self) -> None:
        """Carry out every step; compare nothing."""
        for step in self.script["steps"]:
            self._operate(step)

    # ------------------------------------------------------------ operations

    def _operate(self, step: Json) -> None:
        known(self.operations, step["op"], "operation")(step)

    def _add_nodes(self, step: Json) -> None:
        settings = {}
        for option, value in step["options"].items():
            if option in CLUSTER_OPTIONS:
                setattr(self.cluster, CLUSTER_OPTIONS[option], value)
            elif option in OPTIONS:
                settings[OPTIONS[option]] = value
            else:
                known(NO_OPTIONS, option, "option")
        bootstrap = step.get("bootstrap") or {}
        members = configuration(bootstrap.get("voters", ()), bootstrap.get("learners", ()))
        for number in step["ids"]:
            snapshot = Snapshot(bootstrap.get("index", 0), bootstrap.get("term", 0), members)
            self.cluster.add(number, snapshot, _bytes(bootstrap.get("content", "")), **settings)

    def _process_ready(self, step: Json) -> None:
        for number in _nodes(step) or sorted(self.cluster.nodes):
            self.cluster.process_ready(number)

    def _deliver(self, step: Json) -> None:
        kinds = known(MESSAGES, step["type"], "type of message") if step.get("type") else ()
        for target in step["to"]:
            if target["node"] in self.cluster.nodes or target["drop"]:
                self.cluster.deliver(target["node"], target["drop"], kinds)

    def _forget_leader(self, step: Json) -> None:
        self.cluster.forget_leader(_node(step))

    def _set_election_timeout(self, step: Json) -> None:
        self.cluster.nodes[_node(step)].campaigns_after = _number(step, "timeout", "ticks", "value")

    def _change(self, step: Json) -> None:
        """Make the change that the recorded core made. One that it refused is refused here too (rule 6-01), unless it
        stood in the way of a joint configuration that only ends when it is told to: that has ended here by itself.

        How it is to be made (`transition`) is no matter here; an empty change, which leaves such a configuration, is
        none.
        """
        self.changing = True
        number = _node(step)
        state = step["state"].get(str(number), {})
        accepted = "log" in state and bool(state["log"]) and state["log"][-1]["type"] != "normal"
        if "log" in state and state["log"] and not accepted:
            last = state["log"][-1]
            self.comparing.theirs.refused.add((last["term"], last["index"]))
        leader = self.cluster.leader_known_to(number)
        made = self.cluster.changes_of([(kind, peer) for kind, peer in step["changes"] if peer])
        if not made or leader is None:
            return
        status = leader.status
        under_way = not status.configuration.at_rest or status.configuration_index > status.commit_index
        if accepted or not state:
            leader.want(made)
        elif under_way and not leader.refuses(made):
            raise AssertionError(f"line {step['line']}: a second change was accepted")

    # ------------------------------------------------------------ comparison

    def _differences(self, step: Json) -> list[str]:
        self.expected.update({int(number): state for number, state in step["state"].items()})
        quiet = step["quiescent"] and self.cluster.quiet
        found = []
        for number, state in sorted(self.expected.items()):
            node = self.cluster.nodes[number]
            comparable = not self.changing or (step["quiescent"] and self.cluster.is_settled(number))
            if number in step["settled"] and comparable:
                at_rest = not self.changing or (quiet and not state["config"]["outgoing"])
                found += self.comparing.in_full(node, state, configurations=at_rest)
            else:
                self.comparing.theirs.left_out(state)
                found += compare_role_and_term(node, state)
        return found

    def _check(self, step: Json, fact: Json) -> list[str]:
        if self.changing and not (step["quiescent"] and self.cluster.quiet):
            return []
        node = fact["node"]
        return self.comparing.fact(self.cluster.nodes[node], fact, self.expected.get(node, NOTHING_SAID))


def _number(step: Json, *names: str) -> int:
    for name in names:
        value = step.get(name)
        if isinstance(value, int):
            return value
        if isinstance(value, dict) and isinstance(value.get("node"), int):
            return int(value["node"])
    raise UnknownInScript(f"{step['op']} names none of {', '.join(names)}: {step!r:.200}")


def _node(step: Json) -> int:
    return _number(step, "node", "from", "id", "leader")


def _peer(step: Json) -> int:
    return _number(step, "peer", "to", "target", "unreachable", "transferee")


def _nodes(step: Json) -> list[int]:
    nodes = step.get("nodes", step.get("node")) or []
    return [nodes] if isinstance(nodes, int) else list(nodes)


def _bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode()
