"""The contracts about leadership and membership, together, with the account that they share.

Law: *one account, noted once a step; each contract reads it.*
"""

from collections.abc import Sequence

from rafty_core.events import Event
from rafty_core.history import Ghost
from rafty_core.invariants import state_of
from rafty_core.output import Output
from rafty_core.raft import Raft
from rafty_core.simulation.contracts import Before
from rafty_core.simulation.contracts_membership import MembershipContracts
from rafty_core.simulation.contracts_transfer import TransferContracts
from rafty_core.simulation.leader_account import LeaderAccount


class Promises:
    """What one life of a node promised, as a leader and to who asked it. `ghost`: what was ever committed."""

    def __init__(self, raft: Raft, ghost: Ghost) -> None:
        self._account = LeaderAccount()
        self._membership = MembershipContracts(ghost, self._account)
        self._transfer = TransferContracts(self._account, state_of(raft))

    def after(self, before: Before | None, raft: Raft, events: Sequence[Event], output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        if before is None:
            return
        state = state_of(raft)
        led = self._account.follow(before, state, events)
        self._membership.after(before, state, events, output, led=led)
        self._transfer.after(before, state, events, output, led=led)
        if led:
            self._account.say(output)
