"""The entry that leaves a joint configuration is sent in the step that appends it, and waits for no heartbeat."""

from rafty_core import AppendEntries
from tests.scenarios.story import Story


def test_each_step_of_a_change_is_sent_when_it_is_appended() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    sent = [story["A"].status.last_index]
    while not story["A"].answers:
        for name in "ABC":
            story.persist(name)
        before = story["A"].status.last_index
        message = story.air.pop(0)
        output = story.step(message.to, message)
        if story["A"].status.last_index > before:
            appends = [found for found in output.messages if isinstance(found, AppendEntries) and found.batch]
            assert {found.to for found in appends} == {"B", "C"}
            sent.append(story["A"].status.last_index)
    assert sent == [2, 3]
    assert story.now == 0.6
