"""B is removed from {A, B}: what A alone holds is committed as soon as A alone decides, and needs no further news."""

from tests.scenarios.story import Story


def test_entries_of_the_leader_alone_are_committed_when_it_is_alone() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.change("A", ("remove", "B"))
    story.until(lambda: story["A"].status.configuration == story["A"].raft.committed_configuration or left(story), "AB")
    story.propose("A", b"x", token="x")
    story.drop()
    story.persist("A")  # B says nothing any more
    story.apply("A")
    assert story["A"].status.commit_index == story["A"].status.last_index
    assert story["A"].answer("x").error is None
    assert story["A"].answer("change").error is None


def left(story: Story) -> bool:
    """Whether A has appended the configuration of itself alone."""
    configuration = story["A"].status.configuration
    return configuration.voter_ids == ("A",) and configuration.at_rest
