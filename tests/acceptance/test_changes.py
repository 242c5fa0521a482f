"""Rules 6-21 to 6-23: steps from one configuration to another, over all files of the acceptance data, and at random.

A change of voters that another core makes in one step goes through all of rafty's steps here; where it ends must be the
same. What that core refuses in one step, and would make through a joint configuration, ends there too.
"""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from rafty_core import Change, Configuration, Lease, Member
from rafty_core.changes import (
    Kind,
    Unchangeable,
    changes_voters,
    enter_joint,
    leave_joint,
    newcomers,
    target_of,
    with_learners,
)
from tests.acceptance import data
from tests.acceptance.data import Json
from tests.acceptance.node import configuration, name_of, number_of
from tests.acceptance.set_aside import REFUSALS

GROUPS = ("voters", "outgoing", "learners", "learners_next")

REASONS = {"already_joint_simple": "in_progress"}
"""What the data call a reason, where rafty calls it otherwise."""

KINDS: tuple[Kind, ...] = ("add_voter", "add_learner", "remove")


def change(kind: Kind, number: int, life: str) -> Change:
    """One thing that is to be different. Who comes again after having been removed does so in a new life."""
    return Change(kind, Member(name_of(number), incarnation=life))


def made_of(changes: Sequence[Any], now: Configuration, life: str) -> list[Change]:
    """The changes of a step. Node 0 is no node: a rafty node has a name."""
    members = {number_of(member.id) for member in now.members}
    return [change(kind, number, "" if number in members else life) for kind, number in changes if number]


def way_of(now: Configuration, target: Configuration) -> list[Configuration]:
    """All configurations from this one to the target, as a leader appends them."""
    if not now.voters or not changes_voters(now, target):
        return [target]  # without voters: the cluster is bootstrapped
    first = [with_learners(now, target)] if newcomers(now, target) else []
    joint = enter_joint(first[-1] if first else now, target)
    return [*first, joint, leave_joint(joint)]


class Cluster:
    """One configuration, and the step at which each member became one."""

    def __init__(self) -> None:
        self.now = Configuration()
        self.since: dict[str, int] = {}

    def carry_out(self, step: Json) -> None:
        """Take the step. Raises `Unchangeable`, with the configuration as it was."""
        for following in self._way(step):
            members = [member.id for member in following.members]
            self.since = {member: self.since.get(member, int(step["step"])) for member in members}
            self.now = following

    def _way(self, step: Json) -> list[Configuration]:
        now, changes = self.now, made_of(step["changes"], self.now, f"step{step['step']}")
        if step["op"] == "leave_joint":
            return [leave_joint(now)]
        if step["op"] == "enter_joint":
            enter_joint(now, now)  # whether it may be entered at all
            return [enter_joint(now, target_of(now, changes))]
        if step["op"] == "simple":
            return way_of(now, target_of(now, changes))
        raise ValueError(f"operation {step['op']!r} is not known")

    def picture(self) -> Json:
        """The configuration and the members, as the data have them."""
        now = self.now
        groups = {name: sorted(number_of(member.id) for member in getattr(now, name)) for name in GROUPS}
        learners = [member.id for member in now.learners]
        peers = {
            str(number_of(member)): {"learner": member in learners, "added_at_step": max(since, 1)}
            for member, since in self.since.items()
        }
        return {"config": groups, "peers": peers}


def refusal(cluster: Cluster, step: Json) -> str | None:
    """Take the step; the reason for which it was refused, or None."""
    try:
        cluster.carry_out(step)
    except Unchangeable as unchangeable:
        return unchangeable.reason
    return None


def expected(step: Json) -> Json:
    """What the step leads to. Whether a joint configuration is left by itself is no question here: always."""
    config = {name: sorted(step["expect"]["config"][name]) for name in GROUPS}
    peers = {
        number: {"learner": peer["learner"], "added_at_step": max(peer["added_at_step"], 1)}
        for number, peer in step["expect"]["peers"].items()
    }
    return {"config": config, "peers": peers}


@pytest.mark.parametrize("name", data.names("confchange"))
def test_rule_6_21_steps_of_changes(name: str) -> None:
    """After each step the configuration is the one that the file gives, or the step is refused for that reason. Who
    stays a member stays the same member: no step on the way drops it."""
    cluster = Cluster()
    for step in data.changes(name):
        before = cluster.now, cluster.since
        reason = step["expect"].get("refused")
        if reason in REFUSALS:
            assert refusal(cluster, step) is None, step["line"]
            cluster.now, cluster.since = before  # it is as if it had not been asked for
        elif reason is not None:
            assert refusal(cluster, step) == REASONS.get(reason, reason), step["line"]
            assert (cluster.now, cluster.since) == before
        else:
            assert refusal(cluster, step) is None, step["line"]
            assert cluster.picture() == expected(step), step["line"]


# ------------------------------------------------------------------- at random


def some_changes(chance: random.Random) -> list[tuple[Kind, int]]:
    """A few changes of a few nodes."""
    return [(chance.choice(KINDS), chance.randint(1, 5)) for _ in range(chance.randint(1, 5))]


def ends(now: Configuration, each: list[list[tuple[Kind, int]]], life: str) -> Configuration | None:
    """Where these changes end, each list through all of rafty's steps; None if one is refused."""
    try:
        for changes in each:
            now = way_of(now, target_of(now, made_of(changes, now, life)))[-1]
    except Unchangeable:
        return None
    return now


def test_rule_6_23_joint_path_and_one_by_one_end_at_the_same() -> None:
    """Whatever the changes are, and unless one alone would leave no voter."""
    chance = random.Random(23)
    compared = 0
    for number in range(2000):
        start = configuration(range(1, chance.randint(2, 5)), [5])
        changes = some_changes(chance)
        at_once, one_by_one = (
            ends(start, [changes], f"{number}"),
            ends(start, [[each] for each in changes], f"{number}"),
        )
        if at_once is None or one_by_one is None:
            continue
        compared += 1
        assert at_once.voter_ids == one_by_one.voter_ids
        assert [each.id for each in at_once.learners] == [each.id for each in one_by_one.learners]
        assert at_once.at_rest
        assert one_by_one.at_rest
    assert compared > 500


def test_rule_6_22_configuration_is_rebuilt_from_its_stored_form() -> None:
    """Identical, at each step of any change: learners, outgoing voters, goal, removed members, lease."""
    chance = random.Random(22)
    for number in range(500):
        now = configuration(range(1, chance.randint(2, 5)), [5])
        lease = Lease(0.5, 0.01) if number % 2 else None
        try:
            target = target_of(now, made_of(some_changes(chance), now, "life"), lease=lease)
        except Unchangeable:
            continue
        for each in way_of(now, target):
            assert Configuration.decode(each.encode()) == each
            assert Configuration.decode(each.encode()).encode() == each.encode()
