"""Fields that should hold sequences hold something else: the message is dropped, and `step` does not raise.

The codec never lets such a message through; a transport of somebody else's may. Found by review.
"""

from typing import Any

import pytest

from rafty_core import AppendEntries, Batch, ForwardedProposal, ForwardedProposalResponse, ProtocolViolation
from tests.scenarios.story import Story

ODD: list[Any] = [5, None, {}, {b"\x01a": 1}, "text", b"\x01a"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_message_with_an_odd_sequence_is_dropped(odd: Any) -> None:
    story = Story("ABC")
    for message in (
        ForwardedProposal("A", "B", 1, 1, 1, odd),
        ForwardedProposalResponse("A", "B", 1, 1, 1, "applied", odd),
        AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, odd)),
    ):
        output = story.step("B", message)
        assert [type(notice) for notice in output.notices] == [ProtocolViolation]
    assert story["B"].status.violations == 3
