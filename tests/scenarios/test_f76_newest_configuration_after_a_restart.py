"""After a restart the configuration of the newest entry is in force, be it in the log, the snapshot, or both.

Nothing is applied twice: an older configuration that is handed to the state machine again changes no member.
"""

from rafty_core import Configuration
from tests.scenarios.story import Story

FOUR, THREE = Configuration.of("A", "B", "C", "D"), Configuration.of("A", "B", "D")


def changed_twice(snapshot_between: bool) -> Story:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"), token="one")
    story.beat("A", "ABCD")
    if snapshot_between:
        for name in "ABD":
            story.take_snapshot(name)
            story.persist(name)
    story.change("A", ("remove", "C"), token="two")
    story.beat("A", "ABCD", 3)
    return story


def members(story: Story, name: str) -> tuple[str, ...]:
    return story[name].status.configuration.voter_ids


def test_log_behind_a_snapshot_has_the_newer_configuration() -> None:
    for between in (False, True):
        story = changed_twice(between)
        story.crash("A", "B", "D")
        for name in "ABD":
            assert members(story, name) == THREE.voter_ids
        story.elect("B", "ABD")
        assert {members(story, name) for name in "ABD"} == {THREE.voter_ids}
        story.settle("ABD")
        assert {members(story, name) for name in "ABD"} == {THREE.voter_ids}


def test_snapshot_has_the_configuration_of_its_index_and_not_a_newer_one() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    story.change("A", ("remove", "C"))
    story.persist("A")
    story.take_snapshot("A")
    story.persist("A")
    assert story["A"].disk.snapshot.configuration == Configuration.of("A", "B", "C")
    story.crash("A")
    assert story["A"].status.configuration.is_joint
    story.elect("B", "BC")
    story.beat("B", "ABC", 2)
    assert story["A"].status.configuration == Configuration.of("A", "B", "C")


def test_installed_snapshot_brings_its_configuration_and_it_is_in_force_after_a_restart() -> None:
    story = Story("ABCE")
    story.elect("A", "ABCE")
    story.change("A", ("remove", "C"))
    story.beat("A", "ABC", 8)  # so long that nothing is kept for E any more
    for number in range(5):
        story.propose("A", b"%d" % number)
    story.settle("AB")
    story.take_snapshot("A")
    story.persist("A")
    story.beat("A", "ABE", 3)
    assert story["E"].status.snapshot_index == story["A"].status.snapshot_index
    assert members(story, "E") == ("A", "B", "E")
    story.crash("E")
    assert members(story, "E") == ("A", "B", "E")
    assert story["E"].applied == story["A"].applied
