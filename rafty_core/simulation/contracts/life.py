"""All contracts of one life of a node, with the accounts that they share.

Law: *one account, noted once a step; each contract reads it.*
"""

from collections.abc import Sequence

from rafty_core.events import Event
from rafty_core.invariants import ClusterInvariants, state_of
from rafty_core.output import Output
from rafty_core.raft import Raft
from rafty_core.simulation.contracts.before import Before, CountedRandom
from rafty_core.simulation.contracts.elections import ElectionContracts
from rafty_core.simulation.contracts.leader_account import LeaderAccount
from rafty_core.simulation.contracts.membership import MembershipContracts
from rafty_core.simulation.contracts.office import OfficeContracts
from rafty_core.simulation.contracts.order import check_order
from rafty_core.simulation.contracts.reads import ReadContracts
from rafty_core.simulation.contracts.replication import ReplicationContracts
from rafty_core.simulation.contracts.requests import RequestContracts
from rafty_core.simulation.contracts.snapshots import SnapshotContracts
from rafty_core.simulation.contracts.transfer import TransferContracts
from rafty_core.simulation.contracts.windows import WindowContracts


class Contracts:
    """The contracts of one life: call `before` and `after` around each step.

    raft        the core, as it starts
    chance      the source of chance that it was given
    now         what its clock shows
    term        the term that it was started with
    invariants  what the whole cluster knows: the ghost, the disks
    """

    def __init__(self, raft: Raft, chance: CountedRandom, now: float, term: int, invariants: ClusterInvariants) -> None:
        ghost, account = invariants.ghost, LeaderAccount()
        self._account = account
        self._elections = ElectionContracts(raft, chance, now, term)
        self._office = OfficeContracts(state_of(raft).id, now)
        self._requests = RequestContracts(state_of(raft).id, now)
        self._windows = WindowContracts(state_of(raft))
        self._replication = ReplicationContracts(raft, invariants)
        self._membership = MembershipContracts(ghost, account)
        self._transfer = TransferContracts(account, state_of(raft))
        self._snapshots = SnapshotContracts(raft, ghost)
        self._reads = ReadContracts(raft)

    @property
    def last(self) -> Before | None:
        """What the node was before its last step."""
        return self._elections.last

    def before(self, raft: Raft, now: float, events: Sequence[Event]) -> None:
        """The node is about to be told these events, at this time."""
        self._elections.before(raft, now, events)
        self._replication.before(raft, events)
        self._snapshots.before(raft, events)

    def after(self, raft: Raft, events: Sequence[Event], output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        before, state = self._elections.last, state_of(raft)
        if before is None:
            return
        self._elections.after(raft, output)
        self._office.after(before, state, events, output)
        check_order(state.id, events, output)
        self._requests.after(before, state, events, output)
        self._windows.after(before, state, events)
        self._replication.after(before, raft, output)
        led = self._account.follow(before, state, events)
        self._membership.after(before, state, events, output, led=led)
        self._transfer.after(before, state, events, output, led=led)
        if led:
            self._account.say(output)
        self._snapshots.after(raft, before, output)
        self._reads.after(raft, before, events, output)
