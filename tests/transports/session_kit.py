"""A node with sessions, and ways between it and its client that lose, repeat and delay."""

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio

from rafty_core import Configuration, NotLeader, OutcomeUnknown, ProposalError
from rafty_core.sessions import CALL, Sessions
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.session import ProposeMany
from rafty_transports.storage.memory import MemoryStore
from tests.transports.nodes import QUICK, Recorder, until

Outcomes = Sequence[bytes | ProposalError]


class Setting:
    """A cluster of one, whose machine has sessions."""

    def __init__(self, node: Node, machine: Sessions, recorder: Recorder) -> None:
        self.node = node
        self.machine = machine
        self.recorder = recorder

    @property
    def applied(self) -> list[bytes]:
        """What the machine inside was given."""
        return self.recorder.applied

    @property
    def propose_many(self) -> ProposeMany:
        """How the node's own sessions propose."""
        return self.node.propose_operations

    async def propose(self, *commands: bytes) -> list[bytes]:
        """Put these into the log as they are."""
        outcomes = await self.propose_many(commands)
        return [outcome for outcome in outcomes if isinstance(outcome, bytes)]


@asynccontextmanager
async def setting(machine: Sessions | None = None) -> AsyncIterator[Setting]:
    """A node that leads alone, with a machine that has sessions."""
    recorder = Recorder()
    machine = machine or Sessions(recorder)
    if isinstance(machine.machine, Recorder):
        recorder = machine.machine
    store = MemoryStore("n1", Configuration.of("n1"))
    async with Node(store, MemoryNetwork().transport("n1"), machine, config=QUICK) as node:
        await until(lambda: node.status().role == "leader")
        yield Setting(node, machine, recorder)


class Way:
    """Hands on what is proposed, unchanged, and keeps what it was. Base of the ways that are worse."""

    def __init__(self, propose_many: ProposeMany) -> None:
        self.propose_many = propose_many
        self.proposed: list[bytes] = []

    async def __call__(self, commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
        self.proposed += commands
        return await self.propose_many(commands, timeout=timeout)

    @property
    def calls(self) -> list[bytes]:
        """The calls among what was proposed."""
        return [command for command in self.proposed if command[:3] == CALL]


class Lossy(Way):
    """Loses what is proposed or its answer, or lets a copy arrive late, as a seed says. Answers the truth: unknown."""

    def __init__(self, propose_many: ProposeMany, seed: int, tasks: anyio.abc.TaskGroup) -> None:
        super().__init__(propose_many)
        self._chance = random.Random(seed)
        self._tasks = tasks

    async def __call__(self, commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
        fate = self._chance.random()
        if fate < 0.1:
            return [NotLeader("lost before anybody accepted it")] * len(commands)
        if fate < 0.2:
            return [OutcomeUnknown("the command was lost")] * len(commands)
        if fate < 0.3:
            self._tasks.start_soon(self._late, commands, self._chance.uniform(0.0, 0.1))
            return [OutcomeUnknown("the command is late")] * len(commands)
        outcomes = await super().__call__(commands, timeout=timeout)
        if fate < 0.5:
            return [OutcomeUnknown("the answer was lost")] * len(commands)
        return outcomes

    async def _late(self, commands: Sequence[bytes], seconds: float) -> None:
        await anyio.sleep(seconds)
        await super().__call__(commands)


class Scripted(Way):
    """Does with one proposal after the other what `fates` say, and hands on the rest.

    "lost": unknown, and it never arrives · "unanswered": unknown, and it was applied · "refused": nobody accepted it ·
    "stuck": kept in `stuck`, and never answered
    """

    def __init__(self, propose_many: ProposeMany, *fates: str, only: bytes = CALL) -> None:
        super().__init__(propose_many)
        self.fates = list(fates)
        self.stuck: list[bytes] = []
        self._only = only

    async def __call__(self, commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
        fate = self.fates.pop(0) if self.fates and commands[0].startswith(self._only) else ""
        if fate == "lost":
            self.proposed += commands
            return [OutcomeUnknown("the command was lost")] * len(commands)
        if fate == "refused":
            self.proposed += commands
            return [NotLeader("nobody accepted it")] * len(commands)
        if fate == "stuck":
            self.stuck += commands
            await anyio.sleep_forever()
        outcomes = await super().__call__(commands, timeout=timeout)
        return [OutcomeUnknown("the answer was lost")] * len(commands) if fate == "unanswered" else outcomes
