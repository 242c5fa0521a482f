"""What a node owes to proposals that it forwards, and that others forward to it.

Law: *a request is taken once or answered, by the leader that it was meant for, in the term that it was meant for.*
"""

from collections.abc import Sequence
from typing import Any

from rafty_core.entries import COMMAND
from rafty_core.events import Event, Propose
from rafty_core.history import InvariantViolation
from rafty_core.messages import ForwardedProposal, ForwardedProposalResponse
from rafty_core.output import Output
from rafty_core.simulation.contracts.before import SLACK, Before
from rafty_core.state import State


class RequestContracts:
    """The contracts of one life of a node: call `after` after each step."""

    def __init__(self, node_id: str, now: float) -> None:
        self.id = node_id
        self._forwards: dict[Any, int] = {}  # proposals that were forwarded and not answered, with the term
        self._led_since = now
        self._requests: dict[str, tuple[int, int]] = {}  # the newest of each node that was forwarded to this one

    def after(self, before: Before, state: State, events: Sequence[Event], output: Output) -> None:
        """Check what the step did. Raises `InvariantViolation`."""
        if len(events) == 1 and isinstance(events[0], ForwardedProposal):
            self._check_forwarded(before, state, events[0], output)
        for event in events:
            if isinstance(event, ForwardedProposal):
                known = self._requests.get(event.sender, (0, 0))
                self._requests[event.sender] = max(known, (event.boot, event.sequence))
        self._check_forwards(before, state, events, output)
        self._check_results(state, output)

    def _check_results(self, state: State, output: Output) -> None:
        """R10: results that are too large to travel do not."""
        for message in output.messages:
            if isinstance(message, ForwardedProposalResponse):
                size = sum(map(len, message.results))
                if size > state.config.max_result_bytes:
                    raise InvariantViolation("I24", f"{self.id} sends results of {size} bytes (R10)")

    def _check_forwarded(self, before: Before, state: State, message: ForwardedProposal, output: Output) -> None:
        """A leader takes each request once or answers it, and nobody passes it on (faults F127, F139, F140)."""
        passed_on = any(isinstance(m, ForwardedProposal) for m in output.messages)
        if passed_on:
            raise InvariantViolation("I18", f"{self.id} passes {message!r} on (F127)")
        taken = False
        if message.commands and state.log.last_index > before.end[1] >= state.log.base_index:
            appended = state.log.slice(before.end[1] + 1, state.log.last_index)
            taken = COMMAND + message.commands[0] in appended
        answered = any(isinstance(m, ForwardedProposalResponse) and m.to == message.sender for m in output.messages)
        new = (message.boot, message.sequence) > self._requests.get(message.sender, (0, 0))
        is_member = state.configuration.member(message.sender) is not None
        if new and is_member and message.commands and not taken and not answered:
            raise InvariantViolation("I25", f"{self.id} neither takes nor answers {message!r} (F140)")
        late = message.term != before.term
        if taken and late:
            raise InvariantViolation("I18", f"{self.id} takes {message!r} in another term (F127)")

    def _check_forwards(self, before: Before, state: State, events: Sequence[Event], output: Output) -> None:
        """What was forwarded to the leader of an earlier term is not waited for, once there is another (F97)."""
        led = state.role.leader is not None
        if not led or before.term != state.term or before.leader is None:
            self._led_since = before.now
        sent = any(isinstance(message, ForwardedProposal) for message in output.messages)
        if sent and len(events) == 1 and isinstance(events[0], Propose):
            self._forwards[events[0].token] = state.term
        if not self._forwards:
            return
        for answer in output.answers:
            self._forwards.pop(answer.token, None)
        token, term = next(iter(self._forwards.items()), (None, state.term))
        latest = self._led_since + state.config.heartbeat_interval + SLACK
        if led and term < state.term and before.now > latest:
            raise InvariantViolation("I25", f"{self.id} waits for word on {token} from the leader of term {term} (F97)")
