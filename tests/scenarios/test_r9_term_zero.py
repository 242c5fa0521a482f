"""Nobody leads, stands or votes in term 0: such a message comes from no correct node. Found by review."""

import pytest

from rafty_core import AppendEntries, ForwardedProposal, Heartbeat, Message, PreVote, ProtocolViolation, RequestVote
from tests.scenarios.story import Story


@pytest.mark.parametrize(
    "message",
    [
        RequestVote("A", "B", 0, 0, 0),
        PreVote("A", "B", 0, 0, 0),
        AppendEntries("A", "B", 0, 0, 0, 0),
        Heartbeat("A", "B", 0, 0, 1),
        ForwardedProposal("A", "B", 0, 1, 1, [b"x"]),
    ],
    ids=lambda message: type(message).__name__,
)
def test_request_of_term_zero_is_dropped(message: Message) -> None:
    story = Story("ABC")
    output = story.step("B", message)
    assert [type(notice) for notice in output.notices] == [ProtocolViolation]
    assert story["B"].status.leader is None
    assert story["B"].status.vote is None
