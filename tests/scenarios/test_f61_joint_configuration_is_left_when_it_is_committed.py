"""A restarted leader finds a joint configuration that nobody committed, and must not leave it yet.

Left at once, it would be committed by the new half alone: two majorities that share nobody.
"""

from tests.scenarios.story import Story


def test_restarted_leader_waits_for_the_joint_entry_to_be_committed() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "DE":
        story.join(name)
    story.change("A", ("add_voter", "D"), ("add_voter", "E"), ("remove", "B"), ("remove", "C"))
    story.until(lambda: story["A"].status.configuration.is_joint, "ABCDE")
    story.persist("A")
    story.crash("A")
    story.elect("A", "ABCDE", settle=False)
    assert story["A"].status.configuration.is_joint
    for _ in range(3):
        story.wait(0.1, "A")
        story.settle("ADE")  # the new half alone: nothing is decided
    assert story["A"].status.configuration.is_joint
    story.wait(0.1, "A")
    story.beat("A", "ABCDE", 3)
    assert story["A"].status.configuration.voter_ids == ("A", "D", "E")
