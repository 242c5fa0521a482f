"""What is handed to the state machine, and how far ahead."""

from rafty_core.applying import Applying
from rafty_core.log import Log
from rafty_core.output import Committed, Restore


def committed_log(commit: int) -> Log:
    log = Log()
    log.append(1, [b"\x01%d" % index for index in range(1, 7)])
    log.commit_to(commit)
    return log


def test_committed_and_durable_entries_are_handed_out_once() -> None:
    applying = Applying(0, 1000)
    assert applying.hand_out(committed_log(4), 2) == Committed(1, [b"\x011", b"\x012"])
    assert applying.hand_out(committed_log(4), 2) is None
    assert applying.hand_out(committed_log(4), 6) == Committed(3, [b"\x013", b"\x014"])
    assert (applying.handed_out, applying.applied) == (4, 0)


def test_no_more_than_the_bound_is_handed_out_ahead() -> None:
    applying, log = Applying(0, 5), committed_log(6)
    assert applying.hand_out(log, 6) == Committed(1, [b"\x011", b"\x012"])
    assert applying.hand_out(log, 6) == Committed(3, [b"\x013"])
    assert applying.hand_out(log, 6) is None
    applying.confirm(1)
    assert applying.hand_out(log, 6) is None
    applying.confirm(2)
    assert applying.hand_out(log, 6) == Committed(4, [b"\x014"])
    assert applying.applied == 2


def test_committed_knows_its_commands() -> None:
    committed = Committed(7, [b"\x00", b"\x01a", b"\x01", b"\x00"])
    assert (committed.last, committed.commands()) == (10, [b"a", b""])


def restored(log: Log) -> Applying:
    applying = Applying(0, 5)
    assert applying.hand_out(log, 6) == Committed(1, [b"\x011", b"\x012"])
    log.restore(9, 2, log.configurations.newest)
    applying.restore = Restore(9, 2)
    return applying


def test_snapshot_is_handed_out_when_it_is_durable_and_before_anything_behind_it() -> None:
    log = committed_log(3)
    applying = restored(log)
    log.append(2, [b"\x01a"])
    log.commit_to(10)
    assert applying.hand_out(log, 3) is None
    assert applying.hand_out(log, 10) == Restore(9, 2)
    assert (applying.restore, applying.handed_out, applying.applied) == (None, 9, 0)
    assert applying.hand_out(log, 10) == Committed(10, [b"\x01a"])
    applying.confirm(2)
    applying.confirm(9)
    applying.confirm(10)
    assert applying.applied == 10


def test_snapshot_is_handed_out_however_much_is_outstanding() -> None:
    log = committed_log(6)
    applying = restored(log)
    assert applying.hand_out(log, 9) == Restore(9, 2)
    assert applying.hand_out(log, 9) is None


def test_newer_snapshot_takes_the_place_of_one_that_was_not_handed_out() -> None:
    log = committed_log(3)
    applying = restored(log)
    log.restore(12, 3, log.configurations.newest)
    applying.restore = Restore(12, 3)
    assert applying.hand_out(log, 9) is None
    assert applying.hand_out(log, 12) == Restore(12, 3)
