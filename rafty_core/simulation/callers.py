"""Clients as they are in real life: each does one thing after the other, keeps what it was told, and tries again.

Law: *what all callers were told together could have come from one copy of the data* (I17), *and what was acknowledged
in a session took effect once* (I18).

A caller writes in a session, tries the same call elsewhere until its outcome is known, and gives it up after a while.
Or it writes without one, and does not repeat what may have been done. And it reads, from the machine of the node that
it asked, at the moment at which the core says that it may. A read "at least" at an index promises that much and no
more: it is compared with the state at the index where it was read, and is no part of the history.
"""

from collections import Counter
from typing import TYPE_CHECKING

from rafty_core import Propose
from rafty_core.entries import COMMAND
from rafty_core.invariants import InvariantViolation
from rafty_core.output import Answer
from rafty_core.simulation.caller import Caller, Then
from rafty_core.simulation.expiry import ExpiryWatch
from rafty_core.simulation.linearizability import Operation, Verdict, check
from rafty_core.simulation.registers import LISTS, VALUES, RegisterModel, registers_of

if TYPE_CHECKING:
    from rafty_core.simulation.cluster import Cluster
    from rafty_core.simulation.node import SimulatedNode

KEYS = (*LISTS, *VALUES)


class Callers:
    """All callers of a run, the requests that they wait for, and the history of what they did."""

    def __init__(self, cluster: "Cluster", count: int) -> None:
        self.cluster = cluster
        self.history: list[Operation] = []
        self.refused: list[Operation] = []
        """Operations that were certainly not carried out, and must not be."""
        self.stopping = False
        self.verdict: Verdict | None = None
        self._open: dict[object, tuple[str, Then]] = {}
        self._time = self._next = 0
        self._values: dict[str, list[tuple[int, bytes]]] = {key: [(0, b"")] for key in KEYS}
        self.expiry = ExpiryWatch(cluster)
        self.callers = [Caller(self, f"c{number}") for number in range(1, count + 1)]

    def tick(self) -> int:
        """The next moment of the history: no two things happen at the same."""
        self._time += 1
        return self._time

    def start(self) -> None:
        """Let the callers begin."""
        for caller in self.callers:
            caller.rest()

    # ----------------------------------------------------------------- requests

    def propose(self, node: "SimulatedNode", operation: bytes, then: Then | None = None) -> None:
        """Ask this node for an operation of sessions."""
        self._next += 1
        token = f"session{self._next}"
        self._open[token] = (node.id, then or (lambda answer: None))
        self.expiry.sent(operation)
        node.receive(Propose(token, (operation,)))

    def write(self, node: "SimulatedNode", content: bytes, then: Then) -> None:
        """Ask this node for a command without a session."""
        token, command = self.cluster.clients.ask(node.id, content)
        self._open[token] = (node.id, then)
        node.receive(Propose(token, (command,)))

    def read(self, node: "SimulatedNode", mode: str, index: int, then: Then) -> None:
        """Ask this node for a read."""
        self._open[self.cluster.calls.read(node, mode, index)] = (node.id, then)

    def answered(self, node: "SimulatedNode", answer: Answer) -> None:
        """Somebody gets an answer, or not: it may be no caller's."""
        waiting = self._open.pop(answer.token, None)
        if waiting is not None:
            waiting[1](answer)
        elif str(answer.token).startswith("session"):
            raise InvariantViolation("I18", f"{node.id} answers {answer.token} a second time, or in a later life")

    def crashed(self, node_id: str) -> None:
        """Nobody is told any more what becomes of what was asked there."""
        for token in [token for token, (where, _) in self._open.items() if where == node_id]:
            self._open.pop(token)[1](None)

    # ------------------------------------------------------------------ checks

    def see(self, index: int, entry: bytes) -> None:
        """This entry was committed, and the reference has applied it."""
        reference = self.cluster.replay.reference
        if not self.callers or reference is None or entry[:1] != COMMAND:
            return
        machine = reference.machine
        registers = registers_of(machine)
        for key, values in self._values.items():
            value = registers.value(key)
            if value != values[-1][1]:
                values.append((index, value))
        self.expiry.see(index, entry[1:], machine)

    def value_at(self, node: "SimulatedNode", key: str) -> bytes:
        """What a reader sees at this node now. Raises if that is not what the log says."""
        assert node.application is not None
        found, applied = registers_of(node.application.machine).value(key), node.machine.applied
        expected = next(value for index, value in reversed(self._values[key]) if index <= applied)
        if found != expected:
            text = f"{node.id} has {found!r:.100} under {key} at index {applied}, and not {expected!r:.100}"
            raise InvariantViolation("I5", text)
        return found

    def refuse(self, operation: Operation) -> None:
        """It was certainly not carried out."""
        self.history.remove(operation)
        self.refused.append(operation)

    @property
    def summary(self) -> dict[str, int]:
        """How many operations were carried out, are in doubt or were refused, and how many keys were not judged."""
        certain = sum(operation.certain for operation in self.history)
        not_judged = self.verdict.not_judged if self.verdict is not None else 0
        counts = {"certain": certain, "unknown": len(self.history) - certain, "refused": len(self.refused)}
        return {**counts, "not judged": not_judged} if self.callers else {}

    @property
    def busy(self) -> bool:
        """Whether any of them is still at something."""
        return any(caller.busy for caller in self.callers)

    def finish(self) -> None:
        """Let the callers come to an end; the first of them reads everything at last."""
        self.stopping = True
        for caller in self.callers[:1]:
            caller.read_everything(list(KEYS))

    def check(self) -> None:
        """I17 and I18: judge what everybody was told."""
        if not self.callers:
            return
        found = Counter(value for key in LISTS for value in self._values[key][-1][1].split(b";"))
        for operation in [*self.history, *self.refused]:
            kind, _, *rest = operation.request.split(b" ")
            if kind == b"append":
                self._check_effects(operation, found[rest[0][:-1]])
        self.verdict = check(self.history, RegisterModel())
        if self.verdict.explanation is not None:
            raise InvariantViolation("I17", self.verdict.explanation)

    def _check_effects(self, operation: Operation, times: int) -> None:
        least = 1 if operation.certain else 0
        most = 0 if operation in self.refused else 1
        if not least <= times <= most:
            raise InvariantViolation("I18", f"{operation} took effect {times} times, but {least} to {most} is true")
