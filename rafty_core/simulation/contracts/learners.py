"""What a leader owes to learners that are to be voters (thesis 4.2.1), seen from outside.

Law: *a learner votes when it is close, and is given up when it is hopeless: neither before nor much later.*
"""

from collections import deque
from dataclasses import dataclass

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_core.progress import SNAPSHOT
from rafty_core.roles import Leader
from rafty_core.simulation.contracts.before import SLACK, Before
from rafty_core.simulation.contracts.change_oracle import newcomers
from rafty_core.simulation.contracts.leader_account import LeaderAccount
from rafty_core.state import State

PATIENCE = 10
"""Election timeouts that a learner may be silent, or take nothing."""

MOST_ROUNDS = 10
"""Rounds of catching up that a learner has."""

MOST_SNAPSHOTS = 3
"""Attempts at a snapshot that a learner has."""


@dataclass
class Watched:
    """A learner on its way, as the leader's own messages show it."""

    since: float
    moved: float
    match: int = 0
    round: int = 1


class LearnerContracts:
    """Watches the learners that a leader waits for."""

    def __init__(self, account: LeaderAccount) -> None:
        self._account = account
        self._watched: dict[str, Watched] = {}
        self._ends: deque[tuple[float, int]] = deque()
        """When the log ended where: the oldest is what the learners had to reach first."""
        self._configuration: Configuration | None = None
        self._transferring = False

    def after(self, before: Before, state: State, leader: Leader | None) -> None:
        """Watch on; `leader` is None unless the node led before the step and does behind it."""
        now, log = state.configuration, state.log
        if leader is None or now.goal is None or log.configurations.index > log.commit:
            self._configuration = None
            return
        if log.term(log.commit) != state.term:
            return
        if self._configuration is not now:
            self._configuration = now
            self._ends.clear()
            names = [name for name in newcomers(now, now.goal) if name != state.id]
            self._watched = {name: Watched(before.now, before.now) for name in names}
        self._ends.append((before.now, before.end[1]))
        while len(self._ends) > 1 and self._ends[1][0] <= before.now - 2 * state.config.election_timeout - 1e-6:
            self._ends.popleft()
        for name, watched in self._watched.items():
            self._watch(before, state, leader, name, watched)
        self._transferring = leader.transfer is not None

    def _watch(self, before: Before, state: State, leader: Leader, name: str, watched: Watched) -> None:
        progress, catching = leader.progress[name], leader.catching.get(name)
        if progress.match > watched.match or progress.state == SNAPSHOT or progress.match >= before.end[1]:
            watched.moved, watched.match = before.now, progress.match
        if catching is not None:
            watched.round = catching.round
            if catching.round > MOST_ROUNDS:
                raise InvariantViolation("I25", f"{state.id} begins round {catching.round} for {name} (F67)")
        if leader.transfer is not None or self._transferring:
            spent = 0.0 if catching is None else PATIENCE * state.config.election_timeout
            watched.since = max(watched.since, before.now - spent)  # nobody is judged meanwhile
            return
        patience = PATIENCE * state.config.election_timeout + SLACK
        silent = before.now - max(self._account.contacts[name], watched.since)
        stuck = before.now - max(watched.moved, watched.since)
        if silent > patience or stuck > patience or progress.failed_snapshots >= MOST_SNAPSHOTS:
            text = f"waits for {name}, silent for {silent:.2f} s, stuck for {stuck:.2f} s"
            raise InvariantViolation("I25", f"{state.id} {text}, {progress.failed_snapshots} snapshots failed (F67)")

    def check_promoted(self, before: Before, state: State, leader: Leader, was: Configuration) -> None:
        """F67: who is to vote holds what the log was two election timeouts ago, or when it began, at least."""
        ends = self._ends if self._configuration is was else [(before.now, before.end[1])]
        oldest = before.now - 2 * state.config.election_timeout - 1e-6
        floor = next((end for time, end in reversed(ends) if time <= oldest), ends[0][1])
        for name in newcomers(was, was.goal) if was.goal is not None else ():
            if name != state.id and leader.progress[name].match < floor:
                text = f"{name} is to vote, and holds {leader.progress[name].match}, not even {floor}"
                raise InvariantViolation("I14", f"{state.id}: {text} (F67)")

    def check_given_up(self, before: Before, state: State, leader: Leader, was: Configuration) -> None:
        """A change is given up only if a learner is silent, or stuck, or too slow, or without a snapshot.

        Snapshots alone are tried before the leader has committed an entry of its term: that may be a reason at once.
        """
        patience = PATIENCE * state.config.election_timeout - 1e-6
        names = newcomers(was, was.goal) if was.goal is not None else []
        attempts = [leader.progress[name].failed_snapshots for name in names if name in leader.progress]
        if max(attempts, default=0) >= MOST_SNAPSHOTS:
            return
        if self._configuration is not was:
            raise InvariantViolation("I25", f"{state.id} gives up {was} at once")
        for name, watched in self._watched.items():
            progress = leader.progress.get(name)
            silent = before.now - max(self._account.contacts.get(name, 0.0), watched.since) >= patience
            moves = progress is not None and (progress.match > watched.match or progress.state == SNAPSHOT)
            stuck = before.now - watched.moved >= patience and not moves
            if silent or stuck or watched.round >= MOST_ROUNDS:
                return
        raise InvariantViolation("I25", f"{state.id} gives up {was} without a reason: {self._watched}")
