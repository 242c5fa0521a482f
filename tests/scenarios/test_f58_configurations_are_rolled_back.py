"""A truncated entry takes its configuration with it: one, or two at once, before a restart or after it."""

import pytest

from rafty_core import AppendEntries, Batch, Configuration, MembershipChanged
from tests.scenarios.story import Story

FIRST, SECOND, OTHER = (Configuration.of(*names) for names in ("ABCD", "ABCDE", "ABCF"))


def entry(configuration: Configuration) -> bytes:
    return b"\x02" + configuration.encode()


def appended(*entries: bytes) -> Story:
    """B holds these entries of A's term 1 behind the leader's no-op; nothing of them is committed."""
    story = Story("ABC")
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, [b"\x00", *entries])))
    story.persist("B")
    return story


def configuration_of(story: Story) -> tuple[int, Configuration]:
    status = story["B"].status
    return status.configuration_index, status.configuration


@pytest.mark.parametrize("restarted", [False, True])
def test_one_configuration_is_rolled_back(restarted: bool) -> None:
    story = appended(b"\x01x", entry(FIRST), b"\x01y")
    assert configuration_of(story) == (3, FIRST)
    if restarted:
        story.crash("B")
    story.step("B", AppendEntries("C", "B", 2, 2, 1, 0, Batch(3, 2, [b"\x00"])))
    assert configuration_of(story) == (0, Configuration.of("A", "B", "C"))
    assert story["B"].notices[-1] == MembershipChanged(0, Configuration.of("A", "B", "C"), False)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("first", "left"), [(3, (2, FIRST)), (2, (0, Configuration.of("A", "B", "C")))])
def test_two_configurations_are_rolled_back_as_far_as_they_are_gone(
    restarted: bool, first: int, left: tuple[int, Configuration]
) -> None:
    story = appended(entry(FIRST), b"\x01x", entry(SECOND))
    assert configuration_of(story) == (4, SECOND)
    if restarted:
        story.crash("B")
    story.step("B", AppendEntries("C", "B", 2, first - 1, 1, 0, Batch(first, 2, [b"\x00"])))
    assert configuration_of(story) == left
    story.persist("B")
    story.crash("B")
    assert configuration_of(story) == left


def test_another_configuration_in_the_place_of_two() -> None:
    story = appended(entry(FIRST), entry(SECOND))
    story.step("B", AppendEntries("C", "B", 2, 1, 1, 0, Batch(2, 2, [b"\x00", entry(OTHER)])))
    assert configuration_of(story) == (3, OTHER)


def test_two_configurations_behind_a_snapshot_fall_back_to_that_of_the_snapshot() -> None:
    story = Story("ABC", snapshot=(5, 1))
    story.step("B", AppendEntries("A", "B", 1, 5, 1, 5, Batch(6, 1, [entry(FIRST), entry(SECOND)])))
    story.persist("B")
    story.crash("B")
    story.step("B", AppendEntries("C", "B", 2, 5, 1, 5, Batch(6, 2, [b"\x00"])))
    assert configuration_of(story) == (0, Configuration.of("A", "B", "C"))


def test_deposed_leader_is_a_voter_again_when_its_own_removal_is_truncated() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("add_learner", "D"))
    story.persist("A")
    story.drop()
    story.crash("A")
    assert story["A"].status.configuration.member("D") is not None
    story.elect("B", "BC")
    story.beat("B", "ABC", 2)
    assert story["A"].status.configuration == Configuration.of("A", "B", "C")
