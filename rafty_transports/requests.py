"""Requests of callers that are answered once, by token: reads, changes of membership, transfers.

Law: *whoever waits is told in the end: by the core, by the end of its time, or by the end of the node.*

Reads that come while the node is busy share one request, and one event to wait for.
"""

from typing import Generic, TypeVar

import anyio

from rafty_core.events import READ_MODES, Read
from rafty_core.outcomes import OutcomeUnknown, ProposalError, Stopped
from rafty_core.output import MembershipAnswer, ReadAnswer, TransferAnswer

A = TypeVar("A", ReadAnswer, MembershipAnswer, TransferAnswer)


class Request(Generic[A]):
    """One request, or reads that share one; the token of its event."""

    __slots__ = ("done", "answer", "error")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: A | None = None
        self.error: ProposalError | None = None

    def finish(self, answer: A) -> None:
        """The core's word."""
        self.answer, self.error = answer, answer.error
        self.done.set()

    def fail(self, error: ProposalError) -> None:
        """There will be no word of the core."""
        if not self.done.is_set():
            self.error = error
            self.done.set()


class Requests:
    """The open requests of one node."""

    def __init__(self) -> None:
        self._open: dict[int, Request[ReadAnswer] | Request[MembershipAnswer] | Request[TransferAnswer]] = {}
        self._reads: dict[str, Request[ReadAnswer]] = {}  # by mode, what gathers now

    @property
    def gathered(self) -> bool:
        """Whether reads have gathered that the core has not heard of."""
        return bool(self._reads)

    def join_reads(self, mode: str) -> Request[ReadAnswer]:
        """A read of this mode, together with all that gather now."""
        request = self._reads.get(mode)
        if request is None:
            request = self._reads[mode] = Request()
        return request

    def take_reads(self) -> list[Read]:
        """What has gathered, for the core."""
        if not self._reads:
            return []
        gathered, self._reads = self._reads, {}
        return [Read(self.opened(gathered[mode]), mode) for mode in READ_MODES if mode in gathered]

    def opened(self, request: Request[A]) -> Request[A]:
        """The core is told of this request now, and so it has a token."""
        self._open[id(request)] = request
        return request

    def answer(self, answer: ReadAnswer | MembershipAnswer | TransferAnswer) -> None:
        """The core's word on one of them."""
        self._open.pop(id(answer.token), None)
        answer.token.finish(answer)

    def stop(self, why: str) -> None:
        """Tell everybody that waits."""
        gathered, waiting, self._reads, self._open = self._reads, self._open, {}, {}
        for read in gathered.values():
            read.fail(Stopped(f"{why} before the read was confirmed"))
        for request in waiting.values():
            request.fail(OutcomeUnknown(f"{why} while the outcome was open"))
