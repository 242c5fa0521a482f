"""Rules of membership, snapshots and reads, each broken on purpose: the simulation must notice within a few seeds.

Law: *a check that never fails checks nothing.*
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rafty_core import (
    Configuration,
    Snapshot,
    changes,
    election,
    membership,
    quorum,
    reads,
    replication,
    snapshots,
    violation,
)
from rafty_core.invariants import InvariantViolation
from rafty_core.log import Configurations
from rafty_core.pending import Proposals
from rafty_core.roles import NEVER, Leader
from rafty_core.simulation import SimulationFailure
from rafty_core.simulation.run import run
from rafty_core.state import State
from rafty_core.writes import Writes
from tests.simulation.parts import REAL_CODEC

CHURN = {"size": 3, "churn_interval": 0.3, "proposal_interval": 0.1, "fault_interval": 0.7}
FORWARDS = {**CHURN, "proposal_interval": 0.05, "forward_timeout": 2.0}
HALF = {**CHURN, "size": 2, "application": "none", "striking": 0.1}
SNAPSHOTS = {"snapshot_interval": 0.05}
READS = {
    "size": 3,
    "duration": 25.0,
    "latency": 0.01,
    "sync_time": 0.002,
    "lossy": 0,
    "fault_interval": 0.5,
    "proposal_interval": 0.1,
    "read_interval": 0.2,
    "churn_interval": 0,
    "transfer_interval": 0,
}


def union_reached(voters: Sequence[str], outgoing: Sequence[str], values: Mapping[str, int]) -> int | None:
    return quorum.reached(sorted({*voters, *outgoing}), values)


def one_half_reached(voters: Sequence[str], outgoing: Sequence[str], values: Mapping[str, int]) -> int | None:
    return quorum.reached(voters, values)


def union_votes(voters: Sequence[str], outgoing: Sequence[str], votes: Mapping[str, bool]) -> quorum.VoteResult:
    return quorum.vote_result(sorted({*voters, *outgoing}), votes)


advance_change = membership.advance_change


def leave_at_once(state: State) -> None:
    now = state.configuration
    if isinstance(state.role, Leader) and now.is_joint:
        membership._append(state, state.role, changes.leave_joint(now))
    else:
        advance_change(state)


def not_rolled_back(self: Configurations, first: int) -> None:
    pass


def without_members(index: int, term: int, configuration: Configuration) -> Snapshot:
    return Snapshot(index, term, replace(configuration, voters=configuration.voters[:1]))


def confirmed_by_the_round_before(state: State, leader: Leader) -> None:
    if leader.may_confirm_reads and leader.reads_waiting:
        leader.reads_begun.append((leader.round - 1, state.log.commit, leader.reads_waiting))
        leader.reads_waiting = []


installed = Writes.installed


def durable_at_once(self: Writes, snapshot: Snapshot, committed: int) -> None:
    installed(self, snapshot, committed)
    self.index = snapshot.index


def heard_by_one_half(self: State) -> float:
    if not isinstance(self.role, Leader):
        return -NEVER
    contacts = {peer: progress.contact for peer, progress in self.role.progress.items()}
    found = quorum.reached(self.configuration.voter_ids, {**contacts, self.id: self.now})
    return -NEVER if found is None else found


def nobody_forgotten(self: Proposals, settled: Configuration) -> None:
    pass


def of_the_newest_round(self: Leader, round: int) -> float:
    return self._round_times[-1][1]


def never_for_reads(state: State) -> float:
    return NEVER if state.reads.asking is None else state.reads.asking.again


def any_members(configuration: Configuration, found: str) -> None:
    pass


BROKEN: list[tuple[object, str, Any, dict[str, Any], set[str]]] = [
    (replication, "jointly_reached", union_reached, CHURN, {"I10", "I25"}),
    (replication, "jointly_reached", one_half_reached, HALF, {"I10", "I4", "I25"}),
    (election, "joint_vote_result", union_votes, CHURN, {"I1", "I15"}),
    (membership, "advance_change", leave_at_once, CHURN, {"I13"}),
    (Configurations, "truncate_from", not_rolled_back, CHURN, {"I13"}),
    (snapshots, "Snapshot", without_members, SNAPSHOTS, {"I19"}),
    (Writes, "installed", durable_at_once, SNAPSHOTS, {"I12", "I9", "I5"}),
    (reads, "attach", confirmed_by_the_round_before, READS, {"I16"}),
    (State, "quorum_contact", property(heard_by_one_half), CHURN, {"I25"}),
    (Proposals, "follow_members", nobody_forgotten, FORWARDS, {"I24"}),
    (Leader, "time_of_round", of_the_newest_round, READS, {"I22"}),
    (reads, "next_deadline", never_for_reads, READS, {"I25"}),
    (violation, "check_members", any_members, {"corrupting": 0.05}, {"I27", "I13"}),
]

LONG = (union_reached, one_half_reached, union_votes)
"""These take many seeds: joint configurations that differ so much are rare."""


@pytest.mark.parametrize(
    ("where", "name", "broken", "fixed", "numbers"),
    [
        pytest.param(
            *row,
            id=f"{row[1]}-{getattr(row[2], '__name__', 'property')}",
            marks=[pytest.mark.slow] if row[2] in LONG else [],
        )
        for row in BROKEN
    ],
)
def test_simulation_catches_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    broken: object,
    fixed: dict[str, Any],
    numbers: set[str],
) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(SimulationFailure) as caught:
        for seed in range(100):
            run(seed, REAL_CODEC, **fixed)
    cause = caught.value.__cause__
    assert isinstance(cause, InvariantViolation)
    assert cause.number in numbers
