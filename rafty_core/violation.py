"""What is refused from outside before anything is changed.

Law: *a message that breaks the protocol changes nothing* (invariant I27). Handlers raise `Violation` in their guards,
before their first change; `raft.py` turns it into a count and a notice.

The codec has checked the same types on the wire already; a transport of somebody else's may not have.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

from rafty_core.configuration import Configuration
from rafty_core.entries import CONFIGURATION, KNOWN_KINDS, LARGEST, Batch
from rafty_core.messages import (
    FORWARD_OUTCOMES,
    MESSAGE_TYPES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    InstallSnapshot,
    Message,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)

LARGEST_TERM_JUMP = 2**32
"""No cluster holds so many elections between two messages; a term this far ahead is damage, or an attack (F28)."""

SEQUENCES = (list, tuple)
REQUESTS = (
    RequestVote,
    PreVote,
    AppendEntries,
    Heartbeat,
    ForwardedProposal,
    InstallSnapshot,
    TimeoutNow,
    ReadIndexRequest,
)

NUMBERS = {
    kind: attrgetter(
        *(name for name in kind.__slots__ if name == "term" or name.endswith(("_index", "_term", "_commit"))),
        *(name for name in kind.__slots__ if name in ("round", "boot", "sequence")),
        "term",  # twice, so that attrgetter always gives a tuple
    )
    for kind in MESSAGE_TYPES
}


class Violation(Exception):
    """A message breaks the protocol. The text says how, in one sentence."""


def check_message(message: Message, node_id: str, term: int) -> None:
    """Raise `Violation` if no correct node could have sent this message to this node, whatever its state."""
    if message.to != node_id:
        raise Violation(f"a message for {message.to!r} came to {node_id!r}")
    if message.sender == node_id or not isinstance(message.sender, str) or not message.sender:
        raise Violation(f"a message came from outside under the sender {message.sender!r}")
    for number in NUMBERS[type(message)](message):
        if type(number) is not int or not 0 <= number <= LARGEST:  # True is an int and 1.0 == 1: fault F136
            raise Violation(f"{number!r:.40} is no number of a {type(message).__name__}")
    if message.term == 0 and type(message) in REQUESTS:
        raise Violation(f"nobody leads, stands or votes in term 0, as this {type(message).__name__} says")
    if message.term > term + LARGEST_TERM_JUMP:
        raise Violation(f"term {message.term} is implausibly far above term {term}")
    check = CONTENT.get(type(message))
    if check is not None:
        check(message)


def check_append_entries(message: AppendEntries) -> None:
    """The entries follow the preceding one, and terms do not fall along the log nor exceed the leader's."""
    if message.prev_log_term > message.term or (message.prev_log_index == 0 and message.prev_log_term != 0):
        raise Violation(f"no log has an entry {message.prev_log_index} of term {message.prev_log_term}")
    batch = message.batch
    if batch is None:
        return
    if type(batch) is not Batch or type(batch.first) is not int or type(batch.term) is not int:
        raise Violation("the entries of an AppendEntries are not a batch")
    if batch.first != message.prev_log_index + 1:
        raise Violation(f"entries from {batch.first} do not follow entry {message.prev_log_index}")
    if not max(1, message.prev_log_term) <= batch.term <= message.term:
        raise Violation(f"entries of term {batch.term} between terms {message.prev_log_term} and {message.term}")
    check_entries(batch)


def check_entries(batch: Batch) -> None:
    """There is at least one entry, and each is bytes of a known kind."""
    entries = batch.entries
    if type(entries) not in SEQUENCES:
        raise Violation(f"{type(entries).__name__} is no sequence of entries")
    if not entries or batch.first + len(entries) > LARGEST:
        raise Violation(f"a batch at {batch.first} has {len(entries)} entries")
    if set(map(type, entries)) != {bytes} or not all(entries) or not batch.kinds <= KNOWN_KINDS:
        raise Violation("an entry is not bytes of a known kind")
    if CONFIGURATION[0] in batch.kinds:
        for entry in entries:
            if entry[0] == CONFIGURATION[0]:
                check_configuration(entry[1:])


def check_configuration(data: bytes) -> None:
    """The payload of a configuration entry is one that a cluster can have."""
    try:
        configuration = Configuration.decode(data)
    except ValueError as error:
        raise Violation(f"an entry holds no configuration: {error}") from error
    check_members(configuration, "an entry holds")


def check_members(configuration: Configuration, found: str) -> None:
    """There are voters; and a goal is a configuration at rest whose voters are members now (R104)."""
    if not configuration.voters:
        raise Violation(f"{found} a configuration without voters")
    goal = configuration.goal
    if goal is None:
        return
    members = {member.id for member in configuration.members}
    if not goal.voters or not goal.at_rest or not members.issuperset(goal.voter_ids):
        raise Violation(f"{found} a configuration with a goal that it cannot lead to")


def check_snapshot(message: InstallSnapshot) -> None:
    """A snapshot holds at least one entry, of a term that is over or is the leader's, and a configuration in it."""
    if message.last_included_index < 1 or not 1 <= message.last_included_term <= message.term:
        raise Violation(
            f"no snapshot ends with entry {message.last_included_index} of term {message.last_included_term}"
        )
    if type(message.configuration) is not Configuration:
        raise Violation("a snapshot comes without a configuration")
    if message.configuration.index > message.last_included_index:  # R180
        raise Violation(f"a snapshot ends with entry {message.last_included_index}, before its configuration stands")
    check_members(message.configuration, "a snapshot comes with")


def check_request_vote(message: RequestVote) -> None:
    """The election was asked for by a leader, or not."""
    if type(message.transfer) is not bool:
        raise Violation(f"{message.transfer!r:.40} does not say whether the leader asked for the election")


def check_read_index_request(message: ReadIndexRequest) -> None:
    """The lease is good enough, or not."""
    if type(message.lease) is not bool:
        raise Violation(f"{message.lease!r:.40} does not say whether the lease is good enough")


def check_forwarded(message: ForwardedProposal) -> None:
    """A forwarded proposal brings commands."""
    if type(message.commands) not in SEQUENCES or not message.commands or set(map(type, message.commands)) != {bytes}:
        raise Violation("a forwarded proposal brings no commands")


def check_forwarded_response(message: ForwardedProposalResponse) -> None:
    """The outcome is one that exists, results are bytes, and the rest is text."""
    if type(message.leader_hint) is not str or type(message.reason) is not str:
        raise Violation("the reason of an outcome is no text")
    if (
        type(message.results) not in SEQUENCES
        or message.outcome not in FORWARD_OUTCOMES
        or not set(map(type, message.results)) <= {bytes}
    ):
        raise Violation(f"{message.outcome!r:.40} is no outcome of a proposal")


def check_acknowledgement(message: AppendEntriesResponse) -> None:
    """An append succeeded or not."""
    if type(message.success) is not bool:
        raise Violation(f"{message.success!r:.40} is neither success nor refusal")


def check_vote_response(message: RequestVoteResponse | PreVoteResponse) -> None:
    """A vote is granted or not."""
    if type(message.vote_granted) is not bool:
        raise Violation(f"{message.vote_granted!r:.40} is no vote")


CONTENT: Mapping[type[Message], Callable[[Any], None]] = {
    AppendEntries: check_append_entries,
    AppendEntriesResponse: check_acknowledgement,
    ForwardedProposal: check_forwarded,
    ForwardedProposalResponse: check_forwarded_response,
    RequestVoteResponse: check_vote_response,
    PreVoteResponse: check_vote_response,
    RequestVote: check_request_vote,
    InstallSnapshot: check_snapshot,
    ReadIndexRequest: check_read_index_request,
}
