"""What happened in a run, told in English.

Law: *one line for each event: when (in simulated seconds), where, what.*

`rafty_core.explain` has the sentences for messages, events and notices. Here are those of the world around the core:
disks, networks, crashes, and the answers that clients get.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rafty_core.entries import Batch
from rafty_core.events import Applied, Campaign, ChangeMembership, Propose, Read, TransferLeadership
from rafty_core.explain import explain
from rafty_core.messages import MESSAGE_TYPES
from rafty_core.output import Answer, Fetch, MembershipAnswer, ProposalAnswer, ReadAnswer, TransferAnswer, Write

Happened = tuple[float, str, str, Any]
"""When, where, what, and a value: as `World.note` has it."""

REQUESTS = (Campaign, ChangeMembership, Propose, Read, TransferLeadership)
"""What an application asks for. Its commands stand in an envelope, as in `7/0:x`: request 7, its first command."""

ROUTINE = frozenset(
    ("<-", "->", "<- (corrupted)", "writes", "has on disk", "is to restore", "is to apply", "is to fetch", "answers")
)
"""What any cluster does. The rest is what was done to it, and what became of its leaders and members."""


def tell(event: Happened) -> str:
    """One event as one line."""
    at, node, what, value = event
    sentence = SENTENCES[what](value) if what in SENTENCES else f"{what} {value}".rstrip()
    return f"{at:10.4f}  {node:8} {sentence}"


def tell_all(events: Iterable[Happened]) -> list[str]:
    """These events, a line for each."""
    return [tell(event) for event in events]


def tell_strikes(events: Iterable[Happened]) -> list[str]:
    """What was done to the cluster and what it was asked for, and nothing of what followed from it."""
    return [tell(event) for event in events if _is_from_outside(*event)]


def _is_from_outside(at: float, node: str, what: str, value: Any) -> bool:
    return isinstance(value, REQUESTS) if what == "<-" else what not in ROUTINE and what != "notices"


def _hears(event: Any) -> str:
    if type(event) in MESSAGE_TYPES:
        return f"hears: {explain(event)}"
    return f"is told: {explain(event)}{_details(event)}"


def _damaged(message: Any) -> str:
    """A message whose entries are no batch cannot be explained."""
    batch = getattr(message, "batch", None)
    told = explain(message) if batch is None or type(batch) is Batch else repr(message)
    return f"hears something damaged: {told}"


def _details(event: Any) -> str:
    if isinstance(event, Propose):
        return f", as request {event.token}: {_some(event.commands)}"
    if isinstance(event, Applied) and event.results:
        return f", with the results {_some(event.results)}"
    return f", as request {event.token}" if isinstance(event, Read) else ""


def _some(items: Sequence[bytes]) -> str:
    return ", ".join(f"{item!r:.80}" for item in items[:5]) + (", ..." if len(items) > 5 else "")


def _writes(write: Write) -> str:
    parts = [f"term {write.term}", f"a vote for {write.vote}" if write.vote else "no vote"]
    if write.snapshot is not None:
        parts.append(f"the snapshot at {write.snapshot.index}{' in place of the whole log' * write.installs}")
    parts += [f"{_entries(batch.first, batch.last)} of term {batch.term}" for batch in write.batches]
    if write.compact_to:
        parts.append(f"that the log up to {write.compact_to} may go")
    return f"begins write number {write.seq}: {', '.join(parts)}"


def _entries(first: int, last: int) -> str:
    return f"entry {first}" if first == last else f"entries {first} to {last}"


def _answers(answer: Answer) -> str:
    outcome = "done" if answer.error is None else f"{type(answer.error).__name__}: {answer.error}"
    if isinstance(answer, ProposalAnswer):
        count = "1 command was" if answer.applied == 1 else f"{answer.applied} commands were"
        done = f"{count} applied" + (answer.error is not None) * f", for the rest: {outcome}"
        return f"answers request {answer.token}: {done}"
    if isinstance(answer, ReadAnswer) and answer.error is None:
        return f"answers {answer.token}: it may be served, at index {answer.index}"
    if isinstance(answer, TransferAnswer) and answer.error is None:
        return f"answers {answer.token}: {answer.leader} leads"
    if isinstance(answer, MembershipAnswer) and answer.configuration is not None:
        return f"answers {answer.token}: {outcome}, the voters are {', '.join(answer.configuration.voter_ids)}"
    return f"answers {answer.token}: {outcome}"


def _fetches(fetch: Fetch) -> str:
    return f"fetches the snapshot at {fetch.snapshot.index} from {fetch.peer}"


def _divides(sides: Mapping[str, bool]) -> str:
    here, there = ([node for node, side in sides.items() if side is which] for which in (True, False))
    return f"is divided: {', '.join(here) or 'nobody'} on one side, {', '.join(there) or 'nobody'} on the other"


def _cut_off(how: tuple[str, bool, str, bool]) -> str:
    kinds = [name for name, cut in ((how[0], how[1]), (how[2], how[3])) if cut]
    return f"is cut off: {' and '.join(kinds) or 'it still hears and is heard'}"


SENTENCES: Mapping[str, Callable[[Any], str]] = {
    "<-": _hears,
    "->": lambda message: f"sends: {explain(message)}",
    "<- (corrupted)": _damaged,
    "notices": explain,
    "writes": _writes,
    "has on disk": lambda seq: f"has write number {seq} on disk",
    "is to restore": lambda restore: f"is to restore its state machine from the snapshot at {restore.index}",
    "is to apply": lambda span: f"is to apply {_entries(*span)}",
    "is to fetch": _fetches,
    "answers": _answers,
    "is born": lambda incarnation: f"begins with an empty disk, as incarnation {incarnation}",
    "starts": lambda boot: f"starts, in boot {boot}",
    "crashes": lambda _: "crashes",
    "is cut off": _cut_off,
    "divides": _divides,
    "loses a link": lambda link: f"loses the link from {link[0]} to {link[1]}",
    "is left with": lambda others: f"is left with {others if isinstance(others, str) else ', '.join(others)}",
    "is stranded, without": lambda others: f"is stranded: it does not reach {', '.join(others) or 'nobody'}",
}
"""By what was noted. What is not here reads as English as it was noted."""
