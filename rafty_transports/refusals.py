"""How often somebody was refused, and why.

Law: *nothing from the wire ever becomes a key: the reasons are those of this program, and there are no others.*

A port that withstands anyone does so in silence, unless it counts. What is counted here is shown by RAFTY STATUS and by
INFO, a line for each reason, so that an attack, a wrong password in a configuration and a limit that is too low can be
told from one another without a log.
"""

from collections.abc import Iterable


class Refusals:
    """Counters of refusals by reason.

    reasons     every reason that there is; they are shown in this order, also those that never occurred

    Not promised: that a count survives a restart.
    """

    def __init__(self, reasons: Iterable[str]) -> None:
        self._counts = dict.fromkeys(reasons, 0)

    def count(self, reason: str) -> None:
        """Count one more refusal. Raises `ValueError` for a reason that was not named at the beginning."""
        if reason not in self._counts:
            raise ValueError(f"{reason!r:.100} is no reason for a refusal here; name it when making Refusals")
        self._counts[reason] += 1

    def items(self) -> list[tuple[str, int]]:
        """Each reason with its count since the beginning."""
        return list(self._counts.items())

    def __contains__(self, reason: str) -> bool:
        return reason in self._counts

    def __getitem__(self, reason: str) -> int:
        return self._counts[reason]

    @property
    def total(self) -> int:
        """All refusals since the beginning."""
        return sum(self._counts.values())
