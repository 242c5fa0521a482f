"""Two learners are to be voters: one has everything, the other fetches a large snapshot, and nobody writes meanwhile.

The next write came, and the first was given up at once: "answers, but takes no entries for 6.0 s". It had lacked none
until that moment. Found by a contract of the simulation: a change is given up for a reason that is true.
"""

from rafty_core import Configuration
from tests.scenarios.story import Story


def test_r170_learner_that_lacked_nothing_is_not_stuck() -> None:
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.settle("ABC")
    story.take_snapshot("A")
    story.settle("ABC")
    for name in "DE":
        story.join(name)
    story.change("A", ("add_voter", "D"), ("add_voter", "E"))
    for _ in range(60):
        story.wait(0.1, "A")
        for _ in range(4):
            for name in "ABCDE":
                story.persist(name)
                story.apply(name)
            if story["D"].fetch is not None:
                story.receive_snapshot("D")
            story.deliver()
    assert story["E"].fetch is not None
    assert story["D"].status.last_index == story["A"].status.last_index
    story.propose("A", b"y")
    story.settle("ABCD")
    story.beat("A", "ABCD", 2)
    assert [answer for answer in story["A"].answers if answer.token == "change"] == []
    story.receive_snapshot("E")
    story.beat("A", "ABCDE", 10)
    assert story["A"].answer("change").error is None
    assert story["A"].status.configuration.voters == Configuration.of(*"ABCDE").voters
