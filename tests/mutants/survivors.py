"""Mutants that the simulation does not find, each with the proof that it changes nothing, or the reason.

Law: *who survives without a proof is a gap, and is called one.*
"""

from collections.abc import Mapping

SURVIVORS: Mapping[str, str] = {
    "F58b": (
        "A leader appends a configuration only when the one before it is committed (I13, checked at each step), so "
        "that no truncation ever takes two: one level is all there is. The scenario makes such a log by hand."
    ),
    "F103b": (
        "The log itself refuses to be committed beyond its end, with a `ValueError` too: only the sentence that the "
        "person reads is another one, and the scenario looks at that."
    ),
    "F134b": (
        "Each caller bounds the index by the last one before: a heartbeat is refused that names more, an append proves "
        "what it names, a leader counts entries that it has. So the check behind it never fires, with `assert` or "
        "without; it is for a caller that is yet to be written."
    ),
}
"""By mutant: why."""
