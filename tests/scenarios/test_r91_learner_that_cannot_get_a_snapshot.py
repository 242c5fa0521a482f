"""A learner that answers but never gets the snapshot that it needs is given up, and the cluster can change again.

Its fetches fail: the leader has the file no more, or what comes is damaged, or its disk is full. It would be offered
one for ever, and no other change is accepted while this one is under way.
"""

from rafty_core import ChangeRefused, Configuration, SnapshotFailed
from tests.scenarios.story import Story


def test_r91_learner_that_cannot_get_a_snapshot_is_given_up() -> None:
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    story.take_snapshot("A")
    story.settle("ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    for _ in range(30):
        story.wait(0.1, "A")
        for _ in range(4):
            for name in "ABCD":
                story.persist(name)
            fetch, story["D"].fetch = story["D"].fetch, None
            if fetch is not None:
                story.step("D", SnapshotFailed(fetch.snapshot.index, fetch.snapshot.term))
            story.deliver()
    answer = story["A"].answer("change")
    assert isinstance(answer.error, ChangeRefused)
    assert "could not get a snapshot in 3 attempts" in str(answer.error)
    assert story["A"].status.configuration == Configuration.of("A", "B", "C")
