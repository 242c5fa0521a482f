"""Events take effect in the order in which they came, as far as one step shows it (fault F23).

Law: *who asked first is answered first.*

Some answers are given while the events of a step are carried out, and stand in its output in that order. What is
answered by a rule at the end of the step, once it is durable or committed, is not looked at.
"""

from collections.abc import Mapping, Sequence

from rafty_core.events import Event
from rafty_core.history import InvariantViolation
from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    Heartbeat,
    HeartbeatResponse,
    Message,
    PreVote,
    PreVoteResponse,
    RequestVote,
    RequestVoteResponse,
)
from rafty_core.output import Output

ANSWERED_BY: Mapping[type, type] = {
    PreVoteResponse: PreVote,
    HeartbeatResponse: Heartbeat,
    AppendEntriesResponse: AppendEntries,
    RequestVoteResponse: RequestVote,
}
"""By the kind of an answer: of what kind the question is."""


def _is_given_at_once(message: Message) -> bool:
    """Whether it is an answer that no rule gives: votes and successes wait for the disk."""
    if isinstance(message, AppendEntriesResponse):
        return not message.success
    if isinstance(message, RequestVoteResponse):
        return not message.vote_granted
    return isinstance(message, PreVoteResponse | HeartbeatResponse)


def check_order(node: str, events: Sequence[Event], output: Output) -> None:
    """The answers that were given at once stand in the order of the questions. Raises `InvariantViolation`."""
    if len(events) < 2:
        return
    position = 0
    for message in output.messages:
        if not _is_given_at_once(message):
            continue
        kind = ANSWERED_BY[type(message)]
        while position < len(events):
            event = events[position]
            position += 1
            if isinstance(event, kind) and getattr(event, "sender", "") == message.to:
                break
        else:
            raise InvariantViolation("I6", f"{node} gives {message!r} out of order, told {list(events)!r} (F23)")
