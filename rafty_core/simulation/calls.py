"""Reads, changes of membership and transfers that are asked for everywhere, and whether their answers are true.

Law: *every call is answered once, or its node dies; a read sees all that was committed before it was asked* (invariants
I16 and I18).

What the invariant asks of reads is less: all that anybody was told of. The core promises the more.
"""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rafty_core import (
    Change,
    ChangeMembership,
    Configuration,
    MembershipAnswer,
    NotApplied,
    OutcomeUnknown,
    Read,
    ReadAnswer,
    TransferAnswer,
    TransferLeadership,
)
from rafty_core.invariants import InvariantViolation
from rafty_core.output import Answer

if TYPE_CHECKING:
    from rafty_core.simulation.cluster import Cluster
    from rafty_core.simulation.node import SimulatedNode


class Calls:
    """All calls but proposals: those that are open, and what became of the others."""

    def __init__(self, cluster: "Cluster") -> None:
        self.cluster = cluster
        self.open: dict[str, tuple[str, Read | ChangeMembership | TransferLeadership, int]] = {}
        self.fates: dict[str, str] = {}
        self.addresses = 0
        """How many addresses were made up, each another one."""
        self._next = 0
        self._never: dict[str, str] = {}  # addresses that only a refused change would have brought in
        self._removals: Counter[str] = Counter()  # changes that may remove this member
        self._seen = 1

    def _token(self, kind: str) -> str:
        self._next += 1
        return f"{kind}{self._next}"

    def _ask(self, node: "SimulatedNode", event: Read | ChangeMembership | TransferLeadership) -> str:
        """Ask this node; what is committed by now, a read must see."""
        if node.raft is not None:  # it may have ended a moment ago, and its name have begun anew
            self.open[event.token] = (node.id, event, self.cluster.invariants.ghost.last)
            node.receive(event)
        return str(event.token)

    def read(self, node: "SimulatedNode", mode: str, index: int | None = None) -> str:
        """A client reads at this node, "at_least" at this index or at any; returns the token."""
        if index is None:
            committed = self.cluster.invariants.ghost.last
            index = self.cluster.world.random.randint(0, committed) if mode == "at_least" else 0
        return self._ask(node, Read(self._token("read"), mode, index))

    def transfer(self, node: "SimulatedNode", target: str | None, timeout: float) -> str:
        """An administrator asks this node to hand over."""
        return self._ask(node, TransferLeadership(self._token("transfer"), target, timeout))

    def change(self, node: "SimulatedNode", changes: Sequence[Change], **options: object) -> str:
        """An administrator asks this node for a change of membership."""
        self._removals.update({change.member.id for change in changes if change.kind == "remove"})
        return self._ask(node, ChangeMembership(self._token("change"), changes, **options))  # type: ignore[arg-type]

    def crashed(self, node_id: str) -> None:
        """The node of some calls is gone; nobody is told what becomes of them."""
        for token in [token for token, (where, _, _) in self.open.items() if where == node_id]:
            del self.open[token]
            self.fates[token] = "crashed"

    # ------------------------------------------------------------------ answers

    def answered(self, node: "SimulatedNode", answer: Answer) -> None:
        """Check an answer, now and for all time to come."""
        if answer.token not in self.open:
            raise InvariantViolation("I18", f"{node.id} answers {answer.token} a second time, or in a later life")
        where, event, committed = self.open.pop(answer.token)
        if where != node.id:
            raise InvariantViolation("I18", f"{node.id} answers call {answer.token} of {where}")
        error = answer.error
        if error is not None and not isinstance(error, NotApplied | OutcomeUnknown):
            raise InvariantViolation("I18", f"call {answer.token} is answered {error!r}, which says nothing")
        self.fates[answer.token] = type(error).__name__ if error is not None else "done"
        if isinstance(answer, ReadAnswer) and isinstance(event, Read) and error is None:
            self._check_read(node, answer, max(committed, event.index) if event.mode != "at_least" else event.index)
        elif isinstance(answer, MembershipAnswer) and isinstance(event, ChangeMembership):
            self._check_change(answer, event)
        elif isinstance(answer, TransferAnswer) and isinstance(event, TransferLeadership) and error is None:
            self._check_transfer(node, answer, event)

    def _check_read(self, node: "SimulatedNode", answer: ReadAnswer, least: int) -> None:
        """I16: it sees what was committed when it was asked, and that is applied here."""
        if answer.index < least:
            text = f"{node.id}: read {answer.token} is served at {answer.index}, but {least} was committed before"
            raise InvariantViolation("I16", text)
        if node.machine.applied < answer.index:
            raise InvariantViolation("I16", f"{node.id}: read {answer.token} at {answer.index}, which is not applied")

    def _check_transfer(self, node: "SimulatedNode", answer: TransferAnswer, event: TransferLeadership) -> None:
        led = answer.leader in self.cluster.invariants.leaders.values()
        if not led or event.target not in (None, answer.leader):
            raise InvariantViolation("I18", f"{node.id}: transfer {event!r} is answered {answer!r}")

    def _check_change(self, answer: MembershipAnswer, event: ChangeMembership) -> None:
        """What was asked for is so and committed; or, if it is refused, it never comes."""
        ghost = self.cluster.invariants.ghost
        if answer.error is None:
            now = answer.configuration
            if now is None or now not in [known for _, known in ghost.configurations] or not now.at_rest:
                raise InvariantViolation("I18", f"change {event.token} ends in what is not committed: {now}")
            if not all(_is_so(change, now) for change in _last_of_each(event.changes)):
                raise InvariantViolation("I18", f"change {event.token} did not lead to {event.changes}: {now}")
        elif isinstance(answer.error, NotApplied):
            self._removals.subtract({change.member.id for change in event.changes if change.kind == "remove"})
            for change in event.changes:
                if change.member.address:
                    self._never[change.member.address] = str(event.token)
            for index, configuration in ghost.configurations:
                self._check_refused(index, configuration)

    def see(self) -> None:
        """Look at the configurations that were committed since the last call."""
        configurations = self.cluster.invariants.ghost.configurations
        while self._seen < len(configurations):
            index, configuration = configurations[self._seen]
            before = configurations[self._seen - 1][1]
            self._seen += 1
            self._check_refused(index, configuration)
            staying = {member.id for member in configuration.members}
            for member in before.members:
                wanted = self._removals[member.id] > 0 or member.id in before.newcomers
                if member.id not in staying and not wanted:
                    raise InvariantViolation("I18", f"{member.id} is removed at {index}, and nobody asked for that")

    def _check_refused(self, index: int, configuration: Configuration) -> None:
        if not configuration.at_rest:
            return
        for member in configuration.members:
            if member.address in self._never:
                refused = self._never[member.address]
                raise InvariantViolation("I18", f"{member} is a member at {index}, though {refused} was refused")


def _last_of_each(changes: Sequence[Change]) -> list[Change]:
    return list({change.member.id: change for change in changes}.values())


def _is_so(change: Change, now: Configuration) -> bool:
    member = now.member(change.member.id)
    if change.kind == "remove":
        return member is None
    group = {"add_voter": now.voters, "add_learner": now.learners}.get(change.kind, now.members)
    return member is not None and member in group and change.member.address in ("", member.address)
