"""Where a change of membership leads, and by which steps: told once more, from the specification alone.

Law: *two accounts of one rule that were written apart agree only if both are right.*

The core has its own in `changes.py`; nothing here calls it. What follows is compared by value, addresses included.
"""

from collections.abc import Sequence
from dataclasses import replace

from rafty_core.changes import Change
from rafty_core.configuration import Configuration, Member
from rafty_core.events import ChangeMembership

MOST_REMEMBERED = 1000
"""How many removed members a configuration remembers: the newest."""


class Impossible(Exception):
    """A change that must not be made, in no circumstances; the text is the reason in one word."""


def outcome_of(now: Configuration, event: ChangeMembership) -> Configuration:
    """Where this change leads from a configuration at rest. Raises `Impossible`."""
    groups = {member.id: ("learners", member) for member in now.learners}
    groups.update((member.id, ("voters", member)) for member in now.voters)
    lives: dict[str, str] = {}
    for change in event.changes:
        _change(change, now, groups)
        if change.kind == "remove" and change.member.incarnation:
            lives[change.member.id] = change.member.incarnation
    voters = tuple(member for group, member in groups.values() if group == "voters")
    learners = tuple(member for group, member in groups.values() if group == "learners")
    if not voters:
        raise Impossible("no_voters_left")
    addresses = [member.address for _, member in groups.values() if member.address]
    if len(set(addresses)) < len(addresses):
        raise Impossible("address")
    gone = [
        replace(member, incarnation=member.incarnation or lives.get(member.id, ""))
        for member in now.members
        if member.id not in groups
    ]
    lease = now.lease if event.lease == "keep" else event.lease
    removed = (*now.removed, *gone)[-MOST_REMEMBERED:]
    return Configuration(voters=voters, learners=learners, removed=removed, lease=lease)


def _change(change: Change, now: Configuration, groups: dict[str, tuple[str, Member]]) -> None:
    wanted, name = change.member, change.member.id
    if change.kind == "remove":
        groups.pop(name, None)
        return
    known = groups[name][1] if name in groups else now.member(name)
    if change.kind == "update" and name not in groups:
        return
    if known is not None:
        if "" not in (known.incarnation, wanted.incarnation) and known.incarnation != wanted.incarnation:
            raise Impossible("exists")
        wanted = Member(name, wanted.address or known.address, wanted.incarnation or known.incarnation)
    if any((gone.id, gone.incarnation) == (name, wanted.incarnation) for gone in now.removed):
        raise Impossible("removed")
    group = {"add_voter": "voters", "add_learner": "learners"}.get(change.kind) or groups[name][0]
    groups[name] = (group, wanted)


def unknown_to(now: Configuration, changes: Sequence[Change]) -> bool:
    """Whether a change speaks of a member that is not there, nor brought in by one before it."""
    there = {member.id for member in now.members}
    for change in changes:
        if change.kind in ("remove", "update") and change.member.id not in there:
            return True
        there.add(change.member.id)
    return False


def newcomers(now: Configuration, goal: Configuration) -> list[str]:
    """The voters of the goal that are to be caught up first."""
    return [voter for voter in goal.voter_ids if voter not in now.voter_ids]


def is_first_step(before: Configuration, goal: Configuration, now: Configuration) -> bool:
    """Whether `now` is how the way from `before` to `goal` begins."""
    if before.voter_ids == goal.voter_ids:
        return now == goal
    if not newcomers(before, goal):
        return is_joint_step(before, goal, now)
    known = {member.id for member in before.members}
    new = tuple(member for member in goal.voters if member.id not in known)
    right = replace(
        before, learners=(*before.learners, *new), newcomers=tuple(member.id for member in new), goal=now.goal
    )
    return now == right and now.goal is not None and replace(now.goal, removed=()) == replace(goal, removed=())


def is_joint_step(before: Configuration, goal: Configuration, now: Configuration) -> bool:
    """Whether `now` has the voters of both, as two halves; outgoing ones may be known better than before."""
    old = before.voter_ids
    right = Configuration(
        voters=goal.voters,
        outgoing=now.outgoing,
        learners=tuple(member for member in goal.learners if member.id not in old),
        learners_next=tuple(member for member in goal.learners if member.id in old),
        lease=goal.lease,
    )
    right = _remembering(right, before)
    same = [
        (a.id, a.address, a.incarnation or b.incarnation) for a, b in zip(before.voters, now.outgoing, strict=False)
    ]
    return now == right and same == [(b.id, b.address, b.incarnation) for b in now.outgoing] and len(same) == len(old)


def left_joint(before: Configuration) -> Configuration:
    """What follows a joint configuration."""
    after = Configuration(voters=before.voters, learners=(*before.learners, *before.learners_next), lease=before.lease)
    return _remembering(after, before)


def undone(before: Configuration) -> Configuration:
    """What follows when learners are given up: the members are as they were."""
    learners = tuple(member for member in before.learners if member.id not in before.newcomers)
    return replace(before, learners=learners, newcomers=(), goal=None)


def _remembering(now: Configuration, before: Configuration) -> Configuration:
    staying = {member.id for member in now.members}
    gone = [member for member in before.members if member.id not in staying]
    return replace(now, removed=(*before.removed, *gone)[-MOST_REMEMBERED:])
