"""A leader whose driver tells no results says of a forwarded proposal how much of it was applied.

B's two commands stand in A's log; the first reaches C, which is elected and keeps it, and the second is lost. B, told
that nothing of it was applied, would send the first once more.
"""

from rafty_core import AppendEntries, Applied, ForwardedProposal
from rafty_core.outcomes import Superseded
from tests.scenarios.story import Story


def test_r177_commands_that_were_applied_without_results_are_counted() -> None:
    story = Story("ABC", settings={"max_batch_bytes": 1, "forward_timeout": 60.0})
    story.elect("A", "ABC")
    story.propose("B", b"x", b"y", token="xy")
    story.deliver(ForwardedProposal)
    first, _ = (message for message in story.sent(AppendEntries, "A", "C") if message.batch is not None)
    story.drop()
    story.step("C", first)
    story.elect("C", "BC")
    story.persist("A")
    story.until(lambda: story["A"].status.commit_index == 3, "AC")
    story.persist("A")
    story.step("A", Applied(3))
    story.settle("ABC", apply=False)
    answer = story["B"].answer("xy")
    assert isinstance(answer.error, Superseded)
    assert answer.applied == 1
