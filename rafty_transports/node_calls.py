"""What can be asked of a running node: proposals, reads, changes of membership, transfers, snapshots, sessions.

Law: *a call ends with a result, or with an exception that says whether it took effect.*

`Node` is this and the machinery that drives the core.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import anyio

from rafty_core.changes import Change, Unchangeable, target_of
from rafty_core.config import Config
from rafty_core.configuration import Configuration, Lease
from rafty_core.events import ChangeMembership, Event, Read, TransferLeadership
from rafty_core.outcomes import ChangeRefused, NotLeader, OutcomeUnknown, ProposalError, Stopped
from rafty_core.output import MembershipAnswer, MembershipChanged, ReadAnswer, TransferAnswer
from rafty_core.raft import Raft
from rafty_core.sessions import Sessions, plain
from rafty_transports.calls import Calls, Outcome
from rafty_transports.contacts import Contacts
from rafty_transports.interfaces import Identity, Refused, SnapshotInfo
from rafty_transports.members import Members
from rafty_transports.observers import Notices
from rafty_transports.requests import A, Request, Requests
from rafty_transports.session import Session

ReadMode = Literal["linearizable", "lease", "stale"]


class NodeCalls:
    """The callers' side of `Node`."""

    identity: Identity
    config: Config
    timeout: float
    _calls: Calls
    _requests: Requests
    _contacts: Contacts
    _members: Members
    _sessions: Sessions | None
    _raft: Raft | None
    _stopping: bool
    _asking: set[anyio.CancelScope]
    _wake: anyio.Event
    _leader_changed: anyio.Event

    # ------------------------------------------------- what the node provides

    @property
    def _core(self) -> Raft:
        raise Stopped("the node is not running")

    def _tell(self, event: Event) -> None:
        raise Stopped("the node is not running")

    def notices(self) -> Notices:
        """See `Node.notices`."""
        raise Stopped("the node is not running")

    async def _take_snapshot(self) -> SnapshotInfo:
        raise Stopped("the node is not running")

    # -------------------------------------------------------------- proposals

    async def propose(self, command: bytes, *, timeout: float | None = None) -> bytes:
        """Replicate one command; return its result once it is applied at the leader.

        Works on any node: a follower forwards to the leader. While there is no leader it waits for one.

        timeout  seconds to wait; None takes the node's own. A follower that forwarded the command gives up after
                 `Config.forward_timeout` at the latest.

        Raises `NotApplied` (`NotLeader`, `Overloaded`, `TooLarge`, `Superseded`, `Stopped`) if the command was not
        applied and never will be, and `OutcomeUnknown` if it may have been, or may still be. If the call is cancelled,
        the outcome is unknown too. Not promised: an order between calls that are under way at the same time.
        """
        outcome = (await self.propose_many((command,), timeout=timeout))[0]
        if isinstance(outcome, ProposalError):
            raise outcome
        return outcome

    async def propose_many(self, commands: Sequence[bytes], *, timeout: float | None = None) -> list[Outcome]:
        """Replicate several commands, in this order; return one outcome for each: its result, or an exception.

        The exceptions are returned, not raised, since some commands may be applied and others not. They mean what they
        mean in `propose`. Raises only for a wrong call (`TypeError` for what is not bytes).
        """
        weight = self._calls.weigh(commands)
        if isinstance(weight, ProposalError):
            return [weight] * len(commands)
        if not commands:
            return []
        given = None if timeout is None else anyio.current_time() + timeout
        deadline = given or anyio.current_time() + self.timeout
        if self._sessions is not None:
            commands = plain(commands)
        return await self._propose(commands, weight, given, deadline)

    async def propose_operations(self, commands: Sequence[bytes], *, timeout: float | None = None) -> list[Outcome]:
        """As `propose_many`, for operations of `rafty_core.sessions`, which are encoded already."""
        weight = self._calls.weigh(commands)
        if isinstance(weight, ProposalError):
            return [weight] * len(commands)
        given = None if timeout is None else anyio.current_time() + timeout
        return await self._propose(commands, weight, given, given or anyio.current_time() + self.timeout)

    async def _propose(
        self, commands: Sequence[bytes], weight: int, given: float | None, deadline: float
    ) -> list[Outcome]:
        while True:
            if self._stopping or self._raft is None:
                return [Stopped("the node is not running")] * len(commands)
            joined = self._calls.join(commands, weight, given)
            if isinstance(joined, ProposalError):
                return [joined] * len(commands)
            group, position = joined
            self._wake.set()
            if given is None:  # the group's own time is as long, and costs nothing for each call
                await group.done.wait()
            else:
                with anyio.CancelScope(deadline=given):
                    await group.done.wait()
                if not group.done.is_set():
                    return [OutcomeUnknown(self._too_late())] * len(commands)
            outcomes = group.outcomes(position, len(commands))
            if not (isinstance(outcomes[0], NotLeader) and await self._another_try(deadline)):
                return self._explained(outcomes)
            given = deadline  # another try has what is left of the time

    async def _another_try(self, deadline: float) -> bool:
        """Nobody accepted the commands, so that they may safely be proposed again: wait for a change of leader."""
        pause = min(deadline, anyio.current_time() + self.config.heartbeat_interval)
        with anyio.CancelScope(deadline=pause):
            await self._leader_changed.wait()
        return anyio.current_time() < deadline and not self._stopping

    def _explained(self, outcomes: list[Outcome]) -> list[Outcome]:
        first = outcomes[0]
        if isinstance(first, NotLeader) and first.leader is None:
            explained = NotLeader(f"{first}; {self.describe_contact()}")
            return [explained if outcome is first else outcome for outcome in outcomes]
        return outcomes

    def _too_late(self) -> str:
        return f"no outcome in time; {self.describe_contact()}"

    def describe_contact(self) -> str:
        """Whom this node heard within an election timeout, and when it last heard the others, in one phrase."""
        voters = self._core.status().configuration.all_voter_ids
        return self._contacts.describe(voters, anyio.current_time())

    def session(self, *, timeout: float | None = None) -> Session:
        """A session: its calls take effect exactly once, however often they must be retried (thesis 6.3).

            async with node.session() as session:
                result = await session.propose(command)

        timeout  seconds that a call of it may take, all its tries together; None: as long as it takes

        Raises `TypeError` unless the node's state machine is wrapped in `rafty_core.sessions.Sessions`.
        """
        if self._sessions is None:
            raise TypeError("sessions need a state machine that remembers them; give the node Sessions(machine)")
        return Session(self.propose_operations, timeout=timeout)

    # ------------------------------------------------------------------ reads

    async def read(self, mode: ReadMode = "linearizable", *, at_least: int = 0, timeout: float | None = None) -> int:
        """Wait until the state machine of this node may be read; return the index that it has applied.

        Read it before the next `await`: later it may be newer, which is right too, but never older.

        mode      "linearizable": it shows everything that was acknowledged to anybody before this call (thesis 6.4).
                  The leader is asked, and it asks a majority. "lease": the same, without asking a majority where the
                  cluster's configuration has a lease; relies on clocks. "stale": whatever is there now
        at_least  an index, as `read` or a snapshot named it: what is shown is not older than this
        timeout   seconds to wait; None takes the node's own

        Raises `NotApplied` (`NotLeader`, `Overloaded`, `Stopped`) if no leader confirmed the read in time, and
        `OutcomeUnknown` if the node stopped: a read changes nothing, so it is always safe to ask again.
        """
        deadline = anyio.current_time() + (self.timeout if timeout is None else timeout)
        if self._stopping or self._raft is None:
            raise Stopped("the node is not running")
        if mode not in ("linearizable", "lease", "stale"):
            raise ValueError(f"a read is linearizable, lease or stale, not {mode!r:.40}")
        if mode == "stale":
            await anyio.lowlevel.checkpoint()  # so that a loop of such reads lets the node live
        while mode != "stale":
            request = self._requests.join_reads(mode)
            self._wake.set()
            error = await self._wait_for(request, deadline, "the read was not confirmed in time")
            if error is None:
                break
            if not (isinstance(error, NotLeader) and await self._another_try(deadline)):
                raise error
        if self._core.applied_index < at_least:
            await self._wait_for_index(at_least, deadline)
        return self._core.applied_index

    async def _wait_for_index(self, index: int, deadline: float) -> None:
        if self._stopping:
            raise Stopped("the node was stopped before the index was applied")
        request: Request[ReadAnswer] = Request()
        self._tell(Read(self._requests.opened(request), "at_least", index))
        error = await self._wait_for(request, deadline, f"index {index} was not applied here in time")
        if error is not None:
            raise error

    async def _wait_for(self, request: Request[A], deadline: float, too_late: str) -> ProposalError | None:
        """Wait for the answer; what is wrong with it, or that it did not come."""
        with anyio.CancelScope(deadline=deadline):
            await request.done.wait()
        return request.error if request.done.is_set() else NotLeader(f"{too_late}; {self.describe_contact()}")

    # --------------------------------------------------------- administration

    async def change_membership(
        self,
        changes: Sequence[Change],
        *,
        based_on: int = 0,
        force: bool = False,
        lease: Lease | Literal["keep"] | None = "keep",
        on_stage: Callable[[MembershipChanged], None] | None = None,
        timeout: float = math.inf,
    ) -> Configuration:
        """Change who the members are (thesis 4); return the new configuration once it is committed.

        Only the leader takes it. New voters are caught up as learners first; then old and new voters decide together;
        then the new ones alone. If this leader falls, its successor goes on with the change, or undoes it.

        changes   what is to be different: `Change("add_voter", Member(id, address))`, "add_learner", "remove", "update"
        based_on  the index of the configuration that you looked at (`Status.configuration_index`): the change is
                  refused if another one is in force. 0: do not look
        force     also if fewer than a majority of the new voters are heard now
        lease     what voters promise for reads by lease, from now on
        on_stage  called with each configuration on the way, as it is appended and as it is committed
        timeout   seconds to wait; catching up may take long

        Raises `NotLeader` (with the leader's id), `ChangeRefused` with the reason: the members are as they were.
        `OutcomeUnknown`: the change may still be done or undone, look at `status`.
        """
        if self._stopping:
            raise Stopped("the node is not running")
        status, deadline = self._core.status(), anyio.current_time() + timeout
        if status.role != "leader":
            raise NotLeader(f"{status.id} does not lead; the leader is {status.leader or 'not known'}", status.leader)
        try:  # what is wrong whoever answers is said before anybody is asked
            target_of(status.configuration, changes, lease=lease)
        except Unchangeable as refusal:
            raise ChangeRefused(refusal.reason, str(refusal)) from refusal
        known = await self._with_incarnations(changes, deadline)
        while True:
            request: Request[MembershipAnswer] = Request()
            with self.notices() as notices:
                self._tell(ChangeMembership(self._requests.opened(request), known, based_on, force, lease))
                await _watch(request, notices, on_stage, deadline)
            if not request.done.is_set():
                raise OutcomeUnknown(f"the change is not done after {timeout:g} s; look at the members")
            if request.answer is not None and request.answer.configuration is not None:
                return request.answer.configuration
            error = request.error or OutcomeUnknown("the change was answered without a configuration")
            too_early = isinstance(error, ChangeRefused) and error.reason == "not_ready"
            if not (too_early and await self._another_try(deadline)):
                raise error

    async def _with_incarnations(self, changes: Sequence[Change], deadline: float) -> list[Change]:
        """The changes as the core is to see them. Nothing is asked of it before; the node's end ends this (R122)."""
        known: list[Change] = []
        with anyio.CancelScope(deadline=deadline) as asking:
            self._asking.add(asking)
            try:
                known += [await self._with_incarnation(change) for change in changes]
            finally:
                self._asking.remove(asking)
        if self._stopping:
            raise Stopped("the node was stopped before anything was changed")
        if len(known) < len(changes):
            raise ChangeRefused("unreachable", "who is to be added did not say in time who it is")
        return known

    async def _with_incarnation(self, change: Change) -> Change:
        """The change with the incarnation that its member has: who is removed never returns under it (fault F73), and
        who is new takes part under it alone (R52)."""
        member = change.member
        if change.kind == "remove":
            return Change(change.kind, self._members.known(member, self.identity))
        if change.kind == "update" or self._core.status().configuration.member(member.id) is not None:
            return change
        try:
            return Change(change.kind, await self._members.identify(member))
        except (Refused, OSError) as error:
            raise ChangeRefused("unreachable", f"{member.id} cannot be added: {error}") from error

    async def transfer_leadership(self, target: str | None = None, *, timeout: float | None = None) -> str:
        """Hand leadership to this voter, or to the one that is most up to date; return who leads then (thesis 3.10).

        Proposals are refused meanwhile, and go on after `timeout` seconds (None: an election timeout) if nothing came
        of it. Raises `NotLeader`, `TransferFailed`; `OutcomeUnknown` if it is not known who leads now.
        """
        if self._stopping or self._raft is None:
            raise Stopped("the node is not running")
        request = self._request_transfer(target, timeout or 0.0)
        await request.done.wait()
        if request.error is not None:
            raise request.error
        return (request.answer.leader if request.answer is not None else None) or ""

    def _request_transfer(self, target: str | None, timeout: float) -> Request[TransferAnswer]:
        request: Request[TransferAnswer] = Request()
        self._tell(TransferLeadership(self._requests.opened(request), target, timeout))
        return request

    async def snapshot(self) -> SnapshotInfo:
        """Take a snapshot of the state machine now, and compact the log; return when it is durable.

        Raises `SnapshotNotTaken` if the state machine has none, is being restored, or the disk does not take it.
        """
        if self._stopping:
            raise Stopped("the node is not running")
        return await self._take_snapshot()


async def _watch(
    request: Request[MembershipAnswer],
    notices: Notices,
    on_stage: Callable[[MembershipChanged], None] | None,
    deadline: float,
) -> None:
    """Wait for the answer, and tell of each configuration on the way. What `on_stage` raises leaves as itself."""
    failures: list[Exception] = []

    async def report() -> None:
        try:
            async for notice in notices:
                if isinstance(notice, MembershipChanged) and on_stage is not None:
                    on_stage(notice)
        except Exception as error:
            failures.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(report)
        with anyio.CancelScope(deadline=deadline):
            await request.done.wait()
        tasks.cancel_scope.cancel()
    if failures:
        raise failures[0]
