"""Every world of a small cluster: `python -m rafty_core.simulation.small_world` searches larger ones."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from rafty_core import Config, Snapshot, Stable, election, quorum, replication
from rafty_core.history import InvariantViolation
from rafty_core.log import Log
from rafty_core.messages import AppendEntriesResponse
from rafty_core.roles import Follower, Leader
from rafty_core.simulation import small_node
from rafty_core.simulation.small_world import SmallWorldFailure, main, search
from rafty_core.simulation.small_world_state import Bounds, SmallWorld, World
from rafty_core.state import Random, State
from rafty_core.writes import Writes

ONE_TERM = Bounds(terms=1, entries=0, messages=1)
TWO_TERMS = Bounds(terms=2, entries=0, messages=1, resigning=False)
QUICK_DISKS = Bounds(terms=2, entries=1, messages=2, slow_disks=False, resigning=False)
LONGER = [
    Bounds(terms=2, entries=1, messages=1),
    QUICK_DISKS,
    Bounds(terms=1, entries=1, messages=2),
    Bounds(terms=2, entries=0, messages=1, crashes=1),
    Bounds(terms=1, entries=1, messages=1, rounds=2),
]


@pytest.mark.parametrize(
    ("bounds", "leaders", "commits"),
    [
        (Bounds(terms=1, entries=0, messages=1, rounds=1), 1, 1),
        (Bounds(terms=1, entries=0, messages=2), 1, 1),
        (Bounds(terms=1, entries=1, messages=2, slow_disks=False, resigning=False), 1, 2),
        (Bounds(nodes=1, terms=2, entries=1, crashes=1), 2, 3),
        (Bounds(terms=1, entries=0, messages=2, repeating=False, pre_votes=True), 1, 1),
        *[
            pytest.param(bounds, bounds.terms, bounds.terms + bounds.entries, marks=pytest.mark.slow)
            for bounds in (TWO_TERMS, Bounds(terms=1, entries=1, messages=1, crashes=1), *LONGER)
        ],
    ],
)
def test_every_small_world_keeps_the_rules(bounds: Bounds, leaders: int, commits: int) -> None:
    """I1, I3 to I7, I9 to I12, I20, I27, in every world within the bounds; and there, all that can happen does."""
    report = search(bounds)
    assert report.complete
    assert (report.leaders, report.commits) == (leaders, commits)


def test_small_world_without_names_is_the_whole_one() -> None:
    """Each world stands for as many as there are different ones of it under other names: none is missed."""
    seen: set[World] = set()
    small = SmallWorld(ONE_TERM)
    frontier, count = [small.first()], 0
    while frontier:
        world = frontier.pop()
        if small.canonical(world) in seen:
            continue
        seen.add(small.canonical(world))
        count += len(set(small.variants(world)))
        for action in small.actions(world):
            frontier.extend(small.after(world, action))
    assert len(seen) == search(ONE_TERM).worlds
    assert count == search(Bounds(terms=1, entries=0, messages=1, renaming=False)).worlds


def test_small_world_in_two_processes() -> None:
    """I23: the same search, whatever PYTHONHASHSEED."""
    command = [sys.executable, "-c", f"from rafty_core.simulation.small_world import *; print(search({ONE_TERM}))"]
    reports = [
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True, timeout=60
        ).stdout
        for seed in ("1", "2")
    ]
    assert reports[0] == reports[1]
    assert b"complete=True" in reports[0]


def test_small_world_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--terms", "1", "--entries", "0", "--messages", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"{search(ONE_TERM).worlds} worlds, ")
    assert main(["--terms", "1", "--entries", "0", "--messages", "1", "--most", "100"]) == 0
    assert "(not all)" in capsys.readouterr().out


# ------------------------------------------------------------------ broken rules


def always(*_: object) -> bool:
    return True


def look_at_the_term_alone(self: Log, last_log_index: int, last_log_term: int) -> bool:
    """Fault F7: of two logs that end in the same term, the shorter is taken for as good."""
    return last_log_term >= self.last_term


def count_every_term(state: State, leader: Leader) -> None:
    """Fault F30, Figure 8: entries of earlier terms are committed by counting."""
    match = {peer: progress.match for peer, progress in leader.progress.items()} | {state.id: state.writes.index}
    state.log.commit_to(max(state.log.commit, quorum.reached(state.configuration.voter_ids, match) or 0))


def count_itself_at_once(state: State, leader: Leader) -> None:
    """Fault F38: the leader counts its own copy before it is durable."""
    match = {peer: progress.match for peer, progress in leader.progress.items()} | {state.id: state.log.last_index}
    reached = quorum.reached(state.configuration.voter_ids, match) or 0
    if reached > state.log.commit and state.log.term(reached) == state.term:
        state.log.commit_to(reached)


def acknowledge_at_once(state: State) -> None:
    """Fault F37: what is not durable is acknowledged."""
    role = state.role
    if isinstance(role, Follower) and role.leader is not None and role.owes_acknowledgement:
        role.owes_acknowledgement = False
        state.outbox.append(AppendEntriesResponse(state.id, role.leader, state.term, True, role.proven))


def cut_again(self: Writes, first: int) -> None:
    """Fault F40: a late completion marks what was written since as durable."""
    self.index = min(self.index, first - 1)
    self._cut_index = min(self._cut_index, first - 1)


def forget_the_vote(self: State, config: Config, stable: Stable, random: Random, now: float, applied: int) -> None:
    """Fault F2: a node that starts does not know its vote."""
    begin(self, config, Stable(stable.term, None, stable.snapshot, stable.batches), random, now, applied)


begin = State.__init__


@pytest.mark.parametrize(
    ("where", "name", "broken", "bounds", "number", "depth"),
    [
        (election, "_vote_is_durable", always, TWO_TERMS, "I9", 1),
        (quorum, "majority", always, TWO_TERMS, "I1", 2),
        (State, "__init__", forget_the_vote, Bounds(terms=1, crashes=1), "I20", 2),
        (election, "_may_vote_for", always, TWO_TERMS, "I6", 4),
        (replication, "acknowledge", acknowledge_at_once, TWO_TERMS, "I9", 6),
        (replication, "_advance_commit", count_itself_at_once, TWO_TERMS, "I10", 8),
        pytest.param(Log, "is_up_to_date", look_at_the_term_alone, QUICK_DISKS, "I4", 12, marks=pytest.mark.slow),
        (Writes, "truncated", cut_again, TWO_TERMS, "I12", 12),
        pytest.param(Log, "is_up_to_date", always, TWO_TERMS, "I4", 14, marks=pytest.mark.slow),
        pytest.param(replication, "_advance_commit", count_every_term, TWO_TERMS, "I11", 16, marks=pytest.mark.slow),
    ],
)
def test_small_world_finds_a_broken_rule(
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    broken: Callable[..., object],
    bounds: Bounds,
    number: str,
    depth: int,
) -> None:
    """A check that never fails checks nothing. Breadth first, no story is shorter than the one that is told."""
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(SmallWorldFailure) as caught:
        search(bounds)
    assert isinstance(caught.value.__cause__, InvariantViolation)
    assert caught.value.__cause__.number == number
    assert caught.value.depth == depth
    assert len(str(caught.value).splitlines()) == depth + 1


def test_small_world_tells_the_shortest_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two votes in one term: the voter stands for election itself when it is asked by another."""
    monkeypatch.setattr(election, "_may_vote_for", always)
    with pytest.raises(SmallWorldFailure) as caught:
        search(TWO_TERMS)
    assert str(caught.value).splitlines() == [
        "I6: n2: the vote n2 of term 1 is now n1",
        "  1. n1's election timeout is over; pre-votes come from n2",
        "  2. n1's disk has written: term 1, vote n1",
        "  3. n2's election timeout is over; pre-votes come from n3",
        "  4. n2 receives: n1 asks n2 for its vote in term 1; its log ends with entry 0 of term 0",
    ]


def test_small_world_fails_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(quorum, "majority", always)
    assert main([]) == 1
    assert capsys.readouterr().out.startswith("I1: n1 leads term 1 with the votes of ['n1'] at most\n")


def test_node_that_sleeps_has_no_key() -> None:
    nodes = small_node.Nodes(1)
    node = nodes.start("n1", small_node.Disk()).node
    assert node.key({}) == nodes.start("n1", small_node.Disk()).node.key({})
    node.fall_asleep()
    with pytest.raises(ValueError, match="asleep"):
        node.key({})
    assert node.wake().snapshot() == Snapshot(configuration=nodes.configuration)
