"""A running node: drives the core, and gives callers plain `await`.

Law: *every event goes through one `step`, and nothing is awaited between taking an event and acting on its output.*

A few tasks and threads. One task takes what the transport received and steps the core with it; one waits for callers,
the disk and the state machine; one waits for timers, so that nobody else needs a deadline; one answers nodes that fetch
snapshots; a thread makes writes durable. What takes long (restoring, writing a snapshot, fetching one) is a task and a
thread of its own while it lasts. A failure of any of them stops the node: half-alive does not exist (fault F126).
Leaving `async with` always ends clean: leadership handed over if there is time, every waiting call failed with a typed
error, no task left, the store closed last.
"""

import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from rafty_core.config import Config
from rafty_core.events import Event, Persisted
from rafty_core.messages import Message
from rafty_core.outcomes import OutcomeUnknown, Stopped
from rafty_core.output import LeaderChanged, MembershipChanged, Output, ProposalAnswer, Removed, SnapshotChanged
from rafty_core.raft import Raft
from rafty_core.sessions import Sessions
from rafty_core.stable import Stable
from rafty_core.status import Status
from rafty_transports.applying import ApplyQueue
from rafty_transports.calls import Calls
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.contacts import Contacts
from rafty_transports.disk import Disk
from rafty_transports.entered import EnteredOnce
from rafty_transports.exchange import Progress
from rafty_transports.interfaces import Identity, LogStore, RemovedFromCluster, SnapshotInfo, StateMachine, Transport
from rafty_transports.machine import Machine, MachineFailed
from rafty_transports.members import Members, can_identify
from rafty_transports.node_calls import NodeCalls
from rafty_transports.node_errors import NodeFailed as NodeFailed
from rafty_transports.node_errors import NodeRemoved as NodeRemoved
from rafty_transports.node_errors import raise_failure
from rafty_transports.node_snapshots import CHUNKS, NodeSnapshots
from rafty_transports.observers import Notices
from rafty_transports.requests import Requests
from rafty_transports.telling import Telling
from rafty_transports.threads import run_in_daemon

logger = logging.getLogger("rafty")
logger.addHandler(logging.NullHandler())

DISK_GRACE = 1.0
"""Seconds that a disk call may take at shutdown before it is named and left behind."""

FAREWELL_GRACE = 0.2
"""Seconds between the removal of this node and its end, in which those who asked for it here get their answer."""

HANDOVER_GRACE = 0.5
"""Seconds that handing over leadership may take at shutdown."""


class Node(NodeCalls, EnteredOnce):
    """One member of a cluster, running while inside `async with`.

    store            where the log is kept; opened already, closed by the node when it stops
    transport        how messages travel; opened and closed by the node
    machine          what commands mean
    config           timeouts and bounds; `id`, `boot` and `incarnation` are taken from the store
    timeout          seconds after which a waiting call gives up (a call may give its own)
    most_waiting     bytes of commands that may wait here to be proposed
    snapshots        when the log is compacted; without effect for a machine that has no `snapshot`
    random           a source of chance for election timeouts

    The body's own exception leaves the block as itself. If the node fails, the body is cancelled and the block raises
    `NodeFailed`; if it was removed from the cluster, `NodeRemoved`. Never an exception group.
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
        snapshots: SnapshotPolicy | None = None,
        random: Random | None = None,
    ) -> None:
        identity = store.identity
        self.identity: Identity = identity
        self.config = dataclasses.replace(
            config or Config(id=identity.node_id),
            id=identity.node_id,
            boot=identity.boot,
            incarnation=identity.incarnation if store.joined and can_identify(transport) else "",
        )
        self.timeout = timeout
        self._store = store
        self._transport = transport
        self._machine = Machine(machine)
        self._sessions = machine if isinstance(machine, Sessions) else None
        self._random = random or Random()
        self._calls = Calls(self.config, timeout, most_waiting)
        self._requests = Requests()
        self._contacts = Contacts(identity.node_id, self.config.election_timeout)
        self._raft: Raft | None = None
        self._disk: Disk | None = None
        self._tasks: TaskGroup | None = None
        self._snapshots = NodeSnapshots(
            identity.node_id,
            self._machine,
            store.snapshots,
            snapshots or SnapshotPolicy(),
            send=transport.send,
            tell=self._tell,
            start=self._start,
        )
        self._queue = ApplyQueue(
            self._machine, store.snapshots, tell=self._tell, start=self._start, propose=self._propose_clock
        )
        self._members = Members(store, transport)
        self._failure: BaseException | None = None
        self._stopping = False
        self._asking: set[anyio.CancelScope] = set()
        self._wake = anyio.Event()
        self._alarm = anyio.CancelScope()
        self._happened: list[Event] = []
        self._persisted = 0
        self._leader_changed = anyio.Event()
        self._telling = Telling()

    # ---------------------------------------------------------------- opening

    @asynccontextmanager
    async def _run(self) -> AsyncIterator[Self]:
        body_error: BaseException | None = None
        try:
            self._begin(await run_in_daemon(self._store.load))
            async with self._transport:
                self._disk = Disk(self._store, self._tell)
                await self._tell_members()
                async with anyio.create_task_group() as tasks:
                    self._tasks = tasks
                    sender = self._snapshots.sender
                    for task in (self._receive, self._drive, self._keep_time, sender.run, self._members.run):
                        tasks.start_soon(self._guard, task)
                    self._step(())
                    cancelled = False
                    try:
                        yield self
                    except anyio.get_cancelled_exc_class():
                        cancelled = True
                        raise
                    except BaseException as error:
                        body_error = error
                    finally:
                        if not cancelled:  # the tasks that would hand over are cancelled, too
                            await self._hand_over()
                        self._stop_calls()
                        tasks.cancel_scope.cancel()
        finally:
            self._stop_calls()
            await self._close_store()
        raise_failure(self.identity.node_id, self._failure)
        if body_error is not None:
            raise body_error

    def _begin(self, stable: Stable) -> None:
        """Build the core from what is durable, and from what the state machine has."""
        applied = self._machine.applied_index
        self._raft = Raft(self.config, stable, random=self._random, now=anyio.current_time(), applied=applied)
        self._snapshots.begin(stable, applied)

    async def _tell_members(self) -> None:
        """Tell store and transport who the members are, before there are tasks: an error leaves in no group (R123)."""
        try:
            await self._members.start(self._core)
        except Exception as error:
            self._fail(error)
            raise_failure(self.identity.node_id, self._failure)

    async def _hand_over(self) -> None:
        """A leader that is shut down hands over first, if there is somebody and if there is time (thesis 3.10)."""
        if self._failure is not None or self._stopping or self._raft is None or self._raft.status().role != "leader":
            return
        grace = min(HANDOVER_GRACE, self.config.election_timeout)
        with anyio.CancelScope(shield=True), anyio.move_on_after(grace):
            request = self._request_transfer(None, grace)
            await request.done.wait()

    async def _guard(self, run: Callable[[], Awaitable[None]], *, endless: bool = True) -> None:
        """Run one of the node's tasks; whatever ends one of the `endless` ends the node, and so does an exception."""
        try:
            await run()
            if endless and not self._stopping:
                raise RuntimeError("the transport ended")
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """Stop the node for this reason, unless it stops already."""
        if not self._stopping:
            self._failure = error
            level = logging.INFO if isinstance(error, RemovedFromCluster) else logging.ERROR
            logger.log(level, "%s stops: %r", self.identity.node_id, error)
        self._stop_calls()
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()

    def _stop_calls(self) -> None:
        """Tell every waiting caller the truth: not accepted, or unknown."""
        self._stopping = True
        why = "the node failed" if self._failure is not None else "the node was stopped"
        self._calls.stop(why)
        self._requests.stop(why)
        for asking in self._asking:
            asking.cancel()
        self._telling.end()
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

    # --------------------------------------------------------------- pictures

    def status(self) -> Status:
        """A picture of this node now; on a leader with what it knows of each peer. Raises `Stopped` before it runs."""
        return self._core.status()

    def notices(self) -> Notices:
        """What happens from now on: changes of role and of leader, peers lost and found, refused messages."""
        notices = self._telling.watch()
        if self._stopping:
            notices.close()
        return notices

    @property
    def running(self) -> bool:
        """Whether it is inside its `async with`, and has not failed."""
        return self._tasks is not None and not self._stopping

    def transfers(self) -> list[Progress]:
        """Snapshots on their way now, from and to this node."""
        return self._snapshots.progress()

    def hold_snapshot(self, reader: int, index: int) -> None:
        """Keep this snapshot for a minute more: `reader`, a number of its own, reads it in pieces (R128)."""
        self._snapshots.sender.hold(reader, index)

    # ---------------------------------------------------------------- driving

    @property
    def _core(self) -> Raft:
        if self._raft is None:
            raise Stopped("the node is not running")
        return self._raft

    def _tell(self, *events: Event) -> None:
        """Something happened that the core is to hear of soon; nothing in particular: look what the disk has done."""
        self._happened += events
        self._wake.set()

    async def _receive(self) -> None:
        """Step the core with what comes in, all that has gathered at a time."""
        async for received in self._transport:
            self._contacts.note(received, anyio.current_time())
            if CHUNKS.isdisjoint(map(type, received)):
                self._step(received)  # type: ignore[arg-type]
            else:
                self._step([message for message in received if not self._snapshots.take_in(message)])  # type: ignore[misc]
            await anyio.lowlevel.checkpoint()

    async def _drive(self) -> None:
        """Step the core when callers, the disk or the state machine call for it."""
        while not self._stopping:
            await self._wake.wait()
            self._wake = anyio.Event()
            events, self._happened = self._happened, []
            if self._disk is not None:
                if self._disk.failure is not None:
                    raise self._disk.failure
                if self._disk.persisted > self._persisted:
                    self._persisted = self._disk.persisted
                    events.append(Persisted(self._persisted))
            events += self._queue.apply_waiting()
            if events or self._calls.waiting or self._requests.gathered:
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
        """One step with these events and all requests that wait, and everything that follows from it."""
        if self._stopping:  # something broke, and the other tasks run once more before they are cancelled (fault F126)
            return
        core = self._core
        if self._calls.waiting or self._requests.gathered:
            events = [*events, *self._calls.take(), *self._requests.take_reads()]
        output = core.step(anyio.current_time(), *events)
        self._carry_out(output)
        if output.apply:
            applied = self._queue.apply_at_once(output.apply)
            if applied is None:
                self._wake.set()
            else:
                output = core.step(anyio.current_time(), applied)
                self._carry_out(output)
                if output.apply:  # more than one portion: let others run in between (fault F125)
                    self._queue.add(output.apply)
                    self._wake.set()
        self._set_alarm(min(core.deadline, self._calls.first_expiry))
        self._snapshots.compact_if_due(core)

    def _start(self, run: Callable[[], Awaitable[None]]) -> None:
        """Begin a task that ends by itself."""
        if self._tasks is not None:
            self._tasks.start_soon(partial(self._guard, run, endless=False))

    def _carry_out(self, output: Output) -> None:
        for message in output.messages:
            self._transport.send(message)
        if output.write is not None and self._disk is not None:
            self._disk.write(output.write)
        for answer in output.answers:
            if type(answer) is ProposalAnswer:
                self._calls.answer(answer)
            else:
                self._requests.answer(answer)  # type: ignore[arg-type]
        if output.apply:
            self._snapshots.note_applied(output.apply)
        if output.fetch is not None:
            self._snapshots.fetch(output.fetch)
        if output.notices:
            self._publish(output)

    def _publish(self, output: Output) -> None:
        status = self._core.status()
        for notice in output.notices:
            if isinstance(notice, LeaderChanged):
                self._leader_changed.set()
                self._leader_changed = anyio.Event()
                self._queue.leads(status.role == "leader")
            elif isinstance(notice, MembershipChanged | SnapshotChanged):
                self._members.changed()
            elif isinstance(notice, Removed):
                self._start(self._end_removed)
        self._telling.tell(output.notices, status)

    async def _end_removed(self) -> None:
        await anyio.sleep(FAREWELL_GRACE)
        raise RemovedFromCluster("it was removed from the cluster; its data directory cannot be used again")

    def _propose_clock(self, entry: bytes) -> None:
        self._calls.join((entry,), len(entry), None)
        self._wake.set()

    async def _take_snapshot(self) -> SnapshotInfo:
        try:
            return await self._snapshots.take(self._core)
        except MachineFailed as error:
            self._fail(error)
            raise
