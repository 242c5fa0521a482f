"""A caller's session: the same call again and again, until its outcome is known or it is given up.

Law: *each copy of a call is answered with the answer of the one that ran, or says that it did not run.*
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rafty_core import NotApplied, OutcomeUnknown, ProposalAnswer, sessions
from rafty_core.invariants import InvariantViolation
from rafty_core.output import Answer
from rafty_core.simulation.linearizability import UNKNOWN, Operation
from rafty_core.simulation.world import World

if TYPE_CHECKING:
    from rafty_core.simulation.caller import Caller
    from rafty_core.simulation.node import SimulatedNode

REPEATED = 0.15
"""How likely a call that is answered is tried once more, as by a client that has lost the answer."""

STRAY = 0.1
"""How likely one more copy of an answered call comes much later, as from a network that had held it."""

LONGEST_CALL = 3.0
"""Seconds after which a call is given up."""


class Call:
    """One call. `doubts` counts its copies that may have run, or may still do; `ended`: nobody waits for it."""

    def __init__(self, session: "CallerSession", sequence: int, operation: Operation) -> None:
        self.session, self.sequence, self.operation = session, sequence, operation
        self.doubts = self.tries = 0
        self._before: int = session.acknowledged  # as its first copy says
        self.ended = self.refused = False
        self.until = session.world.time + session.caller.random.uniform(0.5, LONGEST_CALL)
        self._end = session.caller.begun()

    def try_at(self, node: "SimulatedNode | None") -> None:
        """Send a copy of the call to this node. One that is not answered in time is followed by another."""
        session, world = self.session, self.session.world
        if self.ended:
            return
        if session.gone or world.time > self.until:
            self.end()
            return
        self.tries += 1
        number, patience = self.tries, session.caller.patience
        if node is None:
            world.after(0.1, lambda: self._again(number))
            return
        acknowledged = session.acknowledged
        self.doubts += 1
        session.propose(node, self, acknowledged, lambda answer: self._told(answer, number, acknowledged))
        world.after(patience, lambda: self._again(number))

    def _again(self, number: int) -> None:
        if number == self.tries:
            self.try_at(self.session.caller.pick(anew=self.session.caller.random.random() < 0.7))

    def end(self) -> None:
        """Wait for it no longer."""
        self.ended = True
        self.session.resolve(self.sequence)
        self._look()
        self._end(self.operation.certain)
        random = self.session.caller.random
        if self.operation.certain and random.random() < STRAY:
            self.session.world.after(random.uniform(0, 2), self._stray)

    def _stray(self) -> None:
        """A late copy: what is acknowledged runs no more (fault F144)."""
        session, before = self.session, self._before
        node = session.caller.pick()
        if node is not None and not session.caller.callers.stopping:
            self.doubts += 1
            session.propose(node, self, before, lambda answer: self._told(answer, 0, before))

    def _look(self) -> None:
        if self.ended and not self.doubts and not self.operation.certain and not self.refused:
            self.refused = True
            self.session.caller.callers.refuse(self.operation)

    # ------------------------------------------------------------------ answers

    def _told(self, answer: Answer | None, number: int, acknowledged: int) -> None:
        """What became of one copy."""
        if isinstance(answer, ProposalAnswer):
            if answer.error is None:
                self._ran_or_not(answer.results[0], acknowledged)
            elif isinstance(answer.error, NotApplied):
                self.doubts -= 1
        self._look()
        if not self.ended:
            self.session.world.after(self.session.caller.random.uniform(0, 0.1), lambda: self._again(number))

    def _ran_or_not(self, answer: bytes, acknowledged: int) -> None:
        session, status = self.session, answer[:1]
        if status == sessions.APPLIED:
            self._applied(answer[1:])
        else:
            self.doubts -= 1
        if status != sessions.EXPIRED:
            session.reached(acknowledged)
        elif self.session.number is not None:
            session.ended()
        if status == sessions.OVERLOADED and self.sequence == acknowledged + 1:
            raise self._wrong("is refused for want of room, though it is the oldest")
        if status == sessions.STALE and self.sequence > session.acknowledged:
            raise self._wrong("is said to be acknowledged")
        if status not in (sessions.APPLIED, sessions.EXPIRED, sessions.OVERLOADED, sessions.STALE):
            raise self._wrong(f"is answered {answer!r:.100}")

    def _applied(self, result: bytes) -> None:
        operation = self.operation
        if operation.result not in (UNKNOWN, result):
            raise self._wrong(f"is answered {result!r:.200} now")
        kind, _, *values = operation.request.split(b" ")
        if kind == b"append" and result.count(values[0]) != 1:
            raise self._wrong(f"took effect {result.count(values[0])} times: {result!r:.200}")
        first, random = not operation.certain, self.session.caller.random
        if first:
            self.session.caller.settle(operation, result)
        if first and random.random() < REPEATED:
            self.session.world.after(random.uniform(0, 1.5), lambda: self.try_at(self.session.caller.pick(anew=True)))
            self.tries += 1  # nothing else follows
        elif not self.ended:
            self.end()

    def _wrong(self, what: str) -> InvariantViolation:
        call = f"call {self.sequence} of session {self.session.number}"
        return InvariantViolation("I18", f"{call} {what}: {self.operation}")


class CallerSession:
    """One session of one caller, from its opening on. `number` is None until it is open."""

    def __init__(self, caller: "Caller", node: "SimulatedNode") -> None:
        self.caller = caller
        self.world: World = caller.world
        self.number: int | None = None
        self.gone = False
        self.acknowledged: int = 0
        """All calls up to this one are answered, or given up."""
        self._last = 0
        self._resolved: set[int] = set()
        self._given_up: list[Call] = []  # calls that may still take effect
        self._open(node)

    def call(self, node: "SimulatedNode", operation: Operation) -> None:
        """Begin a call."""
        self._last += 1
        call = Call(self, self._last, operation)
        self._given_up.append(call)
        call.try_at(node)

    def propose(
        self, node: "SimulatedNode", call: Call, acknowledged: int, then: Callable[[Answer | None], None]
    ) -> None:
        """Send one copy of this call."""
        assert self.number is not None
        content = call.operation.request
        self.caller.callers.propose(node, sessions.encode_call(self.number, call.sequence, acknowledged, content), then)

    def touch(self, node: "SimulatedNode") -> None:
        """Use the session without a call."""
        assert self.number is not None
        self.caller.callers.propose(node, sessions.encode_touch(self.number, self.acknowledged))

    def close(self, node: "SimulatedNode") -> None:
        """Say that the session is over, and use it no more."""
        assert self.number is not None
        self.gone = True
        self.caller.callers.propose(node, sessions.encode_close(self.number))

    def resolve(self, sequence: int) -> None:
        """Nobody asks for this call again."""
        self._resolved.add(sequence)
        while self.acknowledged + 1 in self._resolved:
            self.acknowledged += 1
            self._resolved.remove(self.acknowledged)

    def reached(self, acknowledged: int) -> None:
        """The machine knows that all calls up to this one are acknowledged: those that did not run never will."""
        for call in [call for call in self._given_up if call.ended and call.sequence <= acknowledged]:
            self._given_up.remove(call)
            if not call.operation.certain:
                call.operation.returned = self.caller.callers.tick()

    def ended(self) -> None:
        """The machine knows this session no more: whatever did not run never will."""
        self.gone = True
        for call in list(self._given_up):
            self._given_up.remove(call)
            if not call.operation.certain:
                call.operation.returned = self.caller.callers.tick()

    def _open(self, node: "SimulatedNode") -> None:
        end, expiry = self.caller.begun(), self.caller.callers.expiry
        began = expiry.opening()

        def then(answer: Answer | None) -> None:
            opened = None
            if isinstance(answer, ProposalAnswer) and not isinstance(answer.error, OutcomeUnknown):
                expiry.opened(began)
            if isinstance(answer, ProposalAnswer) and answer.error is None:
                opened = sessions.decode_opened(answer.results[0])
            if opened is not None and not self.gone:
                self.number = opened.session
            else:
                self.gone = True
            end(not self.gone)

        def give_up() -> None:
            self.gone = self.gone or self.number is None
            end()

        self.caller.callers.propose(node, sessions.OPEN, then)
        self.world.after(self.caller.patience, give_up)
