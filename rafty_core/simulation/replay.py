"""The file that replays a failure.

Law: *it holds every option, so that the run is the same whatever a seed means by then.*
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rafty_core.simulation.failure import VERSION
from rafty_core.simulation.options import Options


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
    except (ValueError, AttributeError):
        known = False
    if not known:
        raise ValueError(f"{path} is no file of a simulation, or one of another version of rafty")
    try:
        options = _options(content["options"])
        return Recipe(options, content["invariant"], content["text"], content["replay"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} was written by another version of rafty, or was damaged: {error}") from error


def _options(values: dict[str, Any]) -> Options:
    names = {field.name for field in fields(Options)}
    if names != set(values):
        raise ValueError(f"the options {', '.join(sorted(names ^ set(values)))} are not there or not known")
    kept = None if values["kept"] is None else frozenset(values["kept"])
    return Options(**values | {"kept": kept, "kinds": frozenset(values["kinds"])})
