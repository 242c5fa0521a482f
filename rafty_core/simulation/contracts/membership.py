"""What one step of one node owes to changes of membership, seen from outside (paper 6, thesis 4).

Law: *each configuration follows from the one before it, in the step in which it may; who asked is told the truth.*
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rafty_core.configuration import Configuration
from rafty_core.configuration_invariants import is_quorum
from rafty_core.events import ChangeMembership, Event
from rafty_core.history import Ghost, InvariantViolation
from rafty_core.messages import Heartbeat
from rafty_core.outcomes import ChangeRefused, NotLeader, OutcomeUnknown, Superseded
from rafty_core.output import MembershipAnswer, Output
from rafty_core.quorum import majority
from rafty_core.roles import Leader
from rafty_core.simulation.contracts import change_oracle
from rafty_core.simulation.contracts.before import SLACK, Before
from rafty_core.simulation.contracts.leader_account import LeaderAccount
from rafty_core.simulation.contracts.learners import LearnerContracts
from rafty_core.state import State

PATIENCE = 10
"""Election timeouts after which a leader does not wait any more for one that is silent."""


@dataclass
class Asked:
    """A change that this node has accepted, and not answered."""

    token: Any
    index: int
    term: int
    target: Configuration


@dataclass
class Dropped:
    """A member that a leader has dropped, and is still to tell of it."""

    index: int
    told_in: int = 0  # the first round that brings it the commit of its removal
    until: float = float("inf")


class MembershipContracts:
    """The contracts of one life of a node: call `after` behind each step."""

    def __init__(self, ghost: Ghost, account: LeaderAccount) -> None:
        self._ghost, self._account = ghost, account
        self._learners = LearnerContracts(account)
        self._asked: Asked | None = None
        self._dropped: dict[str, Dropped] = {}
        self._transferring = False
        self._stalled = -1.0

    def after(self, before: Before, state: State, events: Sequence[Event], output: Output, *, led: bool) -> None:
        """Check what the step did; `led`: whether the account has followed it. Raises `InvariantViolation`."""
        leader = state.role if isinstance(state.role, Leader) else None
        goes_on = led and isinstance(before.role, Leader) and before.term == state.term
        for event in events:
            if isinstance(event, ChangeMembership):
                self._check_request(before, state, event, output, alone=len(events) == 1)
        self._check_answers(before, state, output)
        if goes_on and leader is not None and state.log.configurations.index > before.configuration_index:
            self._check_appended(before, state, leader, events)
        if leader is not None:
            self._check_leader(before, state, leader, goes_on=goes_on)
        elif goes_on:
            self._check_resignation(before, state)
        if leader is None or not goes_on:
            self._dropped.clear()
        elif self._dropped:
            self._check_dropped(before, state, leader, output)
        self._learners.after(before, state, leader if goes_on else None)
        self._transferring = leader is not None and leader.transfer is not None
        self._stalled = state.writes.oldest_cut

    # ------------------------------------------------------------------ requests

    def _check_request(
        self, before: Before, state: State, event: ChangeMembership, output: Output, *, alone: bool
    ) -> None:
        """A change is refused for a reason that is true, and accepted if there is none (F56, F57, F73, F74)."""
        pending = self._asked is not None
        answers = [answer for answer in output.answers if answer.token == event.token]
        error = answers[0].error if answers else None
        if not answers and state.change is not None and state.change.token == event.token:
            change = state.change
            self._asked = Asked(event.token, change.index, change.term, change.target)
        elif not answers:
            raise InvariantViolation("I18", f"{state.id} neither takes nor answers {event!r}")
        if not alone:
            return
        if not isinstance(before.role, Leader):
            _demand(isinstance(error, NotLeader), "I18", state, f"does not lead, and answers {event!r}: {answers}")
            return
        certain, possible, target = self._reasons(before, state, event, pending=pending)
        if isinstance(error, ChangeRefused):
            _demand(error.reason in possible, "I18", state, f"refuses {event!r} as {error.reason}, not {possible}")
            return
        _demand(not certain, "I13", state, f"accepts {event!r}, in spite of {certain}")
        if target is None or before.term != state.term or not isinstance(state.role, Leader):
            return
        if target == before.configuration:
            _demand(bool(answers), "I18", state, f"has nothing to do for {event!r}, and does not say so")
        else:
            right = change_oracle.is_first_step(before.configuration, target, state.configuration)
            right = right and state.log.configurations.index == before.end[1] + 1
            _demand(right, "I13", state, f"begins {event!r} with {state.configuration}, on the way to {target}")

    def _reasons(
        self, before: Before, state: State, event: ChangeMembership, *, pending: bool
    ) -> tuple[list[str], list[str], Configuration | None]:
        """Why this change must be refused, why it may be, and where it leads."""
        now, index = before.configuration, before.configuration_index
        reasons = {
            "transfer": self._transferring,
            "not_ready": before.commit < state.log.base_index or state.log.term(before.commit) != before.term,
            "in_progress": index > before.commit or pending or not now.at_rest,
            "based_on": event.based_on not in (0, index),
            "unknown": change_oracle.unknown_to(now, event.changes),
        }
        found = [reason for reason, holds in reasons.items() if holds]
        if "in_progress" in found or "unknown" in found:
            return found, found, None
        try:
            target = change_oracle.outcome_of(now, event)
        except change_oracle.Impossible as reason:
            return [*found, str(reason)], [*found, str(reason)], None
        if target.voter_ids != now.voter_ids and not event.force:
            silent = [voter for voter in target.voter_ids if self._is_silent(state, now, voter)]
            if len(target.voter_ids) - len(silent) < majority(len(target.voter_ids)):
                found.append("unreachable")
        return found, found, target

    def _is_silent(self, state: State, now: Configuration, voter: str) -> bool:
        if voter == state.id or voter not in now.voter_ids:
            return False
        return state.now >= self._account.heard.get(voter, -1e9) + state.config.election_timeout

    # ------------------------------------------------------------------- answers

    def _check_answers(self, before: Before, state: State, output: Output) -> None:
        """F75: who asked is told when what is committed decides it, whoever leads by then; and told the truth."""
        asked = self._asked
        if asked is None:
            return
        answer = next((answer for answer in output.answers if answer.token == asked.token), None)
        if answer is None and state.log.commit == before.commit:
            return
        lost, outcome = self._decided(asked, min(state.log.commit, self._ghost.last))
        text = f"answers {asked} with {answer}; it is {'lost' if lost else outcome}"
        if answer is None:  # a snapshot hides how it went, until the members are at rest
            hidden = state.log.base_index >= asked.index
            _demand(hidden or (not lost and outcome is None), "I18", state, text)
            return
        self._asked = None
        error, same = answer.error, outcome is not None and _members(outcome) == _members(asked.target)
        if isinstance(error, OutcomeUnknown):
            _demand(state.log.base_index >= asked.index, "I18", state, text)
        elif isinstance(error, Superseded):
            _demand(lost, "I18", state, text)
        elif error is not None:
            hidden = lost and state.log.base_index >= asked.index  # a snapshot does not tell whose entry took its place
            _demand(hidden or (outcome is not None and not same), "I18", state, text)
        elif isinstance(answer, MembershipAnswer):
            told = answer.configuration
            _demand(told is not None and _members(told) == _members(asked.target), "I18", state, text)
            later = state.log.base_index >= asked.index  # a snapshot came, and another change led there, too
            _demand(told == outcome or later, "I18", state, text)

    def _decided(self, asked: Asked, commit: int) -> tuple[bool, Configuration | None]:
        """Whether the change can never be committed, and where it led, as what is committed has it."""
        ghost = self._ghost
        if commit < asked.index:
            return commit > 0 and (ghost.term(commit) or 0) > asked.term, None
        if ghost.term(asked.index) != asked.term:
            return True, None
        found: Configuration | None = None
        for index, configuration in reversed(ghost.configurations):
            if index < asked.index:
                break
            if index <= commit and configuration.at_rest:
                found = configuration
        return False, found

    # --------------------------------------------------------------------- steps

    def _check_appended(self, before: Before, state: State, leader: Leader, events: Sequence[Event]) -> None:
        """What a leader appends follows from what was in force (F73, F74); and it is sent at once (F62)."""
        was, now = before.configuration, state.configuration
        text = f"appends {now} behind {was}"
        if was.is_joint:
            _demand(now == change_oracle.left_joint(was), "I13", state, text)
        elif was.goal is not None and now.is_joint:
            _demand(change_oracle.is_joint_step(was, was.goal, now), "I13", state, text)
            self._learners.check_promoted(before, state, leader, was)
        elif was.goal is not None:
            _demand(now == change_oracle.undone(was), "I13", state, text)
            self._learners.check_given_up(before, state, leader, was)
        else:
            _demand(any(isinstance(event, ChangeMembership) for event in events), "I13", state, text)
        staying, known = ({member.id for member in one.members} for one in (now, was))
        for member in was.members:
            if member.id not in staying and member.id != state.id:
                self._dropped[member.id] = Dropped(state.log.configurations.index)
        for name in sorted(staying):
            self._dropped.pop(name, None)
            if name not in known and name != state.id and len(events) == 1:
                match = leader.progress[name].match
                _demand(match == 0, "I12", state, f"takes {match} for replicated on {name}, who has just come (R15)")
        for peer, progress in leader.progress.items():
            waits = progress.is_paused or progress.next > state.log.last_index or progress.next <= state.log.base_index
            _demand(waits, "I25", state, f"appends a configuration, and does not send it to {peer} (F62)")

    def _check_leader(self, before: Before, state: State, leader: Leader, *, goes_on: bool) -> None:
        """A joint configuration is left in the step in which its commit is known (F60); a leader that has not heard
        both halves for an election timeout leads no more (F63)."""
        log, now = state.log, before.now
        if (
            state.configuration.is_joint
            and log.configurations.index <= log.commit
            and log.term(log.commit) == state.term
        ):
            raise InvariantViolation("I25", f"{state.id} stays joint, though that is committed")
        self._check_contact(before, state)
        timeout = state.config.election_timeout
        if goes_on and now > self._account.voters_since + timeout + 1e-6:
            text = f"leads on, and has heard {self._account.contacts} at {now} (F21, F63)"
            _demand(is_quorum(state.configuration, self._heard(state, now - 1e-6)), "I25", state, text)
        if _is_out(state):
            raise InvariantViolation("I25", f"{state.id} leads on, though its removal is committed (F64, R179)")

    def _check_contact(self, before: Before, state: State) -> None:
        """F63: a quorum was heard when a majority of each half was."""
        contacts, now = {**self._account.contacts, state.id: before.now}, state.configuration
        times = sorted({contacts[voter] for voter in now.all_voter_ids}, reverse=True)
        heard = next(time for time in times if is_quorum(now, [peer for peer in contacts if contacts[peer] >= time]))
        text = f"has heard its quorum at {state.quorum_contact}, it says, and at {heard} in truth: {contacts} (F63)"
        _demand(state.quorum_contact == heard, "I25", state, text)

    def _heard(self, state: State, now: float) -> list[str]:
        timeout = state.config.election_timeout
        return [state.id, *(peer for peer, time in self._account.contacts.items() if now < time + timeout)]

    def _check_resignation(self, before: Before, state: State) -> None:
        """F64: a leader goes on until its quorum is lost, its disk stalls, or its removal is committed."""
        now, removed = before.now, _is_out(state)
        stalls = now >= self._stalled + state.config.election_timeout - 1e-6
        alone = not is_quorum(state.configuration, self._heard(state, now + 1e-6))
        alone = alone or not is_quorum(before.configuration, self._heard(state, now + 1e-6))
        text = f"leads no more, without a reason: it has heard {self._account.contacts} at {now}"
        _demand(removed or stalls or alone, "I25", state, text)

    # ---------------------------------------------------------- who was dropped

    def _check_dropped(self, before: Before, state: State, leader: Leader, output: Output) -> None:
        """F66: a member that was dropped is told until it knows that this is committed, or stays silent for too long;
        then it is left alone."""
        account, timeout = self._account, state.config.election_timeout
        for peer, dropped in list(self._dropped.items()):
            if state.log.commit < dropped.index:
                _demand(peer in leader.progress, "I15", state, f"forgets {peer} before its removal is committed (F66)")
                continue
            dropped.until = min(dropped.until, before.now + PATIENCE * timeout)
            for message in output.messages if dropped.told_in == 0 else ():
                if isinstance(message, Heartbeat) and message.to == peer and message.leader_commit >= dropped.index:
                    dropped.told_in = message.round
            answered = account.answered.get(peer, 0)
            if peer not in leader.progress:
                knows, late = 0 < dropped.told_in <= answered, before.now >= dropped.until - 1e-6
                _demand(knows or late, "I15", state, f"forgets {peer}, which does not know that it is removed (F66)")
                del self._dropped[peer]
            elif 0 < dropped.told_in < answered or before.now > dropped.until + SLACK:
                raise InvariantViolation("I24", f"{state.id} does not leave {peer} alone, which is removed (F66)")


def _members(configuration: Configuration) -> tuple[object, object]:
    return configuration.voters, configuration.learners


def _is_out(state: State) -> bool:
    """Whether what is committed does not have this node for a voter, and nothing behind it brings it back."""
    known, own = state.log.configurations.since(state.log.commit), state.config.incarnation
    voters = [voter for configuration in known for voter in (*configuration.voters, *configuration.outgoing)]
    return not any(voter.id == state.id and own in ("", voter.incarnation) for voter in voters)


def _demand(holds: bool, number: str, state: State, text: str) -> None:
    if not holds:
        raise InvariantViolation(number, f"{state.id} {text}")
