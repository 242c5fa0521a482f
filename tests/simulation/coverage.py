"""How much of the core the simulation alone runs: `python -m tests.simulation.coverage --seeds 0:150`.

Law: *what no simulated cluster ever runs, no simulated cluster has tested.*

The measure is of lines and branches. Nothing is subtracted from it but the four modules of `WATCHERS`, which are told
beside it; what is in `NEVER` and `SELDOM` counts as missed, and is named there only so that the rest stands out.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from coverage import Coverage

ENOUGH = 98.0
"""Percent of lines and branches that must be reached."""

WATCHERS = ("cluster_invariants", "configuration_invariants", "history", "node_invariants")
"""What watches the core, and is no part of a node: most of it that is missed runs when an invariant breaks, which it
never does in a run that is right."""

TYPES = "the table, or whoever calls, has asked for the role already; it tells the type checker"

LIMITS = "all nodes of a cluster have the same limits, and who forwards has looked at them"

LIVES = "a member that forwards comes back in another life, or its life becomes known only then"

NEVER: Mapping[tuple[str, str], str] = {
    ("election", "if isinstance(role, Candidate):"): TYPES,
    ("election", "if not isinstance(role, Standing):"): TYPES,
    ("replication", "if not isinstance(leader, Leader):"): TYPES,
    ("snapshots", "if not isinstance(leader, Leader):"): TYPES,
    ("proposing", 'raise TypeError("only a leader accepts proposals")'): TYPES,
    ("state", "if not isinstance(self.role, Leader):"): TYPES,
    ("proposing", "if too_large is not None:"): LIMITS,
    ("proposing", 'if message.outcome == "too_large":'): LIMITS,
    ("sessions", 'raise TypeError("the wrapped machine has no snapshot")'): "there is no `snapshot` to be called then",
    ("sessions", 'raise TypeError("the wrapped machine has no restore")'): "there is no `restore` to be called then",
}
"""What no run reaches, and why; by module, and by a line or by what is asked right before it."""

SELDOM: Mapping[tuple[str, str], str] = {
    ("calls", "if applied < state.log.base_index:"): "a snapshot comes just while entries of Raft's own are applied",
    ("election", "elif not state.is_restored:"): "an election is due before the machine is restored",
    ("membership", "state.become_follower(state.term, None)"): "a candidate is no voter any more by its own snapshot",
    ("membership", "if not short and catching.round >= MOST_ROUNDS:"): "a learner is too slow in ten rounds on end",
    ("membership", "if successor is not None:"): "a leader leaves office, and nobody else is heard",
    ("pending", "return gone.id == member.id and gone.incarnation != member.incarnation"): LIVES,
    ("pending", "elif member.incarnation != window.incarnation:"): LIVES,
    ("pending", "if window.incarnation or any(_is_earlier_life(gone, member) for gone in settled.removed):"): LIVES,
    ("pending", "else:"): LIVES,
    ("pending", "if len(self.seen) > 2 * MOST_BEHIND:"): "one life must forward more than 8,192 requests",
    ("pending", "if reached < start:"): "a guard; nothing is known that leads here",
    ("proposing", 'if message.outcome == "superseded":'): "an origin hears that its request was overwritten",
    ("reads", "if message.sender != asking.leader:"): "a driver errs just while this node asks its leader",
    ("replication", "if not isinstance(leader, Leader) or response.sender not in leader.progress:"): "a member is gone",
    ("transfer", "if not state.is_restored:"): "a leader hands over to who is being restored",
}
"""What few runs reach, or none so far, and what it takes."""


def main() -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0:150", metavar="FIRST:LAST", help="LAST excluded")
    first, _, last = parser.parse_args().seeds.partition(":")
    return _report(_measured(range(int(first), int(last))))


def _measured(seeds: range) -> dict[str, Any]:
    """What `coverage json` says of the core, by the names of its modules, after these seeds."""
    coverage = Coverage(data_file=None, branch=True, source=["rafty_core"], omit=["*/rafty_core/simulation/*"])
    coverage.start()
    from rafty_core.simulation.run import run  # the definitions of the core are measured, too
    from tests.simulation.parts import REAL_CODEC

    for seed in seeds:
        run(seed, REAL_CODEC)
    coverage.stop()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "coverage.json")
        coverage.json_report(outfile=str(path))
        files = json.loads(path.read_text())["files"]
    return {Path(name).stem: {**found, "lines": Path(name).read_text().splitlines()} for name, found in files.items()}


def _report(modules: dict[str, Any]) -> int:
    watching = {name: found for name, found in modules.items() if name in WATCHERS}
    core = {name: found for name, found in modules.items() if name not in WATCHERS}
    listed, unlisted, wrong = [], [], set(NEVER)
    for name, found in core.items():
        for where, line, keys in _missed(found):
            key = next((key for key in ((name, text) for text in keys) if key in NEVER or key in SELDOM), None)
            if key is None:
                unlisted.append(f"  {name}:{where}: {line}")
            else:
                wrong.discard(key)
                listed.append(f"  {name}:{where}: {line}\n      {NEVER.get(key) or SELDOM[key]}")
    print("Missed, for a reason:", *listed, "", "Missed:", *unlisted, "", sep="\n")
    for name, text in sorted(wrong):
        print(f"Reached, though it is said to be out of reach: {name}: {text}")
    everything, alone, others = _percent(modules), _percent(watching), _percent(core)
    print(f"{everything:.2f} % of lines and branches of all; {alone:.2f} % of {', '.join(WATCHERS)}")
    print(f"{others:.2f} % of the core without them; at least {ENOUGH:.0f} % are asked for")
    return 1 if others < ENOUGH or wrong else 0


def _missed(found: dict[str, Any]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What was not run: where, the line, and the lines by which it may be listed. A branch is told if both its ends
    are run, and it is not."""
    lines, missing = found["lines"], found["missing_lines"]
    for number in missing:
        yield str(number), lines[number - 1].strip(), (lines[number - 1].strip(), lines[number - 2].strip())
    for start, end in found["missing_branches"]:
        if start not in missing and end not in missing:
            text = lines[start - 1].strip()
            yield f"{start}->{end if end > 0 else 'exit'}", text, (text,)


def _percent(modules: dict[str, Any]) -> float:
    reached = possible = 0
    for count in (found["summary"] for found in modules.values()):
        reached += count["covered_lines"] + count["covered_branches"]
        possible += count["num_statements"] + count["num_branches"]
    return 100 * reached / possible


if __name__ == "__main__":
    sys.exit(main())
