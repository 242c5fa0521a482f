"""R214: a machine is right, and has no answer to a batch without commands.

Found by reading: a node never applies such a batch. The kit for machines did, if it was asked for eight commands, and
called the machine wrong.
"""

from collections.abc import Sequence

from rafty_transports.testing import check_state_machine


class Strict:
    """Applies commands, and nothing else."""

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        if not commands:
            raise ValueError("there is nothing to apply")
        return [b"done" for _ in commands]


def test_r214_no_machine_is_asked_for_nothing() -> None:
    for count in (8, 9):
        assert check_state_machine(Strict, lambda random: b"x", count=count, only=["one_result_for_each"], seeds=[1])
