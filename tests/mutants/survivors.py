"""Mutants that the simulation does not find: those that change nothing, with the proof, and those that are gaps.

Law: *who survives without a proof is a gap, and is called one.*
"""

from collections.abc import Mapping

PROOFS: Mapping[str, str] = {
    "F58b": (
        "A leader appends a configuration only when the one before it is committed (I13, checked at each step), so "
        "that no truncation ever takes two: one level is all there is. The scenario makes such a log by hand."
    ),
    "F103b": (
        "The log itself refuses to be committed beyond its end, with a `ValueError` too: only the sentence that the "
        "person reads is another one, and the scenario looks at that."
    ),
    "F108b": (
        "Since R133 the write-ahead log is written anew and synced before the database is opened, so that nothing is "
        "left for the second safeguard to do; the scenario counts the syncs."
    ),
}
"""By mutant: why nothing changes, whatever happens."""

ONE_PROCESS = "gap: it takes two processes at once, and the simulation of the store has one"

GAPS: Mapping[str, str] = dict.fromkeys(("R187a", "R187b", "R188"), ONE_PROCESS) | {
    "R187c": "gap: there are no links on the simulated disk"
}
"""By mutant: why the simulation does not see it. Of those in neither list the moment has not come in the seeds run."""

SURVIVORS: Mapping[str, str] = {**{name: f"proof: {text}" for name, text in PROOFS.items()}, **GAPS}
"""By mutant: what is known of those that the simulation does not find."""
