"""An entry of an earlier term is not committed by counting its copies (paper 5.4.2, Figure 8).

A leads term 2 and appends entry 2, which reaches B alone. E leads term 3 and appends another entry 2, which reaches
nobody. A leads term 4 and brings its old entry to C: three of five hold it, and yet E can still win and overwrite it.
"""

from rafty_core import AppendEntriesResponse
from tests.scenarios.story import Story


def figure_8() -> Story:
    """Up to (c): A leads term 4, and B and C have acknowledged the entry of term 2, but none of term 4."""
    logs = {"A": [1, 2], "B": [1, 2], "C": [1], "D": [1], "E": [1, 3]}
    story = Story("ABCDE", logs=logs, terms={"": 3})
    story.elect("A", "ABC", settle=False)
    story.drop()
    story.step("A", AppendEntriesResponse("B", "A", 4, True, 2), AppendEntriesResponse("C", "A", 4, True, 2))
    return story


def test_majority_of_copies_of_an_earlier_term_commits_nothing() -> None:
    story = figure_8()
    story.persist("A")
    assert story["A"].status.commit_index == 0
    assert story["A"].committed == []


def test_entry_of_the_own_term_commits_what_is_before_it() -> None:
    story = figure_8()
    story.persist("A")
    story.step("A", AppendEntriesResponse("B", "A", 4, True, 3), AppendEntriesResponse("C", "A", 4, True, 3))
    assert story["A"].status.commit_index == 3


def test_overwritten_entry_was_never_applied_anywhere() -> None:
    story = figure_8()
    story.settle("A")
    story.crash("A")
    story.elect("E", "BCDE")
    story.settle("ABCDE")
    story.wait(0.1, "E")
    story.settle("ABCDE")
    for name in "ABCDE":
        assert story[name].log == [1, 3, 5]
        assert story[name].applied == [b"1 of term 1", b"2 of term 3"]
