"""What is handed to the state machine, and how far ahead."""

from rafty_core.applying import Applying
from rafty_core.log import Log
from rafty_core.output import Committed


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
