"""Two learners are to be voters: the first is close, and then stalls while the second is caught up.

Once found close it was never looked at again, and was promoted far behind. And a learner that answers heartbeats but
takes no entry, since its disk stands still, was waited for without end, with every other change refused. Found by
review.
"""

from rafty_core import Heartbeat
from tests.scenarios.story import Story


def beat_without_entries(story: Story, learner: str) -> None:
    """One round in which this learner gets the heartbeat alone."""
    story.wait(0.1, "A")
    story.deliver(Heartbeat, to=learner)
    story.drop(to=learner)
    answers = story.drop(sender=learner)
    story.settle("AB")
    for answer in answers:
        story.step("A", answer)
    story.drop(to=learner)
    story.settle("AB")


def test_learner_that_was_close_must_stay_so_until_all_are() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    for name in "DE":
        story.join(name)
    story.change("A", ("add_voter", "D"), ("add_voter", "E"))
    story.beat("A", "ABD", 2)
    for _ in range(10):
        story.propose("A", b"x")
        beat_without_entries(story, "D")
    behind = story["D"].status.last_index
    story.settle("ABE")
    for _ in range(10):
        story.wait(0.1, "A")
        story.settle("ABE")
        assert story["A"].status.configuration.all_voter_ids == ("A", "B")
    assert behind + 10 <= story["A"].status.last_index
    story.beat("A", "ABDE", 10)
    assert story["A"].status.configuration.voter_ids == ("A", "B", "D", "E")


def test_learner_that_takes_no_entries_is_given_up() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    story.drop(to="D")
    story.settle("AB")
    for _ in range(49):
        beat_without_entries(story, "D")
    assert [answer for answer in story["A"].answers if answer.token == "change"] == []
    for _ in range(4):
        beat_without_entries(story, "D")
    assert "takes no entries" in str(story["A"].answer("change").error)
    assert story["A"].status.configuration.member("D") is None
