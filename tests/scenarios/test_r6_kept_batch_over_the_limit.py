"""A batch that was received under a larger limit is cut anew when it is sent under a smaller one.

The log keeps the newest batches as they came, so that each is encoded once. One that a former leader had built with a
larger limit, or that was loaded from the disk, went out whole. Found by review.
"""

from rafty_core import AppendEntries, Batch
from rafty_core.log import Log
from tests.scenarios.story import Story


def test_kept_batch_is_not_handed_out_over_the_limit() -> None:
    log = Log()
    log.replace_from(Batch(1, 1, [b"\x01" + bytes(49)] * 10))
    batch = log.batch_at(1, 100)
    assert (batch.first, batch.last, batch.weight) == (1, 2, 100)
    assert log.batch_at(1, 10).last == 1  # at least one entry, whatever it weighs


def test_new_leader_sends_what_it_received_in_pieces() -> None:
    story = Story("AB", settings={"max_batch_bytes": 100})
    story.step("A", AppendEntries("B", "A", 1, 0, 0, 0, Batch(1, 1, [b"\x01" + bytes(49)] * 10)))
    story.persist("A")
    story.elect("A", "AB")
    appends = [message for message in story.sent(AppendEntries, to="B") if message.batch is not None]
    assert all(message.batch.weight <= 100 for message in appends if message.batch is not None)
    story.settle("AB")
    assert story["B"].log == story["A"].log
