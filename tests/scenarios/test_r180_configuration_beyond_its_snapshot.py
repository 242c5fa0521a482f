"""The configuration of a snapshot is said to stand behind the snapshot's last entry. Found by fuzzing (seed 0).

No log has it there: a snapshot holds the configuration that is in force at its end. A node that took it would keep the
impossible index on its disk, and hand it on to others whenever it leads.
"""

from dataclasses import replace

import pytest

from rafty_core import Configuration, InstallSnapshot, ProtocolViolation
from tests.scenarios.story import Story

MEMBERS = Configuration.of("A", "B", "C")


@pytest.mark.parametrize("index", [6, 2**63 - 1])
def test_r180_configuration_beyond_the_end_of_its_snapshot_is_refused(index: int) -> None:
    story = Story("ABC")
    output = story.step("B", InstallSnapshot("A", "B", 1, 5, 1, replace(MEMBERS, index=index)))
    assert output.fetch is None
    assert [type(notice) for notice in output.notices][-1:] == [ProtocolViolation]
    assert story["B"].status.violations == 1


@pytest.mark.parametrize("index", [0, 4, 5])
def test_r180_configuration_up_to_the_end_of_its_snapshot_is_taken(index: int) -> None:
    story = Story("ABC")
    output = story.step("B", InstallSnapshot("A", "B", 1, 5, 1, replace(MEMBERS, index=index)))
    assert output.fetch is not None
    assert output.fetch.snapshot.configuration.index == index
    assert story["B"].status.violations == 0
