"""No round of heartbeats begins for a read that nobody waits for any more.

Its time is over in the very step in which the first entry of the term is committed. It went into a round all the same,
and was refused by whatever step came next: by a message, say, that changes nothing.
"""

from rafty_core import AppendEntries, AppendEntriesResponse, NotLeader, Read
from tests.scenarios.story import Story


def test_r178_read_that_is_late_as_it_could_be_confirmed_is_refused_in_that_step() -> None:
    story = Story("AB", settings={"forward_timeout": 0.4})
    story.elect("A", "AB", settle=False)
    story.step("A", Read("late"))
    story.now += 0.2
    story.step("A", Read("in time"))
    story.persist("A")
    story.deliver(AppendEntries)
    story.persist("B")
    story.now += 0.2
    story.deliver(AppendEntriesResponse)
    assert story["A"].status.commit_index > 0
    assert isinstance(story["A"].answer("late").error, NotLeader)
    story.settle("AB")
    assert story["A"].answer("in time").error is None
    assert story["A"].answer("late").index == 0
