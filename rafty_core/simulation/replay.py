"""The file that replays a failure.

Law: *it holds every option, so that the run is the same whatever a seed means by then.*

A file may come from anywhere. So each value is looked at before anything runs, as are those that a user gives.
"""

import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from rafty_core.simulation.churn import NAMES
from rafty_core.simulation.failure import VERSION
from rafty_core.simulation.faults import AT_POINTS, STRIKES
from rafty_core.simulation.options import Options

TYPES = get_type_hints(Options)

CHOICES = {
    "application": ("none", "registers", "sessions"),
    "machine": ("from the snapshot", "from nothing", "durable"),
}

PROBABILITIES = (
    "lossy",
    "repeating",
    "delaying",
    "replaying",
    "encoding",
    "corrupting",
    "reporting",
    "gathering",
    "striking",
    "lingering",
    "fetch_failing",
)

MOST: dict[str, float] = dict.fromkeys(PROBABILITIES, 1) | {"clock_drift": 0.9, "size": len(NAMES)}
"""The largest values of the options that have a bound."""

PARTS = {"replay": str, "invariant": str, "text": str, "options": dict}
"""What stands in a file."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a file says: what to run, what broke then, and how it was run."""

    options: Options
    number: str
    text: str
    replay: str


def load(path: Path) -> Recipe:
    """Read a file that `SimulationFailure.save` wrote. Raises `ValueError` for any other."""
    try:
        content = json.loads(path.read_text())
        known = content.get("rafty simulation") == VERSION
    except (ValueError, AttributeError, RecursionError):
        known = False
    if not known:
        raise ValueError(f"{path} is no file of a simulation, or one of another version of rafty")
    try:
        for name, kind in PARTS.items():
            if type(content.get(name)) is not kind:
                raise ValueError(f"what it says of {name!r} is missing, or cannot be used")
        return Recipe(_options(content["options"]), content["invariant"], content["text"], content["replay"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} was written by another version of rafty, or was damaged: {error}") from error


def checked(name: str, value: Any) -> Any:
    """The value, if this option can have it. Raises `TypeError` or `ValueError` otherwise."""
    kind = TYPES[name]
    if name in ("kept", "kinds"):
        is_set = isinstance(value, frozenset) and all(isinstance(item, str) for item in value)
        if not is_set and (value is not None or name != "kept"):
            raise TypeError(f"option {name} must be a set of names, not {value!r:.100}")
        for strange in sorted(set(value or ()).difference(STRIKES, AT_POINTS) if name == "kinds" else ()):
            raise ValueError(f"option kinds has {strange!r:.100}, which names no strike")
    elif type(value) not in ((int, float) if kind is float else (kind,)):
        raise TypeError(f"option {name} must be of type {kind.__name__}, not {value!r:.100}")
    elif name in CHOICES and value not in CHOICES[name]:
        raise ValueError(f"option {name} must be one of {', '.join(map(repr, CHOICES[name]))}, not {value!r:.100}")
    elif kind in (int, float) and name != "seed":
        least, most = 1 if name == "size" else 0, MOST.get(name, sys.float_info.max)
        if not least <= value <= most:
            room = f"from {least} to {most}" if name in MOST else "0 or more" if value < 0 else "a finite number"
            raise ValueError(f"option {name} must be {room}, not {value!r:.100}")
    return value


def fitting(options: Options) -> Options:
    """These options, if nodes can be made by them. Raises `ValueError` otherwise."""
    options.config("n1", 1, "")
    options.members(["n1"])
    return options


def _options(values: dict[str, Any]) -> Options:
    names = {field.name for field in fields(Options)}
    for wrong, what in ((names - set(values), "missing"), (set(values) - names, "not known")):
        if wrong:
            raise ValueError(f"of its options these are {what}: {', '.join(sorted(wrong))}")
    sets = {name: _set(values[name]) for name in ("kept", "kinds")}
    return fitting(Options(**{name: checked(name, value) for name, value in (values | sets).items()}))


def _set(value: Any) -> Any:
    """The set that JSON has as a list of names; anything else as it is."""
    is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return frozenset(value) if is_list else value
