"""A probe that is lost is sent again.

A is elected and sends B its first append, alone, since it does not know B's log yet. That append is lost. A must not
wait for its answer for ever.
"""

from rafty_core import AppendEntries, PeerUnreachable
from tests.scenarios.story import Story


def test_heartbeat_answer_wakes_a_probe() -> None:
    story = Story("ABC")
    story.elect("A", "ABC", settle=False)
    story.drop(to="B")
    story.settle("AC")
    assert story["A"].status.peers[0].paused
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story["B"].log == story["A"].log


def test_lost_connection_turns_a_stream_into_a_probe_that_goes_on() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"x")
    story.drop(to="B")
    output = story.step("A", PeerUnreachable("B"))
    assert [(message.to, type(message)) for message in output.messages] == [("B", AppendEntries)]
    story.drop(to="B")
    story.settle("AC")
    story.wait(0.1, "A")
    story.settle("ABC")
    assert story["B"].applied == [b"x"]
