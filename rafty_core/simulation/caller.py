"""One caller: a closed loop of reads and writes, at the nodes it can reach.

Law: *a caller says what it wants, waits, and believes what it is told, until it has waited long enough.*
"""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from rafty_core import NotApplied, NotLeader, ProposalAnswer, ReadAnswer
from rafty_core.output import Answer
from rafty_core.simulation.caller_session import CallerSession
from rafty_core.simulation.linearizability import UNKNOWN, Operation
from rafty_core.simulation.registers import LISTS, VALUES

if TYPE_CHECKING:
    from rafty_core.simulation.callers import Callers
    from rafty_core.simulation.node import SimulatedNode

Then = Callable[[Answer | None], None]
"""What is done with an answer, or without one if the node has died."""

LONGEST_REST = 3.0
"""Seconds that a session is left unused now and then, about, if that is not too long for it."""

MOST_WRITES = 400
"""Callers only read when so many entries are committed."""


class Caller:
    """`busy` while it waits for anything, or is to read something at the end."""

    def __init__(self, callers: "Callers", name: str) -> None:
        self.callers, self.name = callers, name
        self.world, self.options = callers.cluster.world, callers.cluster.options
        self.random = random.Random(f"caller {self.options.seed} {name}")
        self.patience = self.random.uniform(0.3, 1.5)
        self.width = self.random.choice((1, 3, 3))
        """How many calls it has under way at the same time, at most."""
        self._pace = self.options.caller_interval * self.random.choice((1, 1, 5))
        self._session: CallerSession | None = None
        self._node = ""
        self._under_way = self._count = 0
        self._resting, self._rests = False, 0
        self._seen = 0  # the log index up to which it knows the data
        self._known = dict.fromkeys((*LISTS, *VALUES), b"")  # what it saw last
        self._to_read: list[str] = []

    @property
    def busy(self) -> bool:
        """Whether it is still at something."""
        return self._under_way > 0 or bool(self._to_read)

    def rest(self, seconds: float = 0.0, hurry: float = 1) -> None:
        """Think, for some time behind these seconds, and go on then."""
        if not self._resting:
            self._resting, self._rests = True, self._rests + 1
            seconds += self.random.expovariate(hurry / self._pace)
            number = self._rests
            self.world.after(seconds, lambda: self._go_on() if number == self._rests else None)

    def read_everything(self, keys: list[str]) -> None:
        """At the end of all, read these; again and again until each of them was read."""
        self._to_read = keys
        self._resting = False  # however long it wanted to
        self.rest()

    def pick(self, *, anew: bool = False) -> "SimulatedNode | None":
        """The node that it talks to, or another one."""
        cluster = self.callers.cluster
        node = cluster.nodes.get(self._node)
        if anew or node is None or node.raft is None or self.random.random() < 0.15:
            members = {member.id for member in cluster.invariants.ghost.configurations[-1][1].members}
            live = cluster.live
            known = [node for node in live if node.id in members] or live
            node = self.random.choice(live if self.random.random() < 0.1 else known) if live else None
            self._node = node.id if node is not None else ""
        return node

    # --------------------------------------------------------------------- loop

    def _go_on(self) -> None:
        self._resting = False
        if self._under_way >= self.width or (self.callers.stopping and not self._to_read):
            return
        node = self.pick()
        if node is None:
            self.rest(0.1)
            return
        if self.callers.stopping:
            self._read(node, "linearizable", self._to_read[0])
        else:
            self._do_something(node)
        if self._under_way < self.width and not self.callers.stopping:
            self.rest()

    def _do_something(self, node: "SimulatedNode") -> None:
        chance = self.random.random()
        if chance < 0.3 or self.callers.cluster.invariants.ghost.last > MOST_WRITES:
            mode = self.random.choice(("linearizable", "linearizable", "lease", "at_least"))
            self._read(node, mode, self.random.choice((*LISTS, *VALUES)))
        elif not self.options.has_sessions or chance < 0.4:
            self._write(node)
        elif self._session is None or self._session.gone:
            self._session = CallerSession(self, node)
        else:
            self._use_session(self._session, node, chance)

    def _use_session(self, session: CallerSession, node: "SimulatedNode", chance: float) -> None:
        if session.number is None:
            return
        if chance < 0.43:
            session.touch(node)
        elif chance < 0.45 and not self._under_way:
            session.close(node)
        elif chance < 0.5:
            self.rest(self.random.uniform(0.5, 1.5) * min(self.options.session_expiry, LONGEST_REST))
        else:
            session.call(node, self._begin())

    def _new_value(self) -> bytes:
        self._count += 1
        return b"%s.%d;" % (self.name.encode(), self._count)

    def _begin(self) -> Operation:
        """A write, or a read that goes through the log."""
        kind = self.random.choice((b"append", b"append", b"append", b"set", b"cas", b"get"))
        key = self.random.choice(LISTS if kind == b"append" else VALUES)
        words = [kind, key.encode()]
        if kind == b"cas":
            words.append(self._known[key])
        if kind != b"get":
            words.append(self._new_value())
        operation = Operation(key, b" ".join(words), self.callers.tick(), client=self.name)
        self.callers.history.append(operation)
        return operation

    def begun(self) -> Callable[..., None]:
        """Something is begun; call what is returned when it is not waited for any more, with True if that is well."""
        self._under_way += 1
        over = False

        def end(happy: bool = False) -> None:
            nonlocal over
            if not over:
                over = True
                self._under_way -= 1
                if happy:
                    self.rest()
                else:
                    self._disappointed()

        return end

    def _disappointed(self) -> None:
        """The node that it talked to did not answer, or refused: most often it turns to another one, and soon."""
        if self.random.random() < 0.7:
            self._node = ""
        self.rest(hurry=5)

    def settle(self, operation: Operation, result: object) -> None:
        """It was carried out, and this is what came of it."""
        operation.certain, operation.result = True, result
        operation.returned = min(operation.returned, self.callers.tick())
        if isinstance(result, bytes) and operation.request[:3] in (b"get", b"cas"):
            self._known[operation.key] = result
        self.world.note(self.name, "knows", operation)

    # ----------------------------------------------------------- without a session

    def _write(self, node: "SimulatedNode") -> None:
        operation, end = self._begin(), self.begun()

        def then(answer: Answer | None) -> None:
            end(answer is not None and answer.error is None)
            if answer is not None and isinstance(answer.error, NotLeader):
                self._node = answer.error.leader or self._node
            if not isinstance(answer, ProposalAnswer):
                return
            if answer.error is None:
                self.settle(operation, answer.results[0] if answer.results else UNKNOWN)
            elif isinstance(answer.error, NotApplied):
                self.callers.refuse(operation)

        self.callers.write(node, operation.request, then)
        self.world.after(self.patience, end)

    def _read(self, node: "SimulatedNode", mode: str, key: str) -> None:
        operation = Operation(key, b"get %s" % key.encode(), self.callers.tick(), client=self.name)
        end = self.begun()

        def then(answer: Answer | None) -> None:
            if isinstance(answer, ReadAnswer) and answer.error is None:
                self._seen = max(self._seen, answer.index)
                value = self.callers.value_at(node, key)
                if mode != "at_least":
                    self.callers.history.append(operation)
                    self.settle(operation, value)
                if self._to_read[:1] == [key]:
                    self._to_read = self._to_read[1:]
            end(answer is not None and answer.error is None)

        self.callers.read(node, mode, self._seen if mode == "at_least" else 0, then)
        self.world.after(self.patience, end)
