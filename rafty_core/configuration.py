"""Who the members of the cluster are.

Law: *a member is a name; where it listens is a note beside the name that Raft never reads.*

A configuration names its voters. `outgoing` holds the voters of the old half while a change of membership is under
way (joint consensus, paper 6): decisions then need a majority of both halves. Learners receive the log and never
count. What may follow a configuration is `changes.py`; when it does, `membership.py`.
"""

import json
from dataclasses import dataclass, field
from typing import Any

GROUPS = ("voters", "outgoing", "learners", "learners_next")
KNOWN_PARTS = frozenset((*GROUPS, "goal", "newcomers", "removed", "lease", "index"))

MOST_REMOVED = 1000
"""How many removed members a configuration remembers."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its `id` (a name), its `address` (opaque to the core), its `incarnation`.

    The incarnation is drawn at random when a data directory is created; empty means "not known yet", as in the
    configuration a cluster is bootstrapped with.
    """

    id: str
    address: str = ""
    incarnation: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What every voter promises, so that a leader may answer reads without asking (thesis 6.4.1).

    seconds  for so long after it heard a leader no voter grants a vote, whatever its own election timeout
    drift    how much faster than another's a voter's clock may run, as a fraction: 0.01 is one percent
    """

    seconds: float
    drift: float

    def __post_init__(self) -> None:
        right = type(self.seconds) in (int, float) and type(self.drift) in (int, float)
        if not (right and 0 < self.seconds <= 3600 and 0 <= self.drift < 1):
            raise ValueError(f"no voter can promise a lease of {self.seconds!r} s with a drift of {self.drift!r}")


@dataclass(frozen=True, slots=True)
class Configuration:
    """The members of a cluster: voters, outgoing voters of a joint configuration, learners, learners-to-be.

    learners_next  outgoing voters that become learners when the joint configuration is left
    goal           while new voters are caught up as learners: the configuration that is meant to come of it, so that
                   a successor of the leader can continue, or undo it
    newcomers      ids of the learners that are members for the sake of that goal alone
    removed        members that were removed, oldest first, at most `MOST_REMOVED`: such a pair of id and incarnation
                   never returns (fault F73)
    lease          what voters promise for reads by lease; None: nothing, and no leader relies on it
    index          where it stands in the log; 0: the cluster began with it. No part of equality

    Equal configurations compare equal whatever the order in which members were named: members are kept sorted by id.
    """

    voters: tuple[Member, ...] = ()
    outgoing: tuple[Member, ...] = ()
    learners: tuple[Member, ...] = ()
    learners_next: tuple[Member, ...] = ()
    goal: "Configuration | None" = None
    newcomers: tuple[str, ...] = ()
    removed: tuple[Member, ...] = ()
    lease: Lease | None = None
    index: int = field(default=0, compare=False)
    voter_ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Ids of the voters (of the incoming half, while joint), sorted."""
    outgoing_ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Ids of the outgoing voters, sorted; empty unless the configuration is joint."""

    def __post_init__(self) -> None:
        for group in GROUPS:
            members = tuple(sorted(getattr(self, group), key=lambda member: member.id))
            ids = [member.id for member in members]
            for member_id in ids:
                check_node_id(member_id)
            if len(set(ids)) != len(ids):
                raise ValueError(f"{group} name a member twice: {', '.join(ids)}")
            object.__setattr__(self, group, members)
        object.__setattr__(self, "removed", self.removed[-MOST_REMOVED:])
        object.__setattr__(self, "voter_ids", tuple(member.id for member in self.voters))
        object.__setattr__(self, "outgoing_ids", tuple(member.id for member in self.outgoing))

    @classmethod
    def of(cls, *voter_ids: str) -> "Configuration":
        """The configuration whose voters have these ids, without addresses."""
        return cls(voters=tuple(Member(voter_id) for voter_id in voter_ids))

    @property
    def is_joint(self) -> bool:
        """Whether decisions need a majority of both halves (paper 6)."""
        return bool(self.outgoing)

    @property
    def at_rest(self) -> bool:
        """Whether no change of membership is under way."""
        return not self.outgoing and self.goal is None

    @property
    def all_voter_ids(self) -> tuple[str, ...]:
        """Ids of the voters of both halves, sorted, each once."""
        return tuple(sorted({*self.voter_ids, *self.outgoing_ids}))

    @property
    def members(self) -> tuple[Member, ...]:
        """Every member, sorted by id, each once."""
        everyone = (*self.learners_next, *self.outgoing, *self.learners, *self.voters)
        return tuple(sorted({member.id: member for member in everyone}.values(), key=lambda member: member.id))

    def member(self, node_id: str) -> Member | None:
        """The member of this id, or None."""
        return next((member for member in self.members if member.id == node_id), None)

    def is_voter(self, node_id: str) -> bool:
        """Whether this node is a voter in either half."""
        return node_id in self.voter_ids or node_id in self.outgoing_ids

    def encode(self) -> bytes:
        """This configuration as bytes, always the same for equal configurations: JSON, for people who debug."""
        return json.dumps(_plain(self), separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes | str) -> "Configuration":
        """The configuration of `encode`. Raises `ValueError` for anything else."""
        try:
            return _from_plain(json.loads(data))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"these bytes are no configuration: {error}") from error


def _plain(configuration: Configuration) -> dict[str, Any]:
    """The parts that hold something, as JSON has them."""
    plain: dict[str, Any] = {}
    for group in (*GROUPS, "removed"):
        members = getattr(configuration, group)
        if members:
            plain[group] = [[member.id, member.address, member.incarnation] for member in members]
    if configuration.goal is not None:
        plain["goal"] = _plain(configuration.goal)
    if configuration.newcomers:
        plain["newcomers"] = list(configuration.newcomers)
    if configuration.index > 0:
        plain["index"] = configuration.index
    if configuration.lease is not None:
        plain["lease"] = [configuration.lease.seconds, configuration.lease.drift]
    return plain


def _from_plain(plain: Any, depth: int = 0) -> Configuration:
    if type(plain) is not dict or not plain.keys() <= KNOWN_PARTS or depth > 1:
        raise ValueError("unknown parts")
    parts: dict[str, Any] = {}
    for group in (*GROUPS, "removed"):
        members = tuple(Member(*fields) for fields in plain.get(group, ()))
        for member in members:
            check_node_id(member.id)
            if type(member.address) is not str or type(member.incarnation) is not str:
                raise ValueError("an address or an incarnation is no text")
        parts[group] = members
    if "goal" in plain:
        parts["goal"] = _from_plain(plain["goal"], depth + 1)
    parts["newcomers"] = tuple(plain.get("newcomers", ()))
    for newcomer in parts["newcomers"]:
        check_node_id(newcomer)
    parts["index"] = plain.get("index", 0)
    if type(parts["index"]) is not int or not 0 <= parts["index"] < 2**63:
        raise ValueError("its index is no number of a log")
    if "lease" in plain:
        seconds, drift = plain["lease"]
        parts["lease"] = Lease(seconds, drift)
    return Configuration(**parts)


def check_node_id(node_id: object) -> None:
    """Raise `ValueError` unless `node_id` is a legal node id: 1 to 64 printable ASCII characters, no space."""
    if not isinstance(node_id, str) or not 1 <= len(node_id) <= 64:
        raise ValueError(f"a node id is a name of 1 to 64 characters, not {node_id!r:.80}")
    if not all("!" <= character <= "~" for character in node_id):
        raise ValueError(f"a node id has printable ASCII characters only and no space: {node_id!r}")
