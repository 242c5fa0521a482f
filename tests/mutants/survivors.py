"""Mutants that the simulation does not find, for they change nothing that it could see; with the proof.

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
