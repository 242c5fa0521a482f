"""What one step of one node owes to a transfer of leadership, and to the reads that rest on a leadership.

Law: *leadership goes to whom it was promised, in time and with the whole log; a read waits for a majority of both
halves that answers a round begun behind it* (thesis 3.10, 4.2.3, 6.4).
"""

from collections.abc import Sequence
from typing import Any

from rafty_core.configuration_invariants import is_quorum
from rafty_core.events import Event, Propose, Read, TransferLeadership
from rafty_core.history import InvariantViolation
from rafty_core.messages import ReadIndexRequest, ReadIndexResponse, RequestVote, TimeoutNow
from rafty_core.output import Output, ProposalAnswer, ReadAnswer
from rafty_core.roles import Follower, Leader, PreCandidate
from rafty_core.simulation.contracts.before import Before
from rafty_core.simulation.contracts.leader_account import LeaderAccount
from rafty_core.state import State


class TransferContracts:
    """The contracts of one life of a node: call `after` behind each step. `now` and `term` are those of its start."""

    def __init__(self, account: LeaderAccount, state: State) -> None:
        self._account = account
        self._silent_until = state.now + state.silence if state.term > 0 else -1e9
        self._asked: dict[Any, TransferLeadership] = {}  # and not answered
        self._transferring: tuple[str, float] | None = None
        self._wished: tuple[int, bool] = (0, False)  # the term that was begun here, and whether a leader wished it
        self._reads: dict[Any, list[tuple[int, bool]]] = {}  # the newest round begun before it, and if a lease would do

    def after(self, before: Before, state: State, events: Sequence[Event], output: Output, *, led: bool) -> None:
        """Check what the step did; `led`: whether the account has followed it. Raises `InvariantViolation`."""
        single = events[0] if len(events) == 1 else None
        if isinstance(single, TimeoutNow):
            self._check_wish(before, state, single)
        elif isinstance(single, TransferLeadership):
            self._check_request(before, state, single, output)
        elif isinstance(single, RequestVote):
            self._check_bound(before, state, single)
        elif isinstance(single, Propose) and single.commands and self._transferring and isinstance(before.role, Leader):
            refused = [
                a for a in output.answers if isinstance(a, ProposalAnswer) and a.token == single.token and a.error
            ]
            text = f"takes {single!r}, and hands over to {self._transferring}"
            _demand(bool(refused) or before.now >= self._transferring[1], "I25", state, text)
        self._follow_requests(state, events, output)
        self._check_messages(before, state, events, output)
        leader = state.role if isinstance(state.role, Leader) else None
        if led and leader is not None:
            self._check_reads(before, state, leader, events, output)
            transfer = leader.transfer
            self._transferring = None if transfer is None else (transfer.target, transfer.deadline)
        else:
            self._transferring = None
            self._reads.clear()
        if led:
            self._account.told = self._account.told or any(isinstance(m, TimeoutNow) for m in output.messages)

    # ------------------------------------------------------------ who takes over

    def _check_wish(self, before: Before, state: State, wish: TimeoutNow) -> None:
        """Thesis 3.10: the target campaigns at once and without a pre-vote (F25); not for an earlier term (F27)."""
        same = (state.term, state.role) == (before.term, before.role)
        if wish.term < before.term:
            _demand(same or before.now >= before.deadline, "I25", state, f"campaigns at the wish of {wish!r} (F27)")
            return
        obeys = wish.term > before.term or before.leader in (None, wish.sender)
        able = state.is_restored and state.may_campaign and before.now >= self._silent_until + 1e-6
        if obeys and able and (wish.term > before.term or isinstance(before.role, Follower | PreCandidate)):
            campaigns = (state.term, state.vote) == (wish.term + 1, state.id)
            _demand(campaigns, "I25", state, f"does not campaign at the wish of {wish!r} (F25)")

    def _check_bound(self, before: Before, state: State, request: RequestVote) -> None:
        """F137: who may be bound by a vote of an earlier life does not even look at a term that somebody begins."""
        if before.now < self._silent_until - 1e-6 and not isinstance(before.role, Leader):
            _demand(state.term == before.term, "I15", state, f"goes on to the term of {request!r} while it is bound")

    # ---------------------------------------------------------------- who asks

    def _check_request(self, before: Before, state: State, request: TransferLeadership, output: Output) -> None:
        """F25: only a voter that is heard may take over, and it does if no other transfer is under way."""
        if not isinstance(before.role, Leader):
            return
        answers = [answer for answer in output.answers if answer.token == request.token]
        refused = bool(answers) and answers[0].error is not None
        if refused:
            _demand("in time" not in str(answers[0].error), "I18", state, f"refuses {request!r} at once: {answers}")
        target, voters = request.target, before.configuration.voter_ids
        if target not in (None, state.id, *voters):
            _demand(refused, "I25", state, f"takes {request!r}, and the target is no voter (F25)")
        heard = self._account.heard
        fits = [voter for voter in voters if before.now < heard.get(voter, -1e9) + state.config.election_timeout]
        free = self._transferring is None and not self._asked and isinstance(state.role, Leader)
        if free and (target in fits or (target is None and fits)) and target != state.id:
            _demand(not refused, "I25", state, f"refuses {request!r}, though {fits} are heard")

    def _follow_requests(self, state: State, events: Sequence[Event], output: Output) -> None:
        for event in events:
            if isinstance(event, TransferLeadership):
                self._asked[event.token] = event
        if self._asked:
            for answer in output.answers:
                self._asked.pop(answer.token, None)

    # ------------------------------------------------------------- what leaves

    def _check_messages(self, before: Before, state: State, events: Sequence[Event], output: Output) -> None:
        if state.term > before.term and state.vote == state.id:
            wishes = [event for event in events if isinstance(event, TimeoutNow)]
            self._wished = (state.term if not wishes or len(events) == 1 else 0, bool(wishes))
        for message in output.messages:
            if isinstance(message, TimeoutNow):
                self._check_told(before, state, message)
            elif isinstance(message, RequestVote) and message.term == self._wished[0]:
                text = f"says transfer={message.transfer} in {message!r} (F25)"
                _demand(message.transfer == self._wished[1], "I15", state, text)

    def _check_told(self, before: Before, state: State, message: TimeoutNow) -> None:
        """F25: it is told when it has the whole log, if somebody asked for it, and in time; or if the leader leaves."""
        leader = state.role
        voter = message.to in state.configuration.voter_ids
        _demand(voter, "I25", state, f"tells {message.to}, which is no voter, to campaign (F25)")
        if not isinstance(leader, Leader):
            leaves = isinstance(before.role, Leader) and not state.configuration.is_voter(state.id)
            _demand(leaves, "I25", state, f"does not lead, and sends {message!r}")
            return
        holds = leader.progress[message.to].match == state.log.last_index
        _demand(holds, "I25", state, f"tells {message.to} to campaign, which has not all of the log (F25)")
        asked = any(request.target in (None, message.to) for request in self._asked.values())
        _demand(asked, "I25", state, f"tells {message.to} to campaign, and nobody asked for that")

    # -------------------------------------------------------------------- reads

    def _check_reads(
        self, before: Before, state: State, leader: Leader, events: Sequence[Event], output: Output
    ) -> None:
        """F63, F91: a read is confirmed by a quorum that answered a round begun after the read came. F138: so is one
        that might go by the lease, if the lease was given away, is not promised, or its promise is not committed."""
        for event in events:
            if isinstance(event, ReadIndexRequest):
                copies = self._reads.setdefault((event.sender, event.boot, event.sequence), [])
                copies.append(copies[0] if copies else (self._round(before), event.lease))  # a network may repeat it
            elif isinstance(event, Read) and event.mode != "at_least":
                self._reads.setdefault(event.token, [(self._round(before), event.mode == "lease")])
        if not self._reads:
            return
        for message in output.messages:
            if isinstance(message, ReadIndexResponse):
                read = self._take((message.to, message.boot, message.sequence))
                if read is not None and message.read_index > 0:
                    self._check_read(state, message, *read)
        for answer in output.answers:
            read = self._take(answer.token) if isinstance(answer, ReadAnswer) else None
            if read is not None and answer.error is None:
                self._check_read(state, answer, *read)
        for ready in state.reads.ready.values():
            read = self._take(ready.token)
            if read is not None:
                self._check_read(state, ready, *read)

    def _take(self, name: Any) -> tuple[int, bool] | None:
        """The oldest copy of this question that has no answer yet; None if there is none."""
        copies = self._reads.get(name, [])
        if len(copies) <= 1:
            self._reads.pop(name, None)
        return copies.pop(0) if copies else None

    def _round(self, before: Before) -> int:
        return self._account.round if isinstance(before.role, Leader) else 0

    def _check_read(self, state: State, what: object, round: int, lease: bool) -> None:
        account = self._account
        settled = state.log.configurations.index <= state.log.commit
        if lease and not account.told and state.configuration.lease is not None and settled:
            return
        confirming = [state.id, *(peer for peer, answered in account.answered.items() if answered > round)]
        text = f"confirms {what!r}, asked in round {round}, with answers {account.answered} (F63, F91, F138)"
        _demand(is_quorum(state.configuration, confirming), "I16", state, text)


def _demand(holds: bool, number: str, state: State, text: str) -> None:
    if not holds:
        raise InvariantViolation(number, f"{state.id} {text}")
