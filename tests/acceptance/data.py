"""The acceptance data: what the published tests of other Raft implementations pin down, as facts.

Law: *a case that is not here is a case like those that are*: tests read the files, whatever rows they hold.

`RAFTY_ACCEPTANCE` names another directory of the same form; by default the copy beside this file is read.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

DIRECTORY = Path(os.environ.get("RAFTY_ACCEPTANCE") or Path(__file__).parent / "data")

tables_used: set[str] = set()
"""Names of the tables that some test has asked for; filled as the test modules are imported."""


def table(name: str) -> Json:
    """The table of this name; without rows if the directory does not have it."""
    tables_used.add(name)
    path = DIRECTORY / "tables" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"name": name, "rows": []}


def rows(name: str) -> list[Any]:
    """The rows of the table of this name."""
    found = table(name)["rows"]
    return list(found)


def cases(name: str) -> list[Json]:
    """The cases of a file of majority arithmetic."""
    path = DIRECTORY / "quorum" / f"{name}.json"
    return list(json.loads(path.read_text())["cases"]) if path.exists() else []


def changes(name: str) -> list[Json]:
    """The steps of a file of changes of a configuration."""
    return list(json.loads((DIRECTORY / "confchange" / f"{name}.json").read_text())["steps"])


def names(kind: str) -> list[str]:
    """Names of all files of a kind: "tables", "quorum", "confchange" or "scripts"."""
    return sorted(path.stem for path in (DIRECTORY / kind).glob("*.json"))


def script(name: str) -> Json:
    """The script of this name."""
    return dict(json.loads((DIRECTORY / "scripts" / f"{name}.json").read_text()))


def rule_ids() -> list[str]:
    """The ids of all rules, in order."""
    return re.findall(r"^- (\S+-\d+) ", (DIRECTORY / "RULES.md").read_text(), re.MULTILINE)
