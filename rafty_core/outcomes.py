"""What can become of a proposal, as exceptions a caller can tell apart.

Law: *a caller always knows which of three things is true: applied, not applied and never will be, or unknown.*

Applied is a result. `NotApplied` and its kinds say that the command was not applied and never will be, so that it is
safe to send it again. `OutcomeUnknown` says that it may have been applied, or may still be: sending it again may apply
it twice.

The core puts instances of these into its answers and never raises them; `Node` raises them. Each text is one sentence
that says why.
"""


class ProposalError(Exception):
    """A proposal has no result. Whether it may still be applied, the kind says."""


class NotApplied(ProposalError):
    """The command was not applied and never will be."""


class NotLeader(NotApplied):
    """Nobody accepted the command: this node is not the leader, or knows none. `leader` is its id, or None."""

    def __init__(self, text: str, leader: str | None = None) -> None:
        super().__init__(text)
        self.leader = leader


class Overloaded(NotApplied):
    """A bound is full, and the text names it. Try again later, and more slowly."""


class TooLarge(NotApplied):
    """The command, or all commands of the proposal together, exceed a size limit. Trying again does not help."""


class Superseded(NotApplied):
    """Another leader's entry was committed in the place of this one (paper 5.3): it never will be applied."""


class Stopped(NotApplied):
    """The node stopped before it accepted the command."""


class ChangeRefused(NotApplied):
    """A change of membership was refused, given up or undone: the members are as they were. `reason` is one word."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class TransferFailed(NotApplied):
    """Leadership did not go to the wanted node; who leads, the text says. The log is untouched."""


class SessionExpired(NotApplied):
    """The session is gone (unused for too long, or closed), and this command was never run: open another session.

    A command that was already under way when its session was found to be gone may have been run before: that is
    `OutcomeUnknown`.
    """


class OutcomeUnknown(ProposalError):
    """The command may have been applied, or may still be, or never; this node cannot tell."""
