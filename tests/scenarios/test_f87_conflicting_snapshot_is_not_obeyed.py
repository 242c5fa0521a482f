"""A snapshot of another history than what is committed here is somebody's bug, or another cluster's.

B has committed entries 1 to 3 of term 2. Offered are a snapshot whose entry 3 is of another term, and one far ahead
whose last entry is of a term before entry 3's: no log leads there through entry 3.
"""

import pytest

from rafty_core import Heartbeat, InstallSnapshot
from tests.scenarios.story import Story


def committed() -> Story:
    story = Story("ABC", logs={"": [2, 2, 2]})
    story.step("B", InstallSnapshot("A", "B", 4, 3, 2, story["B"].status.configuration))
    assert story["B"].status.commit_index == 3
    story.drop()
    return story


@pytest.mark.parametrize(
    ("index", "term", "text"),
    [
        (3, 1, "A has a snapshot with another entry at the committed index 3"),
        (2, 1, "A has a snapshot with another entry at the committed index 2"),
        (9, 1, "A has a snapshot without the entry that is committed at 3"),
    ],
)
def test_conflicting_snapshot_is_refused(index: int, term: int, text: str) -> None:
    story = committed()
    output = story.step("B", InstallSnapshot("A", "B", 4, index, term, story["B"].status.configuration))
    assert (output.fetch, output.messages) == (None, [])
    assert [notice.text for notice in output.notices] == [text]  # type: ignore[union-attr]
    assert story["B"].status.commit_index == 3


def test_snapshot_that_leads_on_is_fetched() -> None:
    story = committed()
    assert story.step("B", InstallSnapshot("A", "B", 4, 9, 2, story["B"].status.configuration)).fetch is not None


def test_second_leader_of_a_term_offers_in_vain() -> None:
    story = committed()
    story.step("B", Heartbeat("A", "B", 4, 0, 1))
    output = story.step("B", InstallSnapshot("C", "B", 4, 9, 2, story["B"].status.configuration))
    assert (output.fetch, story["B"].status.violations) == (None, 1)
