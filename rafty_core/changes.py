"""The steps from one configuration to another, as pure functions (paper 6, thesis 4.3).

Law: *voters change through a joint configuration, always; whoever comes in is a learner first.*

A change is a list of `Change`s against a configuration at rest. `target_of` says where it leads, or refuses. The way
there has up to three steps, each a log entry: new voters as learners, with the goal beside them (`with_learners`); the
joint configuration (`enter_joint`); the goal (`leave_joint`). A change that touches no voter is one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from rafty_core.configuration import Configuration, Lease, Member, check_node_id

Kind: TypeAlias = Literal["add_voter", "add_learner", "remove", "update"]

KINDS: tuple[Kind, ...] = ("add_voter", "add_learner", "remove", "update")


class Unchangeable(ValueError):
    """A change that must not be made. `reason` is one word for programs, the text one sentence for people."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is to be different afterwards.

    "add_voter"    the member votes: a new one, or a learner that is promoted
    "add_learner"  the member is a learner: a new one, or a voter that is demoted
    "remove"       the member is gone, for ever; its address does not matter, its incarnation is filled in
    "update"       the member has this address; its incarnation is filled in if it was not known
    """

    kind: Kind
    member: Member

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"a change is one of {', '.join(KINDS)}, not {self.kind!r:.40}")
        check_node_id(self.member.id)


def target_of(
    configuration: Configuration, changes: Sequence[Change], *, lease: Lease | Literal["keep"] | None = "keep"
) -> Configuration:
    """The configuration at rest that these changes lead to, taken in order.

    What is so already, and what is said of a member that is not there, changes nothing. Raises `Unchangeable` if
    `configuration` is not at rest, if a member was removed before or stands there with another incarnation, if two
    have one address, or if no voter would be left.
    """
    if not configuration.at_rest:
        raise Unchangeable("in_progress", "another change of membership is under way; wait until it is done")
    voters = {member.id: member for member in configuration.voters}
    learners = {member.id: member for member in configuration.learners}
    for change in changes:
        _carry_out(change, configuration, voters, learners)
    if not voters:
        raise Unchangeable("no_voters_left", "no voter would be left; a cluster needs one at least")
    target = replace(
        configuration,
        voters=tuple(voters.values()),
        learners=tuple(learners.values()),
        lease=configuration.lease if lease == "keep" else lease,
    )
    _check_addresses(target)
    gone = [change.member for change in changes if change.kind == "remove"]
    return _with_removed(target, configuration, gone)


def _carry_out(
    change: Change, configuration: Configuration, voters: dict[str, Member], learners: dict[str, Member]
) -> None:
    member_id = change.member.id
    there = voters.get(member_id) or learners.get(member_id) or configuration.member(member_id)
    if change.kind == "remove":
        voters.pop(member_id, None)
        learners.pop(member_id, None)
        return
    if change.kind == "update" and member_id not in voters and member_id not in learners:
        return
    member = _merged(there, change.member)
    if (member.id, member.incarnation) in {(gone.id, gone.incarnation) for gone in configuration.removed}:
        raise Unchangeable(
            "removed", f"{member_id} was removed, and never returns; give it an empty data directory, and so a new life"
        )
    if change.kind == "update":
        group = voters if member_id in voters else learners
        group[member_id] = member
        return
    into, out_of = (voters, learners) if change.kind == "add_voter" else (learners, voters)
    out_of.pop(member_id, None)
    into[member_id] = member


def _merged(there: Member | None, given: Member) -> Member:
    """A member that stands there, with what is newly known of it."""
    if there is None:
        return given
    if there.incarnation and given.incarnation and there.incarnation != given.incarnation:
        raise Unchangeable(
            "exists", f"{given.id} is a member with another data directory; remove it first, then add it again"
        )
    return Member(given.id, given.address or there.address, given.incarnation or there.incarnation)


def _check_addresses(target: Configuration) -> None:
    owners: dict[str, str] = {}
    for member in target.members:
        if member.address and owners.setdefault(member.address, member.id) != member.id:
            raise Unchangeable("address", f"{member.address} is the address of {owners[member.address]} already")


def _with_removed(target: Configuration, before: Configuration, known: Sequence[Member] = ()) -> Configuration:
    staying = {member.id for member in target.members}
    gone = tuple(member for member in before.members if member.id not in staying)
    return replace(target, removed=before.removed + _identified(gone, known)) if gone else target


def _identified(members: Sequence[Member], known: Sequence[Member]) -> tuple[Member, ...]:
    """These members, with the incarnations that `known` has for those whose own is not known: of a member that the
    cluster was bootstrapped with, the configuration may not say which life it is that must never return."""
    lives = {member.id: member.incarnation for member in known if member.incarnation}
    return tuple(
        member if member.incarnation else replace(member, incarnation=lives.get(member.id, "")) for member in members
    )


def changes_voters(configuration: Configuration, target: Configuration) -> bool:
    """Whether the target has other voters, so that the way there is joint."""
    return configuration.voter_ids != target.voter_ids


def newcomers(configuration: Configuration, target: Configuration) -> tuple[str, ...]:
    """The voters of the target that do not vote yet, and so are caught up as learners first (thesis 4.2.1)."""
    return tuple(voter for voter in target.voter_ids if voter not in configuration.voter_ids)


def unknown_to(configuration: Configuration, changes: Sequence[Change]) -> str | None:
    """The first member that is to be removed or updated and is not there, before or by an earlier change; or None."""
    there = {member.id for member in configuration.members}
    for change in changes:
        if change.kind in ("remove", "update") and change.member.id not in there:
            return change.member.id
        there.add(change.member.id)
    return None


def with_learners(configuration: Configuration, target: Configuration) -> Configuration:
    """First step: who is to vote is a learner, and the goal is written down."""
    known = {member.id for member in configuration.members}
    new = tuple(member for member in target.voters if member.id not in known)
    return replace(
        configuration,
        learners=configuration.learners + new,
        newcomers=tuple(member.id for member in new),
        goal=replace(target, index=0, removed=tuple(member for member in target.removed if member.id in known)),
    )


def without_learners(configuration: Configuration) -> Configuration:
    """The first step undone: the goal is given up, and who was a learner for its sake alone is none any more."""
    learners = tuple(member for member in configuration.learners if member.id not in configuration.newcomers)
    return replace(configuration, learners=learners, newcomers=(), goal=None)


def enter_joint(configuration: Configuration, target: Configuration) -> Configuration:
    """Second step: decisions need a majority of the old voters and one of the new (paper 6, C-old,new)."""
    if configuration.is_joint:
        raise Unchangeable("already_joint", "the configuration is joint already")
    if not configuration.voters:
        raise Unchangeable("empty_config", "an empty configuration cannot become joint")
    if not target.voters:
        raise Unchangeable("no_voters_left", "no voter would be left; a cluster needs one at least")
    old = set(configuration.voter_ids)
    joint = replace(
        configuration,
        voters=target.voters,
        outgoing=_identified(configuration.voters, target.removed),
        learners=tuple(member for member in target.learners if member.id not in old),
        learners_next=tuple(member for member in target.learners if member.id in old),
        newcomers=(),
        goal=None,
        lease=target.lease,
    )
    return _with_removed(joint, configuration)  # learners that go are gone now, and not seen afterwards (R14)


def leave_joint(configuration: Configuration) -> Configuration:
    """Third step: the new voters alone decide (paper 6, C-new)."""
    if not configuration.is_joint:
        raise Unchangeable("not_joint", "the configuration is not joint")
    after = replace(
        configuration, outgoing=(), learners=configuration.learners + configuration.learners_next, learners_next=()
    )
    return _with_removed(after, configuration)
