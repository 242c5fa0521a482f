"""A configuration whose goal cannot be reached is refused where it arrives, and not met later, by a leader in a rule.

No correct node writes one. In the log it would be a trap: whoever leads and commits it takes the next step to the goal,
finds no voters or no such member, and stops; and so would the next.
"""

import json
from typing import Any

import pytest

from rafty_core import AppendEntries, Batch, Configuration, InstallSnapshot
from rafty_core.entries import CONFIGURATION
from tests.scenarios.story import Story

VOTERS = [["A", "", ""], ["B", "", ""], ["C", "", ""]]
GOALS: list[dict[str, Any]] = [
    {},
    {"voters": [["A", "", ""], ["Z", "", ""]]},
    {"voters": [["A", "", ""]], "outgoing": [["B", "", ""]]},
]


@pytest.mark.parametrize("goal", GOALS)
def test_r104_entry_is_refused(goal: dict[str, Any]) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    entry = CONFIGURATION + json.dumps({"voters": VOTERS, "goal": goal}).encode()
    story.step("B", AppendEntries("A", "B", 1, 1, 1, 1, Batch(2, 1, [entry])))
    assert (story["B"].status.violations, story["B"].log) == (1, [1])


@pytest.mark.parametrize("goal", GOALS)
def test_r104_snapshot_is_refused(goal: dict[str, Any]) -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    configuration = Configuration.decode(json.dumps({"voters": VOTERS, "goal": goal}))
    story.step("B", InstallSnapshot("A", "B", 1, 9, 1, configuration))
    assert (story["B"].status.violations, story["B"].fetch) == (1, None)


def test_r104_goal_that_is_in_reach_is_taken() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    goal = {"voters": VOTERS[:2]}
    entry = CONFIGURATION + json.dumps({"voters": VOTERS, "goal": goal}).encode()
    story.step("B", AppendEntries("A", "B", 1, 1, 1, 1, Batch(2, 1, [entry])))
    assert (story["B"].status.violations, story["B"].log) == (0, [1, 1])
