"""The three seams between Raft and the world: how messages travel, where the log is kept, what commands mean.

Law: *each seam promises little, and says what it does not promise.* rafty brings an implementation of each; a program
that embeds rafty may bring its own.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rafty_core.events import PeerUnreachable
from rafty_core.messages import Message
from rafty_core.output import Write
from rafty_core.stable import Stable


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is: the four names that a handshake compares.

    cluster_id   the cluster's name and a digest of the configuration that it was bootstrapped with
    node_id      the node's name
    incarnation  drawn at random when its data directory was created
    boot         a durable counter, one more at each start

    `bootstrap` is the initial configuration in words ("n1,n2,n3"), so that a refusal can name the difference.
    """

    cluster_id: str
    node_id: str
    incarnation: str
    boot: int
    bootstrap: str = ""


class Refused(Exception):
    """A peer or a request is refused; the text is one sentence that says why and what to do."""


class Transport(Protocol):
    """Carries messages between nodes. Open while inside `async with`.

    Promised: a message that is delivered was sent, unchanged, by the node that its `sender` names; nobody else's
    object is handed out (two nodes never share one).
    Not promised: that a message arrives, arrives once, in order, or soon.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None: ...

    def send(self, message: Message) -> None:
        """Take this message for delivery to `message.to`. Never waits and never raises for a peer's sake.

        A message that does not fit (the peer is slow, away or unknown) is dropped, newest first, counted, and reported
        by a `PeerUnreachable` among the incoming.
        """
        ...

    def __aiter__(self) -> AsyncIterator[Sequence[Message | PeerUnreachable]]:
        """What came in, in lists: each list is all that has gathered since the last. Ends when the transport closes.

        While nobody takes the next list, the transport stops reading: the bound of what it holds is its own.
        """
        ...


class LogStore(Protocol):
    """Keeps what a node promised. Its methods block; `Node` calls them in a worker thread, one at a time.

    Promised: when `write` returns, every given write is durable and would be loaded after a power failure.
    An error of any method is fatal for the node: a store that knows less than it promised never votes.
    """

    @property
    def identity(self) -> Identity:
        """Who this node is, with the boot number of this start."""
        ...

    def load(self) -> Stable:
        """What was durable when the store was opened."""
        ...

    def write(self, writes: Sequence[Write]) -> None:
        """Make these writes durable, in order, with one sync."""
        ...

    def meet(self, peer: Identity) -> None:
        """Store durably that this peer was met; return at once if that is known.

        Raises `Refused` if the peer has another incarnation than when it was met first, or a lower boot than the
        highest that was met (an older disk image, or another machine under the same name).
        """
        ...

    def close(self) -> None:
        """Release everything. Never raises for what was already durable."""
        ...


class StateMachine(Protocol):
    """What the commands mean. Must be deterministic: equal commands in equal order give equal results and state.

    No clock, no random numbers, no order of sets, no look at the outside. The same command is applied on every node.
    """

    def apply(self, first_index: int, commands: Sequence[bytes]) -> Sequence[bytes]:
        """Carry out these committed commands, in order; return one result for each.

        `first_index` is the log index of the first of them (indexes in between may belong to entries of Raft's own,
        so they grow, but need not be dense). A refusal by the business ("no such account") is a returned result. An
        exception stops the node, and a restart meets the same command again: nothing is skipped.
        """
        ...
