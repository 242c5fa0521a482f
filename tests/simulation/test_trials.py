"""Chains of faults in a cluster to which nothing else happens: each of them begins, ends, and leaves all well.

Law: *a chain that never begins finds nothing.*
"""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.liveness import Liveness
from rafty_core.simulation.long_chains import LONG_CHAINS
from rafty_core.simulation.nemesis import Nemesis
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.options import Options
from rafty_core.simulation.run import run
from rafty_core.simulation.trials import MOST, Trials
from tests.simulation.parts import REAL_CODEC

FIXED: dict[str, Any] = {
    "size": 3,
    "duration": 3.0,
    "snapshot_interval": 0.3,
    "churn_interval": 1.0,
    "lease": 0.2,
    "forward_timeout": 0.2,
    "fault_interval": 3.0,
}
CHAINS = (
    "answer_no_rounds",
    "stall_and_freeze",
    "promise_anew",
    "change_unheard",
    "replace_unheard",
    "demote_and_promote",
    "remove_and_return",
    "halt",
    "late_appends",
    "leave_behind_twice",
    "strand_with_change",
)


def name_of(kind: Any) -> str:
    return str(kind.func.__name__).strip("_")


FETCH = "ends its fetch late, as a"
ENDS = {
    "leads, with the first part alone",
    "asks a leader that remembers its predecessor",
    "is to lead, and is no voter",
    (FETCH, "Candidate"),
    (FETCH, "Leader"),
}
"""What is noted near the end of each long chain."""


def lively(options: Options) -> Nemesis:
    """Run this to its end, and return what struck."""
    cluster = Cluster(options)
    nemesis = Nemesis(cluster)
    cluster.start()
    nemesis.start()
    cluster.world.run_until(options.duration)
    nemesis.repair()
    Liveness(cluster, nemesis).check()
    return nemesis


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("chain", CHAINS)
def test_each_chain_leaves_all_well(monkeypatch: pytest.MonkeyPatch, chain: str, seed: int) -> None:
    begun: Counter[str] = Counter()
    kinds = Trials._kinds

    def only(self: Trials, leader: SimulatedNode) -> list[Any]:
        found = [kind for kind in kinds(self, leader) if name_of(kind) == chain]
        begun[chain] += len(found) > 0
        return found[:1]

    monkeypatch.setattr(Trials, "_kinds", only)
    run(seed, REAL_CODEC, **FIXED)
    assert begun[chain] > 0


def test_all_chains_are_named_here(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    kinds = Trials._kinds

    def watched(self: Trials, leader: SimulatedNode) -> list[Any]:
        found = kinds(self, leader)
        seen.update(map(name_of, found))
        return found

    monkeypatch.setattr(Trials, "_kinds", watched)
    for seed in range(4):
        run(seed, REAL_CODEC, **FIXED)
        if seen >= set(CHAINS):
            break
    assert seen == set(CHAINS)


def test_long_chains_come_to_their_ends_and_leave_all_well() -> None:
    chains = [f"long chain {chain}" for chain in LONG_CHAINS]
    fixed = {**FIXED, "size": 5, "max_batch_bytes": 60, "long_chains": True, "kept": frozenset(chains)}
    ends: set[object] = set()
    for seed in (10, 13):
        nemesis = lively(replace(Options.draw(seed), **fixed))
        assert nemesis.struck == chains
        events = nemesis.cluster.world.kinds.items()
        ends |= {(what, value) if what == FETCH else what for (what, _), (_, _, _, value) in events}
    assert ENDS - ends == set()


@pytest.mark.parametrize(("kept", "tried"), [(None, MOST), (frozenset[str](), 0)])
def test_a_chain_is_a_strike_that_can_be_left_out(kept: frozenset[str] | None, tried: int) -> None:
    most = 0
    for seed in range(2):
        struck = lively(replace(Options.draw(seed), **{**FIXED, "kept": kept})).struck
        most = max(most, sum(name.startswith("trial") for name in struck))
    assert most == tried
