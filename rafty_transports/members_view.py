"""Who the members are, as a node tells it in `RAFTY MEMBERS`, for commands that look at it.

Law: *what a leader tells of the members is right when it is committed; what others tell may be old.*
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rafty_transports.access import Access
from rafty_transports.client import ask_pairs


@dataclass(slots=True)
class Members:
    """The answer of one node. `members` and `transfers` are facts by id: "role", "address", "lag", "done", ..."""

    cluster_id: str
    index: str
    committed: bool
    change: str
    node_id: str
    leader: str
    removed: str = ""
    lease: str = "none"
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    transfers: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def leads(self) -> bool:
        """Whether the node that tells this is the leader."""
        return self.leader == self.node_id

    @property
    def at_rest(self) -> bool:
        """Whether no change is under way, and the last one is final."""
        return self.change == "none" and self.committed


def members_in(pairs: dict[str, str]) -> Members:
    """What these names and texts say."""

    def get(name: str) -> str:
        return pairs.get(name, "none")

    found = Members(
        cluster_id=get("cluster_id"),
        index=get("configuration_index"),
        committed=get("committed") == "yes",
        change=get("change"),
        node_id=pairs.get("id", "?"),
        leader=get("leader"),
        removed=pairs.get("removed", ""),
        lease=get("lease"),
    )
    for name, text in pairs.items():
        kind, _, node_id = name.partition(".")
        if kind in ("member", "snapshot") and node_id:
            facts = dict(fact.partition("=")[::2] for fact in text.split(","))
            (found.members if kind == "member" else found.transfers)[node_id] = facts
    return found


async def ask_members(address: str, *, access: Access, timeout: float) -> Members:
    """Ask the node that serves clients here. Raises as `client.ask_info` does."""
    return members_in(await ask_pairs(address, [b"RAFTY", b"MEMBERS"], access, timeout))


def table(found: Members) -> str:
    """The members, for a person."""
    leads = "nobody leads" if found.leader == "none" else f"{found.leader} leads"
    head = f"cluster {found.cluster_id}, configuration {found.index}, {leads}"
    head += {"none": "", "joint": ", old and new voters decide together"}.get(
        found.change, ", new voters are caught up"
    )
    rows: list[Sequence[str]] = [("member", "address", "role", "reachable", "match", "lag")]
    for node_id, facts in found.members.items():
        told = [facts.get(name, "") for name in ("address", "role", "reachable", "match", "lag")]
        rows.append((node_id, *told))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lease = [] if found.lease == "none" else [f"voters promise a lease: {found.lease}"]
    removed = [f"removed for ever: {found.removed}"] if found.removed else []
    return "\n".join([head, *lines, *lease, *removed])
