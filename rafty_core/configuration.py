"""Who the members of the cluster are.

Law: *a member is a name; where it listens is a note beside the name that Raft never reads.*

A configuration names its voters. `outgoing` holds the voters of the old half while a change of membership is under
way (joint consensus, paper 6): decisions then need a majority of both halves. Learners receive the log and never
count.
"""

from dataclasses import dataclass, field


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
class Configuration:
    """The members of a cluster: voters, outgoing voters of a joint configuration, learners, learners-to-be.

    Equal configurations compare equal whatever the order in which members were named: members are kept sorted by id.
    """

    voters: tuple[Member, ...] = ()
    outgoing: tuple[Member, ...] = ()
    learners: tuple[Member, ...] = ()
    learners_next: tuple[Member, ...] = ()
    voter_ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Ids of the voters (of the incoming half, while joint), sorted."""
    outgoing_ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Ids of the outgoing voters, sorted; empty unless the configuration is joint."""

    def __post_init__(self) -> None:
        for group in ("voters", "outgoing", "learners", "learners_next"):
            members = tuple(sorted(getattr(self, group), key=lambda member: member.id))
            ids = [member.id for member in members]
            for member_id in ids:
                check_node_id(member_id)
            if len(set(ids)) != len(ids):
                raise ValueError(f"{group} name a member twice: {', '.join(ids)}")
            object.__setattr__(self, group, members)
        object.__setattr__(self, "voter_ids", tuple(member.id for member in self.voters))
        object.__setattr__(self, "outgoing_ids", tuple(member.id for member in self.outgoing))

    @classmethod
    def of(cls, *voter_ids: str) -> "Configuration":
        """The configuration whose voters have these ids, without addresses."""
        return cls(voters=tuple(Member(voter_id) for voter_id in voter_ids))

    @property
    def all_voter_ids(self) -> tuple[str, ...]:
        """Ids of the voters of both halves, sorted, each once."""
        return tuple(sorted({*self.voter_ids, *self.outgoing_ids}))

    @property
    def members(self) -> tuple[Member, ...]:
        """Every member, sorted by id, each once."""
        everyone = (*self.voters, *self.outgoing, *self.learners, *self.learners_next)
        return tuple(sorted({member.id: member for member in everyone}.values(), key=lambda member: member.id))

    def is_voter(self, node_id: str) -> bool:
        """Whether this node is a voter in either half."""
        return node_id in self.voter_ids or node_id in self.outgoing_ids


def check_node_id(node_id: object) -> None:
    """Raise `ValueError` unless `node_id` is a legal node id: 1 to 64 printable ASCII characters, no space."""
    if not isinstance(node_id, str) or not 1 <= len(node_id) <= 64:
        raise ValueError(f"a node id is a name of 1 to 64 characters, not {node_id!r:.80}")
    if not all("!" <= character <= "~" for character in node_id):
        raise ValueError(f"a node id has printable ASCII characters only and no space: {node_id!r}")
