"""A running node: drives the core, and gives callers plain `await`.

Law: *every event goes through one `step`, and nothing is awaited between taking an event and acting on its output.*

Three tasks and a thread. One task takes what the transport received and steps the core with it; one waits for
proposals and the disk; one waits for timers, so that nobody else needs a deadline; the thread makes writes durable. A
failure of any of them stops the node: half-alive does not exist (fault F126). Leaving `async with` always ends clean:
every waiting call failed with a typed error, no task left, the store closed last.
"""

import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread

from rafty_core.config import Config
from rafty_core.events import Applied, Event, Persisted
from rafty_core.explain import explain
from rafty_core.messages import Message
from rafty_core.outcomes import NotLeader, OutcomeUnknown, ProposalError, Stopped
from rafty_core.output import Committed, LeaderChanged, Output, ProtocolViolation
from rafty_core.raft import Raft
from rafty_core.status import Status
from rafty_transports.calls import Calls, Outcome
from rafty_transports.contacts import Contacts
from rafty_transports.disk import Disk
from rafty_transports.interfaces import Identity, LogStore, StateMachine, Transport
from rafty_transports.observers import Notices
from rafty_transports.threads import run_in_daemon

logger = logging.getLogger("rafty")
logger.addHandler(logging.NullHandler())

DISK_GRACE = 1.0
"""Seconds that a disk call may take at shutdown before it is named and left behind."""


class NodeFailed(Exception):
    """The node stopped because something broke that it cannot go on without; `__cause__` is what broke."""


class Node:
    """One member of a cluster, running while inside `async with`.

    store            where the log is kept; opened already, closed by the node when it stops
    transport        how messages travel; opened and closed by the node
    machine          what commands mean
    config           timeouts and bounds; `id` and `boot` are taken from the store
    timeout          seconds after which a waiting `propose` gives up (a call may give its own)
    most_waiting     bytes of commands that may wait here to be proposed
    random           a source of chance for election timeouts

    The body's own exception leaves the block as itself. If the node fails, the body is cancelled and the block raises
    `NodeFailed`. Never an exception group.
    """

    def __init__(
        self,
        store: LogStore,
        transport: Transport,
        machine: StateMachine,
        *,
        config: Config | None = None,
        timeout: float = 5.0,
        most_waiting: int = 64 * 1024 * 1024,
        random: Random | None = None,
    ) -> None:
        identity = store.identity
        self.identity: Identity = identity
        self.config = dataclasses.replace(
            config or Config(id=identity.node_id), id=identity.node_id, boot=identity.boot
        )
        self.timeout = timeout
        self._store = store
        self._transport = transport
        self._machine = machine
        self._random = random or Random()
        self._calls = Calls(self.config, timeout, most_waiting)
        self._contacts = Contacts(identity.node_id, self.config.election_timeout)
        self._raft: Raft | None = None
        self._disk: Disk | None = None
        self._failure: BaseException | None = None
        self._stopping = False
        self._wake = anyio.Event()
        self._alarm = anyio.CancelScope()
        self._backlog: list[Committed] = []
        self._persisted = 0
        self._leader_changed = anyio.Event()
        self._watchers: set[Notices] = set()
        self._context: AbstractAsyncContextManager[Self] | None = None

    # ---------------------------------------------------------------- opening

    async def __aenter__(self) -> Self:
        if self._context is not None:
            raise RuntimeError("a Node is entered once; build another one on a newly opened store")
        self._context = self._run()
        return await self._context.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if self._context is None:
            raise RuntimeError("this node was never entered")
        return await self._context.__aexit__(kind, error, traceback)

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Self]:
        body_error: BaseException | None = None
        try:
            stable = await run_in_daemon(self._store.load)
            self._raft = Raft(self.config, stable, random=self._random, now=anyio.current_time())
            async with self._transport:
                self._disk = Disk(self._store, self._disk_changed)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._guard, self._receive, tasks.cancel_scope)
                    tasks.start_soon(self._guard, self._drive, tasks.cancel_scope)
                    tasks.start_soon(self._guard, self._keep_time, tasks.cancel_scope)
                    try:
                        yield self
                    except anyio.get_cancelled_exc_class():
                        raise
                    except BaseException as error:
                        body_error = error
                    finally:
                        self._stop_calls()
                        tasks.cancel_scope.cancel()
        finally:
            self._stop_calls()
            await self._close_store()
        if self._failure is not None:
            raise NodeFailed(f"node {self.identity.node_id} failed: {self._failure}") from self._failure
        if body_error is not None:
            raise body_error

    async def _guard(self, run: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        """Run one of the node's tasks; whatever ends it ends the node."""
        try:
            await run()
            if not self._stopping:
                raise RuntimeError("the transport ended")
        except Exception as error:
            if not self._stopping:
                self._failure = error
                logger.error("%s failed: %r", self.identity.node_id, error)
            self._stop_calls()
            scope.cancel()

    def _stop_calls(self) -> None:
        """Tell every waiting caller the truth: not accepted, or unknown."""
        self._stopping = True
        self._calls.stop("the node failed" if self._failure is not None else "the node was stopped")
        for watcher in list(self._watchers):
            watcher.close()
        self._leader_changed.set()

    async def _close_store(self) -> None:
        """Let the disk finish what was asked for, but not for ever; the store is closed last."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(DISK_GRACE):
            if self._disk is None:
                await run_in_daemon(self._store.close)
                return
            self._disk.close()
            while not self._disk.ended:
                self._wake = anyio.Event()
                if not self._disk.ended:
                    await self._wake.wait()
        if self._disk is not None and not self._disk.ended:
            logger.error("%s stops without its disk: %s", self.identity.node_id, self._disk.describe())
        elif self._disk is not None and self._disk.failure is not None:
            self._failure = self._failure or self._disk.failure

    # ---------------------------------------------------------------- callers

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

    def status(self) -> Status:
        """A picture of this node now; on a leader with what it knows of each peer. Raises `Stopped` before it runs."""
        return self._core.status()

    def notices(self) -> Notices:
        """What happens from now on: changes of role and of leader, peers lost and found, refused messages."""
        notices = Notices(self._watchers)
        if self._stopping:
            notices.close()
        return notices

    # ---------------------------------------------------------------- driving

    @property
    def _core(self) -> Raft:
        if self._raft is None:
            raise Stopped("the node is not running")
        return self._raft

    def _disk_changed(self) -> None:
        self._wake.set()

    async def _receive(self) -> None:
        """Step the core with what comes in, all that has gathered at a time."""
        async for received in self._transport:
            self._contacts.note(received, anyio.current_time())
            self._step(received)
            await anyio.lowlevel.checkpoint()

    async def _drive(self) -> None:
        """Step the core when callers, the disk or the state machine call for it."""
        while not self._stopping:
            await self._wake.wait()
            self._wake = anyio.Event()
            events: list[Event] = []
            if self._disk is not None:
                if self._disk.failure is not None:
                    raise self._disk.failure
                if self._disk.persisted > self._persisted:
                    self._persisted = self._disk.persisted
                    events.append(Persisted(self._persisted))
            backlog, self._backlog = self._backlog, []
            events.extend(self._apply(committed) for committed in backlog)
            if events or self._calls.waiting:
                self._step(events)

    async def _keep_time(self) -> None:
        """Step the core when a timer calls for it, and end what waits too long.

        Deadlines move on with nearly every step; so the old one is waited for, and looked at again then. Only a
        deadline that comes nearer sets the alarm anew.
        """
        while not self._stopping:
            with anyio.CancelScope(deadline=min(self._core.deadline, self._calls.first_expiry)) as self._alarm:
                await anyio.sleep_forever()
            if anyio.current_time() >= self._core.deadline:
                self._step(())
            for group in self._calls.expired(anyio.current_time()):
                group.fail(OutcomeUnknown(self._too_late()))

    def _set_alarm(self, deadline: float) -> None:
        if deadline < self._alarm.deadline:
            self._alarm.deadline = deadline

    def _step(self, events: Sequence[Event | Message]) -> None:
        """One step with these events and all proposals that wait, and everything that follows from it."""
        if self._stopping:  # something broke, and the other tasks run once more before they are cancelled (fault F126)
            return
        core = self._core
        if self._calls.waiting:
            events = [*events, *self._calls.take()]
        output = core.step(anyio.current_time(), *events)
        self._carry_out(output)
        if output.apply and not self._backlog:
            applied = [self._apply(committed) for committed in output.apply]
            output = core.step(anyio.current_time(), *applied)
            self._carry_out(output)
        if output.apply:  # more than one portion: let others run in between (fault F125)
            self._backlog.extend(output.apply)
            self._wake.set()
        self._set_alarm(min(core.deadline, self._calls.first_expiry))

    def _carry_out(self, output: Output) -> None:
        for message in output.messages:
            self._transport.send(message)
        if output.write is not None and self._disk is not None:
            self._disk.write(output.write)
        for answer in output.answers:
            self._calls.answer(answer)
        if output.notices:
            self._publish(output)

    def _publish(self, output: Output) -> None:
        status = self._core.status()
        for notice in output.notices:
            level = logging.WARNING if isinstance(notice, ProtocolViolation) else logging.INFO
            logger.log(level, "%s (term %d, %s) %s", status.id, status.term, status.role, explain(notice))
            if isinstance(notice, LeaderChanged):
                self._leader_changed.set()
                self._leader_changed = anyio.Event()
        for watcher in self._watchers:
            watcher.put(output.notices)

    def _apply(self, committed: Committed) -> Applied:
        """Carry out committed commands on the state machine. What it raises stops the node: nothing is skipped."""
        commands = committed.commands()
        if not commands:
            return Applied(committed.last)
        try:
            results = self._machine.apply(committed.first_command, commands)
        except Exception as error:
            raise RuntimeError(
                f"the state machine raised {error!r} for commands at index {committed.first_command} to "
                f"{committed.last}, the first of them {commands[0]!r:.100}"
            ) from error
        if len(results) != len(commands):
            raise RuntimeError(f"the state machine gave {len(results)} results for {len(commands)} commands")
        if set(map(type, results)) != {bytes}:
            raise RuntimeError(f"the state machine gave results that are not bytes, for {commands[0]!r:.100} or later")
        return Applied(committed.last, results)
