"""What the kits share: the error that names a fault, and tables of rules.

Law: *a failure is one sentence that names the rule and the fault; a reader finds the rule under its name.*
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class ConformanceError(AssertionError):
    """An implementation breaks a rule of its seam.

    seam   "transport", "log store" or "state machine"
    rule   the rule's name, as the kit's docstring lists it
    fault  what was seen, in one sentence
    """

    def __init__(self, seam: str, rule: str, fault: str) -> None:
        super().__init__(seam, rule, fault)
        self.seam, self.rule, self.fault = seam, rule, fault

    def __str__(self) -> str:
        return f"this {self.seam} breaks the rule `{self.rule}`: {self.fault}"


class Fault(Exception):
    """A rule's own way to say what is wrong; the kit makes a `ConformanceError` of it."""


def require(held: object, fault: str) -> None:
    """Raise `Fault` with this sentence unless `held` is true."""
    if not held:
        raise Fault(fault)


@dataclass(frozen=True, slots=True)
class Rule(Generic[F]):
    """One rule: its name and the function that tries to break it, whose docstring says what is asked."""

    name: str
    attempt: F


def chosen(table: Sequence[Rule[F]], only: Collection[str] | None, skip: Collection[str]) -> list[Rule[F]]:
    """The rules of these names, in the order of the table. Raises `ValueError` for a name that is none."""
    names = {rule.name for rule in table}
    unknown = sorted({*(only or ()), *skip} - names)
    if unknown:
        raise ValueError(f"there is no rule {unknown[0]}; choose among {', '.join(sorted(names))}")
    return [rule for rule in table if rule.name not in skip and (only is None or rule.name in only)]


@contextmanager
def judged(seam: str, rule: str) -> Iterator[None]:
    """Whatever the rule finds, or the implementation raises, leaves as a `ConformanceError`."""
    try:
        yield
    except Fault as fault:
        raise ConformanceError(seam, rule, str(fault)) from fault.__cause__
    except Exception as error:
        raise ConformanceError(seam, rule, f"it raised {error!r:.300} where the rule expects it to work") from error


@contextmanager
def calling(what: str) -> Iterator[None]:
    """What the implementation raises inside is a fault: `what` raised this."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        raise Fault(f"{what} raised {error!r:.300}") from error
