"""What one node must never do, seen by comparing it with itself before the step.

Law: *within a life nothing that Raft promised goes back.*
"""

from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import CONFIGURATION
from rafty_core.history import Ghost, History, InvariantViolation
from rafty_core.raft import Raft
from rafty_core.roles import Candidate, Leader, PreCandidate
from rafty_core.state import State


def require(number: str, holds: bool, text: str) -> None:
    """Raise `InvariantViolation` unless `holds`; not for hot paths, as the text is built first."""
    if not holds:
        raise InvariantViolation(number, text)


def state_of(raft: Raft) -> State:
    """The one door through which the checks look inside a node."""
    return raft._state


class NodeInvariants:
    """The local invariants of one life of a node: call `check` after each step.

    `history` is all that was in the node's log in this life, and is not compacted; `configurations` are those that
    stand in it, read from the entries. `check` returns the index of the first entry that is new or changed.
    """

    def __init__(self, raft: Raft, ghost: Ghost | None = None) -> None:
        state = state_of(raft)
        log = state.log
        self.id = state.id
        self._ghost = ghost or Ghost()
        self._base = log.base_index
        self.history = History(log.base_index, self._ghost.hash(log.base_index) or 0, log.base_term)
        self.configurations: list[tuple[int, Configuration]] = [log.configurations.at(log.base_index)]
        self._entries: list[bytes] = []
        self._runs: list[tuple[int, int]] = []
        self._led_term = 0
        self._matches: dict[str, tuple[int, str]] = {}  # match and incarnation of each member
        self._compared: dict[str, tuple[Configuration, Configuration]] = {}
        self._before = (0, 0, 0, 0, 0)
        self._vote: str | None = None
        self.check(raft)

    @property
    def configuration(self) -> Configuration:
        """The configuration in force, as the entries have it (I13)."""
        return self.configurations[-1][1]

    def check(self, raft: Raft) -> int:
        """Raise `InvariantViolation` if a local invariant does not hold."""
        state = state_of(raft)
        self._check_monotonicity(state)
        self._check_bounds(state)
        self._check_resources(state, state.config)
        changed = self._follow_log(state)
        self._check_configuration(state)
        self._check_role(state)
        return changed

    def _check_monotonicity(self, state: State) -> None:
        """I6: term, commit, applied and snapshot index never fall; a vote never changes within its term."""
        log = state.log
        now = (state.term, log.commit, state.applying.applied, log.base_index, state.snapshot.index)
        before, self._before = self._before, now
        if any(new < old for new, old in zip(now, before, strict=True)):
            raise InvariantViolation("I6", f"{self.id}: (term, commit, applied, base, snapshot) {before} fall to {now}")
        if state.term == before[0] and self._vote is not None and state.vote != self._vote:
            raise InvariantViolation("I6", f"{self.id}: the vote {self._vote} of term {state.term} is now {state.vote}")
        self._vote = state.vote

    def _check_bounds(self, state: State) -> None:
        """I7: snapshot <= applied <= commit <= last index; what is durable is in the log, too.

        While the state machine waits for a snapshot, it is behind the log's base.
        """
        log, applying, snapshot = state.log, state.applying, state.snapshot.index
        ends = (log.base_index, snapshot, log.commit, log.last_index)
        chain = (applying.applied, applying.handed_out, log.commit)
        if sorted(ends) != list(ends) or sorted(chain) != list(chain):
            raise InvariantViolation("I7", f"{self.id}: base, snapshot, commit, last {ends}; applied, out {chain}")
        restored = applying.restore.index if applying.restore is not None else applying.handed_out
        if restored < snapshot or (applying.restore is not None and restored != snapshot):
            raise InvariantViolation("I7", f"{self.id}: the snapshot at {snapshot} is ahead of the machine {restored}")
        if state.writes.index > log.last_index or (applying.handed_out > state.writes.index):
            raise InvariantViolation("I7", f"{self.id}: durable index {state.writes.index} out of place in {chain}")

    def _check_resources(self, state: State, config: Config) -> None:
        """I24: everything that waits is bounded, and I12's local part: next > match, and match never falls."""
        if state.proposals.count > config.max_pending_proposals:
            raise InvariantViolation("I24", f"{self.id}: {state.proposals.count} proposals are pending")
        if state.reads_waiting > config.max_pending_reads:
            raise InvariantViolation("I24", f"{self.id}: {state.reads_waiting} reads are pending")
        if not isinstance(state.role, Leader):
            return
        if self._led_term != state.term:
            self._matches.clear()
        settled = min(state.log.commit, state.writes.index)
        if len(state.role.uncommitted) > state.log.last_index - settled:
            raise InvariantViolation("I24", f"{self.id}: more uncommitted appends are counted than there are entries")
        members = {member.id: member.incarnation for member in state.configuration.members}
        for gone in [peer for peer, (_, life) in self._matches.items() if members.get(peer) != life]:
            del self._matches[gone]
        for peer, progress in state.role.progress.items():
            if not progress.match < progress.next <= state.log.last_index + 1:
                raise InvariantViolation("I12", f"{self.id}: of {peer}, match {progress.match}, next {progress.next}")
            if peer in members and progress.match < self._matches.get(peer, (0, ""))[0]:
                raise InvariantViolation("I12", f"{self.id}: match of {peer} falls to {progress.match}")
            self._matches[peer] = (progress.match, members.get(peer, ""))
            if progress.inflights.count > config.max_inflight_messages:
                raise InvariantViolation("I24", f"{self.id}: {progress.inflights.count} appends in flight to {peer}")

    # ------------------------------------------------------------------ the log

    def _follow_log(self, state: State) -> int:
        """I2: a leader only appends to its log. Brings `history` up to date; returns the first index that changed."""
        log = state.log
        if log.base_index != self._base:
            self._follow_base(state)
        base = self._base
        entries = log.slice(log.first_index, log.last_index)
        runs = list(zip(log._run_firsts, log._run_terms, strict=True))
        known = len(self._entries)
        same_terms = known == 0 or (log.last_index >= base + known and log.term(base + known) == self.history.terms[-1])
        if same_terms and entries[:known] == self._entries and runs[: len(self._runs)] == self._runs:
            agreed = known
        else:
            pairs = enumerate(zip(entries, self._entries, strict=False), base + 1)
            differing = (i for i, (new, old) in pairs if new != old or log.term(i) != self.history.term(i))
            agreed = next(differing, base + min(known, len(entries)) + 1) - base - 1
        if agreed < known and isinstance(state.role, Leader) and self._led_term == state.term:
            text = f"{self.id}: the leader of term {state.term} changed its entry {base + agreed + 1}"
            raise InvariantViolation("I2", text)
        if agreed < known or known < len(entries):
            self._extend(state, entries, base + agreed + 1)
            self._entries, self._runs = entries, runs
        return base + agreed + 1

    def _follow_base(self, state: State) -> None:
        """The log was compacted, or a snapshot took its place; of a leader's log only the first can be."""
        log, history = state.log, self.history
        if self._base < log.base_index <= history.last and history.term(log.base_index) == log.base_term:
            del self._entries[: log.base_index - self._base]
            self._runs = []
        elif isinstance(state.role, Leader) and self._led_term == state.term:
            raise InvariantViolation("I2", f"{self.id}: a snapshot took the place of the leader's log")
        else:
            known = self._ghost.hash(log.base_index) or 0
            self.history = History(log.base_index, known, log.base_term)
            self.configurations = [(state.snapshot.configuration.index, state.snapshot.configuration)]
            self._entries, self._runs = [], []
        self._base = log.base_index

    def _extend(self, state: State, entries: list[bytes], first: int) -> None:
        history, log = self.history, state.log
        start = log.first_index
        while self.configurations[-1][0] >= first and len(self.configurations) > 1:
            self.configurations.pop()
        for index in range(first, log.last_index + 1):
            entry = entries[index - start]
            if entry[:1] == CONFIGURATION:
                self.configurations.append((index, Configuration.decode(entry[1:])))
        history.replace_from(first, 0, ())
        while first <= log.last_index:
            last, term = log.run_end(first), log.term(first)
            require("I3", term >= history.term(history.last), f"{self.id}: terms fall along the log")
            history.replace_from(first, term, entries[first - start : last - start + 1])
            first = last + 1

    def _check_configuration(self, state: State) -> None:
        """I13: the configuration in force is that of the last entry that has one, else the snapshot's.

        What was found equal is not compared again as long as both are the same objects.
        """
        configurations, commit = state.log.configurations, state.log.commit
        self._compare("in force", (configurations.index, configurations.newest), self.configurations[-1])
        own = self.configurations[-1]
        if own[0] > commit:
            own = next((pair for pair in reversed(self.configurations) if pair[0] <= commit), self.configurations[0])
        self._compare("committed", configurations.at(commit), own)

    def _compare(self, what: str, held: tuple[int, Configuration], true: tuple[int, Configuration]) -> None:
        known = self._compared.get(what)
        if known is not None and held[1] is known[0] and true[1] is known[1] and held[0] == true[0]:
            return
        if held != true:
            raise InvariantViolation("I13", f"{self.id}: the configuration {what} is {held}, and not {true}")
        self._compared[what] = (held[1], true[1])

    def _check_role(self, state: State) -> None:
        """I14: whoever is no voter never stands for election, nor leads. It is one until its removal is committed."""
        self._led_term = state.term if isinstance(state.role, Leader) else 0
        if not isinstance(state.role, PreCandidate | Candidate | Leader):
            return
        own = state.config.incarnation
        for index, configuration in reversed(self.configurations):
            voters = [member for member in (*configuration.voters, *configuration.outgoing) if member.id == state.id]
            if any(own in ("", voter.incarnation) for voter in voters):
                return
            if index <= state.log.commit:
                break
        raise InvariantViolation("I14", f"{self.id} is {state.role.name} and no voter")
