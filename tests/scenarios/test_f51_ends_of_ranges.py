"""Ranges of the log begin and end where they say, also where a configuration stands at their very end."""

from rafty_core import AppendEntries, Batch, Configuration
from rafty_core.log import Configurations
from tests.scenarios.story import Story

ONE, TWO, THREE = (Configuration.of(*names) for names in ("A", "AB", "ABC"))


def entry(configuration: Configuration) -> bytes:
    return b"\x02" + configuration.encode()


def known() -> Configurations:
    configurations = Configurations(0, ONE)
    configurations.append(5, TWO)
    configurations.append(9, THREE)
    return configurations


def test_configuration_is_in_force_from_its_own_index_on() -> None:
    expected = {0: (0, ONE), 4: (0, ONE), 5: (5, TWO), 8: (5, TWO), 9: (9, THREE), 99: (9, THREE)}
    assert {index: known().at(index) for index in expected} == expected
    assert [len(known().since(index)) for index in (0, 4, 5, 8, 9)] == [3, 3, 2, 2, 1]


def test_truncation_from_its_own_index_takes_a_configuration_back() -> None:
    for first, index in ((10, 9), (9, 5), (6, 5), (5, 0), (1, 0)):
        configurations = known()
        configurations.truncate_from(first)
        assert configurations.index == index


def test_compaction_keeps_the_configuration_of_its_index() -> None:
    for index, first in ((4, 0), (5, 5), (8, 5), (9, 9)):
        configurations = known()
        configurations.compact(index)
        assert (configurations.first_index, configurations.newest) == (first, THREE)


def test_outcome_is_looked_for_from_the_first_index_to_the_last() -> None:
    assert [known().outcome(index, 9) for index in (5, 6, 9, 10)] == [TWO, THREE, THREE, None]
    assert [known().outcome(5, commit) for commit in (4, 5)] == [None, TWO]


def test_entries_of_a_range_are_those_from_the_first_to_the_last() -> None:
    story = Story("A", logs={"A": [1, 1, 2, 3]})
    assert [(found.index, found.term) for found in story["A"].raft.entries(2, 3)] == [(2, 1), (3, 2)]
    assert [found.index for found in story["A"].raft.entries(1, 4)] == [1, 2, 3, 4]
    assert story["A"].raft.entries(5, 4) == []


def test_configuration_in_the_last_entry_of_a_batch_is_found() -> None:
    story = Story("ABC")
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, [b"\x00", b"\x01x", entry(TWO)])))
    status = story["B"].status
    assert (status.configuration, status.configuration_index) == (TWO, 3)
    story.persist("B")
    story.crash("B")
    status = story["B"].status
    assert (status.configuration, status.configuration_index) == (TWO, 3)
