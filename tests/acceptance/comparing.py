"""Compares a node with the state that a script gives for it.

Law: *what both cores must agree on is compared in full; where they differ by decision, the difference is taken out.*

Voters change here through learners and a joint configuration, with up to three entries where the recorded core has one
or two; and a change that is refused leaves no entry here, and an empty one there. So entries of changes are left out of
both logs, and every index counts the entries that are left. Without changes that takes nothing out.
"""

from collections.abc import Callable
from typing import Any

from rafty_core.entries import KIND_NAMES
from tests.acceptance.data import Json
from tests.acceptance.node import Node, name_of, number_of

CONFIGURATION_FIELDS = ("voters", "outgoing", "learners", "learners_next")

INDEXES = ("commit", "applied", "last_index", "snapshot_index")
"""Fields of a state that are indexes of entries."""

FLOW_FIELDS = {"state", "next", "paused", "pending_snapshot", "inflight"}


class UnknownInScript(Exception):
    """The script asks for something that this runner does not know."""


def known(mapping: dict[str, Any], key: str, what: str) -> Any:
    """The value of this key, or a loud failure that names it."""
    if key not in mapping:
        raise UnknownInScript(f"{what} {key!r} is not known")
    return mapping[key]


class Counting:
    """One side's entries of changes: the ones that are committed, and per node the ones in its log."""

    def __init__(self) -> None:
        self.committed: set[int] = set()
        self.refused: set[tuple[int, int]] = set()  # (term, index) of empty entries in the place of refused changes

    def left_out(self, state: Json) -> set[int]:
        """The indexes of entries that do not count, as far as this node's log goes."""
        own = {entry["index"] for entry in state["log"] if not self._counts(entry)}
        self.committed |= {index for index in own if index <= state["commit"]}
        return own | {index for index in self.committed if index <= state["snapshot_index"]}

    def _counts(self, entry: Json) -> bool:
        return entry["type"] == "normal" and (entry["term"], entry["index"]) not in self.refused


def without(left_out: set[int], index: int) -> int:
    """How many entries count up to this index."""
    return index - sum(each <= index for each in left_out)


def only_counting(state: Json, left_out: set[int]) -> Json:
    """The state without the entries that do not count."""
    found = dict(state)
    for field in INDEXES:
        if field in state:
            found[field] = without(left_out, state[field])
    for field in ("log", "durable_log"):
        if field in state:
            found[field] = _entries(state[field], left_out)
    if "match" in state:
        found["match"] = {peer: without(left_out, index) for peer, index in state["match"].items()}
    if "flow" in state:
        found["flow"] = {peer: _flow(flow, left_out) for peer, flow in state["flow"].items()}
    return found


def _entries(entries: list[Json], left_out: set[int]) -> list[Json]:
    kept = [entry for entry in entries if entry["index"] not in left_out]
    return [{**entry, "index": without(left_out, entry["index"])} for entry in kept]


def _flow(flow: Json, left_out: set[int]) -> Json:
    found = dict(flow)
    if "next" in flow:
        found["next"] = without(left_out, flow["next"] - 1) + 1
    if flow.get("pending_snapshot"):
        found["pending_snapshot"] = without(left_out, flow["pending_snapshot"])
    return found


# --------------------------------------------------------------- what a node is


def picture(node: Node) -> Json:
    """The node, in the fields of a state."""
    return {field: of(node) for field, of in FIELDS.items()}


def match(node: Node) -> dict[str, int]:
    """What each member holds, as a leader knows it: of itself, what is durable."""
    return {peer: each["match"] for peer, each in peers(node).items()}


def peers(node: Node) -> dict[str, Json]:
    """How each member is replicated to. A leader is no peer of its own: its entry says what its disk has confirmed.

    Members that were dropped are still told so here; they are no members.
    """
    status = node.status
    members_now = {member.id for member in status.configuration.members}
    found: dict[str, Json] = {}
    if status.id in members_now:
        durable = status.durable_index
        itself = {"match": durable, "state": "replicate", "next": durable + 1, "paused": False, "inflight": 0}
        found[str(node.number)] = {**itself, "pending_snapshot": 0, "reachable": True}
    for peer in status.peers:
        if peer.id in members_now:
            found[str(number_of(peer.id))] = {
                "match": peer.match_index,
                "state": peer.flow,
                "next": peer.next_index,
                "paused": peer.paused,
                "inflight": peer.inflight_messages,
                "pending_snapshot": peer.pending_snapshot,
                "reachable": peer.reachable,
            }
    return found


def log(node: Node) -> list[Json]:
    """The log in memory."""
    status = node.status
    entries = node.raft.entries(status.first_index, status.last_index)
    return [_entry(entry.term, entry.index, entry.kind, entry.data) for entry in entries]


def durable_log(node: Node) -> list[Json]:
    """The log as the disk has it, behind the entries that are forgotten in memory."""
    durable = enumerate(node.disk.log, node.disk.base + 1)
    return [_entry(term, index, KIND_NAMES[entry[0]], entry[1:]) for index, (term, entry) in durable]


def _entry(term: int, index: int, kind: str, data: bytes) -> Json:
    if kind == "configuration":
        return {"term": term, "index": index, "type": "conf_change", "data": ""}
    return {"term": term, "index": index, "type": "normal", "data": data.decode()}


def members(node: Node) -> dict[str, list[int]]:
    """The configuration, by numbers."""
    now = node.status.configuration
    return {name: sorted(number_of(member.id) for member in getattr(now, name)) for name in CONFIGURATION_FIELDS}


FIELDS: dict[str, Callable[[Node], Any]] = {
    "role": lambda node: node.status.role,
    "term": lambda node: node.status.term,
    "vote": lambda node: number_of(node.status.vote),
    "leader": lambda node: number_of(node.status.leader),
    "voter": lambda node: node.status.configuration.is_voter(node.status.id),
    "commit": lambda node: node.status.commit_index,
    "applied": lambda node: node.status.applied_index,
    "last_index": lambda node: node.status.last_index,
    "snapshot_index": lambda node: node.status.first_index - 1,
    "config": members,
    "log": log,
    "durable_log": durable_log,
    "applied_data": lambda node: node.content.decode(),
    "match": match,
    "flow": peers,
}

# -------------------------------------------------------------------- comparing


class Comparing:
    """Both sides of a script, as they go along."""

    def __init__(self) -> None:
        self.ours = Counting()
        self.theirs = Counting()

    def _picture(self, node: Node) -> Json:
        now = picture(node)
        return only_counting(now, self.ours.left_out(now))

    def in_full(self, node: Node, expected: Json, configurations: bool) -> list[str]:
        """Every field that the script gives. `snapshot_term` is no part of the public picture of a node."""
        mine = self._picture(node)
        wanted = only_counting({"durable_log": expected["log"], **expected}, self.theirs.left_out(expected))
        found: list[str] = []
        for field, value in wanted.items():
            if field == "snapshot_term" or (field == "config" and not configurations):
                continue
            if field == "config":
                value = {name: sorted(value[name]) for name in CONFIGURATION_FIELDS}
            if field == "flow":
                found += _compare_flow(node, mine["flow"], value)
            elif field.endswith("log"):
                found += _compare(node, field, mine[field], list(map(_plain, value)))
            else:
                found += _compare(node, field, known(mine, field, "field of a state"), value)
        return found

    def fact(self, node: Node, fact: Json, expected: Json) -> list[str]:
        """One fact of a `check`."""
        left_out = self.theirs.left_out(expected)
        if fact["kind"] == "progress":
            return self._progress(node, fact, left_out)
        if fact["kind"] in ("durable_log", "log"):
            mine = self._picture(node)["durable_log"]
            return _compare(node, "durable log", mine, list(map(_plain, _entries(fact["entries"], left_out))))
        if fact["kind"] not in ("role", "leader_seen", "raft_state", "state", "status"):
            raise UnknownInScript(f"fact {fact['kind']!r} is not known")
        if "role" in fact and "term" in fact:
            return compare_role_and_term(node, fact)
        fields = [field for field in fact if field not in ("kind", "node", "level")]
        return [
            text
            for field in fields
            for text in _compare(node, field, known(FIELDS, field, "field of a fact")(node), fact[field])
        ]

    def _progress(self, node: Node, fact: Json, left_out: set[int]) -> list[str]:
        """One peer as its leader sees it. A peer that has not been heard yet counts as reachable for an election
        timeout here (and as not active there), so that `active` is compared only where it is said to hold."""
        number = str(fact["peer"])
        mine = self._picture(node)
        flow = _flow(fact["flow"], left_out)
        found = _compare(node, f"match of {number}", mine["match"].get(number), without(left_out, fact["match"]))
        found += _compare(node, f"learner {number}", int(number) in mine["config"]["learners"], fact["learner"])
        found += _compare_flow(node, {number: mine["flow"].get(number, {})}, {number: flow})
        if fact["active"]:
            found += _compare(node, f"reachable {number}", mine["flow"].get(number, {}).get("reachable"), True)
        return found


def compare_role_and_term(node: Node, expected: Json) -> list[str]:
    """Role and term, of a node that may have more to do: a pre-candidate of the term before is a candidate here."""
    status = node.status
    wanted = (expected["role"], expected["term"])
    if wanted[0] == "candidate" and status.role == "pre_candidate":
        wanted = ("pre_candidate", expected["term"] - 1)
    return _compare(node, "role and term", (status.role, status.term), wanted)


def _compare_flow(node: Node, actual: dict[str, Json], expected: dict[str, Json]) -> list[str]:
    """What a leader knows of each peer; its own entry is what its disk has confirmed."""
    found = []
    for number, value in expected.items():
        mine = actual.get(number, {})
        for field in value:
            if field not in FLOW_FIELDS:
                raise UnknownInScript(f"field of a flow {field!r} is not known")
            found += _compare(node, f"flow of {number}, {field}", mine.get(field), value[field])
    return found + _compare(node, "peers", sorted(actual), sorted(expected))


def _plain(entry: Json) -> Json:
    return {field: entry[field] for field in ("term", "index", "type", "data")}


def _compare(node: Node, what: str, actual: Any, expected: Any) -> list[str]:
    return [] if actual == expected else [f"{name_of(node.number)}: {what} is {actual!r}, expected {expected!r}"]
