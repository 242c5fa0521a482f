"""What always holds, checked on running nodes: each invariant by its number, with its law.

Law: *an invariant looks at states and at what leaves, never at how a rule works*: so a rule and its check cannot err
together.

`NodeInvariants` compares one node with itself before a step. `ClusterInvariants` sees all nodes, what their disks
really hold, and a ghost history that survives every crash: who led each term, what followed which entry, what was ever
committed, and for whom each vote was given. Both are for tests and simulations; they change nothing.
"""

from rafty_core.config import Config
from rafty_core.history import History, Image, InvariantViolation
from rafty_core.messages import AppendEntriesResponse, Message, RequestVote, RequestVoteResponse
from rafty_core.output import Output, Restore, Write
from rafty_core.quorum import majority
from rafty_core.raft import Raft
from rafty_core.stable import Stable
from rafty_core.state import Candidate, Follower, Leader, PreCandidate, State

__all__ = ["ClusterInvariants", "InvariantViolation", "NodeInvariants"]


def require(number: str, holds: bool, text: str) -> None:
    """Raise `InvariantViolation` unless `holds`; not for hot paths, as the text is built first."""
    if not holds:
        raise InvariantViolation(number, text)


def state_of(raft: Raft) -> State:
    """The one door through which the checks look inside a node."""
    return raft._state


class NodeInvariants:
    """The local invariants of one life of a node: call `check` after each step.

    `history` is the node's log in memory; `check` returns the index of the first entry that is new or changed.
    """

    def __init__(self, raft: Raft) -> None:
        state = state_of(raft)
        self.id = state.id
        self.history = History(state.log.base_index)
        self._entries: list[bytes] = []
        self._runs: list[tuple[int, int]] = []
        self._led_term = 0
        self._matches: dict[str, int] = {}
        self._before = (0, 0, 0, 0)
        self._vote: str | None = None
        self.check(raft)

    def check(self, raft: Raft) -> int:
        """Raise `InvariantViolation` if a local invariant does not hold."""
        state = state_of(raft)
        self._check_monotonicity(state)
        self._check_bounds(state)
        self._check_resources(state, state.config)
        changed = self._follow_log(state)
        self._check_role(state)
        return changed

    def _check_monotonicity(self, state: State) -> None:
        """I6: term, commit, applied and snapshot index never fall; a vote never changes within its term."""
        now = (state.term, state.log.commit, state.applying.applied, state.log.base_index)
        before, self._before = self._before, now
        if any(new < old for new, old in zip(now, before, strict=True)):
            raise InvariantViolation("I6", f"{self.id}: (term, commit, applied, snapshot) {before} fall to {now}")
        if state.term == before[0] and self._vote is not None and state.vote != self._vote:
            raise InvariantViolation("I6", f"{self.id}: the vote {self._vote} of term {state.term} is now {state.vote}")
        self._vote = state.vote

    def _check_bounds(self, state: State) -> None:
        """I7: snapshot index <= applied <= commit <= last index; what is durable is in the log, too."""
        log, applying = state.log, state.applying
        chain = (log.base_index, applying.applied, applying.handed_out, log.commit, log.last_index)
        if sorted(chain) != list(chain):
            raise InvariantViolation("I7", f"{self.id}: snapshot, applied, handed out, commit, last are {chain}")
        if state.writes.index > log.last_index or applying.handed_out > state.writes.index:
            raise InvariantViolation("I7", f"{self.id}: durable index {state.writes.index} out of place in {chain}")

    def _check_resources(self, state: State, config: Config) -> None:
        """I24: everything that waits is bounded, and I12's local part: next > match, and match never falls."""
        if state.proposals.count > config.max_pending_proposals:
            raise InvariantViolation("I24", f"{self.id}: {state.proposals.count} proposals are pending")
        if not isinstance(state.role, Leader):
            return
        if self._led_term != state.term:
            self._matches.clear()
        settled = min(state.log.commit, state.writes.index)
        if len(state.role.uncommitted) > state.log.last_index - settled:
            raise InvariantViolation("I24", f"{self.id}: more uncommitted appends are counted than there are entries")
        for peer, progress in state.role.progress.items():
            if not progress.match < progress.next <= state.log.last_index + 1:
                raise InvariantViolation("I12", f"{self.id}: of {peer}, match {progress.match}, next {progress.next}")
            if progress.match < self._matches.get(peer, 0):
                raise InvariantViolation("I12", f"{self.id}: match of {peer} falls to {progress.match}")
            self._matches[peer] = progress.match
            if progress.inflights.count > config.max_inflight_messages:
                raise InvariantViolation("I24", f"{self.id}: {progress.inflights.count} appends in flight to {peer}")

    def _follow_log(self, state: State) -> int:
        """I2: a leader only appends to its log. Brings `history` up to date; returns the first index that changed."""
        log, base = state.log, self.history.base
        entries = log.slice(log.first_index, log.last_index)
        runs = list(zip(log._run_firsts, log._run_terms, strict=True))
        known, terms = len(self._entries), self.history.terms
        same_terms = known == 0 or (log.last_index >= base + known and log.term(base + known) == terms[-1])
        if same_terms and entries[:known] == self._entries and runs[: len(self._runs)] == self._runs:
            agreed = known
        else:
            pairs = enumerate(zip(entries, self._entries, strict=False))
            differing = (i for i, (new, old) in pairs if new != old or log.term(base + i + 1) != terms[i])
            agreed = next(differing, min(known, len(entries)))
        if agreed < known and isinstance(state.role, Leader) and self._led_term == state.term:
            text = f"{self.id}: the leader of term {state.term} changed its entry {base + agreed + 1}"
            raise InvariantViolation("I2", text)
        if agreed < known or known < len(entries):
            self._extend(state, entries, agreed)
            self._entries, self._runs = entries, runs
        return base + agreed + 1

    def _extend(self, state: State, entries: list[bytes], agreed: int) -> None:
        history, log = self.history, state.log
        first = history.base + agreed + 1
        history.replace_from(first, 0, ())
        while first <= log.last_index:
            last, term = log.run_end(first), log.term(first)
            require("I3", term >= history.term(history.last), f"{self.id}: terms fall along the log")
            history.replace_from(first, term, entries[first - history.base - 1 : last - history.base])
            first = last + 1

    def _check_role(self, state: State) -> None:
        """I14: whoever is no voter never stands for election."""
        self._led_term = state.term if isinstance(state.role, Leader) else 0
        if not state.may_campaign and isinstance(state.role, PreCandidate | Candidate | Leader):
            raise InvariantViolation("I14", f"{self.id} is {state.role.name} and no voter")


class ClusterInvariants:
    """The invariants over all nodes and all time. Tell it everything: `started`, `persisted`, `stepped`, `crashed`.

    Applies to clusters whose configuration does not change. `committed` grows as entries are first seen committed:
    `committed[i]` is the entry at log index `i + 1`.
    """

    def __init__(self) -> None:
        self.committed: list[bytes] = []
        self.history = History()  # of what was ever committed
        self.leaders: dict[int, str] = {}
        self.images: dict[str, Image] = {}
        self._commit_terms: list[int] = []  # in which term each entry was first seen committed
        self._prefixes: dict[tuple[int, int], int] = {}
        self._led: dict[int, History] = {}  # each leader's log, as it grew
        self._votes: dict[tuple[str, int], str] = {}
        self._nodes: dict[str, NodeInvariants] = {}
        self._commits: dict[str, int] = {}
        self._handed_out: dict[str, int] = {}

    def started(self, raft: Raft, stable: Stable) -> None:
        """A node starts, with what its disk holds. It must be what was made durable, and a node begins as follower."""
        state = state_of(raft)
        image = Image(stable)
        known = self.images.setdefault(state.id, image)
        same = (image.term_number, image.vote, image.hashes) == (known.term_number, known.vote, known.hashes)
        require("I20", same, f"{state.id} does not start from what it made durable")
        require("I20", (state.term, state.vote) == (image.term_number, image.vote), f"{state.id} starts elsewhere")
        require("I1", isinstance(state.role, Follower), f"{state.id} starts as {state.role.name}")
        node = self._nodes[state.id] = NodeInvariants(raft)
        require("I20", node.history.hashes == image.hashes, f"{state.id} starts with another log than it stored")
        self._commits[state.id] = self._handed_out[state.id] = state.log.base_index

    def crashed(self, node_id: str) -> None:
        """A node is gone, with everything that was not durable."""
        del self._nodes[node_id]

    def persisted(self, node_id: str, write: Write) -> None:
        """A node's disk has made this write durable, whether the node knows it or not."""
        self.images[node_id].write(write)

    def stepped(self, raft: Raft, output: Output) -> None:
        """A node has made a step. Raises `InvariantViolation` if anything does not hold."""
        state = state_of(raft)
        node = self._nodes[state.id]
        changed = node.check(raft)
        self._check_log_matching(state, node.history, changed)
        self._check_durable(state, node.history)
        if isinstance(state.role, Leader):
            led = self._led.get(state.term)
            if led is None or led.hashes is not node.history.hashes:
                self._check_election(state, node.history)
            self._check_progress(state, state.role, node.history)
        if state.log.commit > self._commits[state.id]:
            self._check_commit(state, node.history)
        self._check_applied(state.id, output)
        for message in output.messages:
            self._check_leaving(state, message)

    def _check_log_matching(self, state: State, history: History, changed: int) -> None:
        """I3, Log Matching: logs that hold an entry of equal index and term are identical up to it."""
        for index in range(changed, history.last + 1):
            key, value = (index, history.term(index)), history.hashes[index - history.base]
            if self._prefixes.setdefault(key, value) != value:
                raise InvariantViolation("I3", f"{state.id}: what leads up to (index, term) {key} is another history")

    def _check_durable(self, state: State, history: History) -> None:
        """I12's own copy: what a node takes for durable is what its disk holds (fault F40)."""
        image, writes = self.images[state.id], state.writes
        if image.hash(writes.index) != history.hash(writes.index):
            raise InvariantViolation("I12", f"{state.id} takes {writes.index} for durable, and its disk holds no such")
        same_vote = writes.vote in (None, image.vote) or writes.term < image.term_number
        if writes.term > image.term_number or not same_vote:
            raise InvariantViolation("I9", f"{state.id} takes ({writes.term}, {writes.vote}) for durable")

    def _check_election(self, state: State, history: History) -> None:
        """I1: a term has one leader, with the votes of a majority. I4: it has all that was committed before."""
        term = state.term
        other = self.leaders.setdefault(term, state.id)
        require("I1", other == state.id and term not in self._led, f"{state.id} and {other} both lead term {term}")
        voters = state.configuration.voter_ids
        votes = sum(self._votes.get((voter, term)) == state.id for voter in voters if voter != state.id)
        own = self.images[state.id]
        votes += state.id in voters and (own.term_number, own.vote) == (term, state.id)
        require(
            "I1", votes >= majority(len(voters)), f"{state.id} leads term {term} with {votes} of {len(voters)} votes"
        )
        count = sum(committed_in < term for committed_in in self._commit_terms)
        complete = history.hash(count) == self.history.hash(count)
        require("I4", complete, f"{state.id} leads term {term} without all of the {count} committed entries")
        self._led[term] = history.shared()

    def _check_progress(self, state: State, leader: Leader, history: History) -> None:
        """I12: what a leader takes for replicated stands durably on that peer, unless a later term came between."""
        for peer, progress in leader.progress.items():
            image = self.images[peer]
            if image.hash(progress.match) != history.hash(progress.match) and image.term_number <= state.term:
                raise InvariantViolation("I12", f"{state.id}: match of {peer} is {progress.match}, its disk differs")

    def _check_commit(self, state: State, history: History) -> None:
        """I10 and I11, and I5's ground: what is committed is final, durable on a majority, and of the leader's log."""
        commit, node_id = state.log.commit, state.id
        self._commits[node_id] = commit
        known = min(commit, self.history.last)
        same = history.hash(known) == self.history.hash(known)
        require("I5", same, f"{node_id} commits up to {commit}, and something else was committed before")
        if isinstance(state.role, Leader):
            own_term = history.term(commit) == state.term
            require("I11", own_term, f"{node_id} commits {commit} of term {history.term(commit)} in {state.term}")
        elif state.term in self._led:
            proven = self._led[state.term].hash(commit)
            require("I11", proven == history.hash(commit), f"{node_id} commits {commit}, which its leader has not")
        if commit <= self.history.last:
            return
        voters = state.configuration.voter_ids
        holding = sum(self.images[voter].hash(commit) == history.hash(commit) for voter in voters)
        enough = holding >= majority(len(voters))
        require("I10", enough, f"{node_id} commits {commit}, durable on {holding} of {len(voters)} voters")
        for index in range(self.history.last + 1, commit + 1):
            entry = state.log.slice(index, index)
            self.committed.extend(entry)
            self.history.replace_from(index, history.term(index), entry)
            self._commit_terms.append(state.term)

    def _check_applied(self, node_id: str, output: Output) -> None:
        """I5, State Machine Safety: each life applies what was committed, from its start, without gap or repetition."""
        for committed in output.apply:
            if isinstance(committed, Restore):
                self._handed_out[node_id] = committed.index
                continue
            first = self._handed_out[node_id] + 1
            if committed.first != first or committed.entries != self.committed[first - 1 : committed.last]:
                raise InvariantViolation("I5", f"{node_id} applies {committed.first}..{committed.last} wrongly")
            self._handed_out[node_id] = committed.last

    def _check_leaving(self, state: State, message: Message) -> None:
        """I8 and I9: what rests on the disk leaves only when it is durable, and a vote is given once per term."""
        if isinstance(message, RequestVote):
            self._check_vote(state.id, message.term, state.id)
        elif isinstance(message, RequestVoteResponse) and message.vote_granted:
            self._check_vote(state.id, message.term, message.to)
        elif isinstance(message, AppendEntriesResponse) and message.success:
            image = self.images[state.id]
            led = self._led.get(message.term)
            proven = led is not None and led.hash(message.match_index) == image.hash(message.match_index)
            text = f"{state.id} acknowledges {message.match_index} in term {message.term} before it is durable"
            require("I9", proven and image.term_number >= message.term, text)

    def _check_vote(self, voter: str, term: int, candidate: str) -> None:
        image = self.images[voter]
        durable = image.term_number > term or (image.term_number, image.vote) == (term, candidate)
        require("I9", durable, f"{voter}'s vote for {candidate} in term {term} leaves before it is durable")
        first = self._votes.setdefault((voter, term), candidate)
        require("I8", first == candidate, f"{voter} votes for {first} and for {candidate} in term {term}")
