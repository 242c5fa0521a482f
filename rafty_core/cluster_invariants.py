"""What must hold over all nodes and all time.

Law: *what was committed once is committed for ever, by everybody, in every life.*
"""

from rafty_core.configuration import Configuration
from rafty_core.configuration_invariants import ConfigurationInvariants, is_quorum
from rafty_core.history import Ghost, History, Image, InvariantViolation
from rafty_core.messages import AppendEntriesResponse, InstallSnapshot, Message, RequestVote, RequestVoteResponse
from rafty_core.node_invariants import NodeInvariants, require, state_of
from rafty_core.output import Output, Restore, Write
from rafty_core.raft import Raft
from rafty_core.roles import Follower, Leader
from rafty_core.stable import Snapshot, Stable
from rafty_core.state import State


class ClusterInvariants:
    """The invariants over all nodes and all time. Tell it everything: `started`, `persisted`, `stepped`, `crashed`,
    and `reborn` for a name that comes back with an empty data directory.

    `ghost` grows as entries are first seen committed.
    """

    def __init__(self) -> None:
        self.ghost = Ghost()
        self.leaders: dict[int, str] = {}
        self.images: dict[str, Image] = {}
        self._configurations = ConfigurationInvariants(self.ghost)
        self._prefixes: dict[tuple[int, int], int] = {}
        self._led: dict[int, History] = {}  # each leader's log, as it grew
        self._votes: dict[tuple[str, int], str] = {}
        self._lives: dict[str, int] = {}  # how often a name came back with an empty data directory
        self._nodes: dict[str, NodeInvariants] = {}
        self._commits: dict[str, int] = {}
        self._handed_out: dict[str, int] = {}

    @property
    def committed(self) -> list[bytes]:
        """All committed entries; `committed[i]` is the one at log index `i + 1`."""
        return self.ghost.entries

    # ------------------------------------------------------------------- lives

    def started(self, raft: Raft, stable: Stable) -> None:
        """A node starts, with what its disk holds. It must be what was made durable, and a node begins as follower."""
        state = state_of(raft)
        if stable.snapshot.index == 0 and stable.snapshot.configuration.voters:
            self.ghost.bootstrap(stable.snapshot.configuration)
        elif stable.snapshot.index == 0:
            stable = Stable(stable.term, stable.vote, Snapshot(0, 0, self.ghost.configuration_at(0)), stable.batches)
        image = Image(stable, self.ghost)
        known = self.images.setdefault(state.id, image)
        stored = (image.term_number, image.vote, image.snapshot, image.last, image.hash(image.last))
        written = (known.term_number, known.vote, known.snapshot, known.last, known.hash(known.last))
        require("I20", stored == written, f"{state.id} does not start from what it made durable")
        require("I20", (state.term, state.vote) == (image.term_number, image.vote), f"{state.id} starts elsewhere")
        require("I1", isinstance(state.role, Follower), f"{state.id} starts as {state.role.name}")
        node = self._nodes[state.id] = NodeInvariants(raft, self.ghost)
        same = node.history.last == image.last and node.history.hash(image.last) == image.hash(image.last)
        require("I20", same, f"{state.id} starts with another log than it stored")
        self._commits[state.id], self._handed_out[state.id] = state.log.commit, state.applying.handed_out
        same = state.log.commit <= self.ghost.last and node.history.hash(state.log.commit) == self.ghost.hash(
            state.log.commit
        )
        require("I5", same, f"{state.id} starts with {state.log.commit} committed, which is not")

    def crashed(self, node_id: str) -> None:
        """A node is gone, with everything that was not durable."""
        del self._nodes[node_id]

    def reborn(self, node_id: str) -> None:
        """A node of this name comes with an empty data directory, and so as another member (fault F73)."""
        self.images.pop(node_id, None)
        self._lives[node_id] = self._lives.get(node_id, 0) + 1

    def persisted(self, node_id: str, write: Write) -> None:
        """A node's disk has made this write durable, whether the node knows it or not."""
        self.images[node_id].write(write)

    def configuration(self, node_id: str) -> Configuration:
        """The configuration in force on a running node, as its entries have it."""
        return self._nodes[node_id].configuration

    def history(self, node_id: str) -> History:
        """All that was in a running node's log in this life."""
        return self._nodes[node_id].history

    # -------------------------------------------------------------------- steps

    def stepped(self, raft: Raft, output: Output) -> None:
        """A node has made a step. Raises `InvariantViolation` if anything does not hold."""
        state = state_of(raft)
        node = self._nodes[state.id]
        newest = node.configurations[-1]
        changed = node.check(raft)
        self._check_log_matching(state, node.history, changed)
        self._check_durable(state, node.history)
        if isinstance(state.role, Leader):
            led = self._led.get(state.term)
            if led is None or led.hashes is not node.history.hashes:
                self._check_election(state, node)
        if state.log.commit > self._commits[state.id]:
            self._check_commit(state, node, newest)
        if node.configurations[-1] != newest:
            self._configurations.check(state.id, node.history, node.configurations)
        if isinstance(state.role, Leader):
            self._check_progress(state, state.role, node.history)
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
        image, writes, ghost = self.images[state.id], state.writes, self.ghost
        if ghost.hash_in(image, writes.index) != ghost.hash_in(history, writes.index):
            raise InvariantViolation("I12", f"{state.id} takes {writes.index} for durable, and its disk holds no such")
        same_vote = writes.vote in (None, image.vote) or writes.term < image.term_number
        if writes.term > image.term_number or not same_vote:
            raise InvariantViolation("I9", f"{state.id} takes ({writes.term}, {writes.vote}) for durable")

    def _check_election(self, state: State, node: NodeInvariants) -> None:
        """I1: a term has one leader, with the votes of a quorum. I4: it has all that was committed before."""
        term, history, ghost = state.term, node.history, self.ghost
        other = self.leaders.setdefault(term, state.id)
        require("I1", other == state.id and term not in self._led, f"{state.id} and {other} both lead term {term}")
        configuration = node.configuration
        voters = configuration.all_voter_ids
        granted = [voter for voter in voters if self._votes.get((self._who(voter), term)) == state.id]
        own = self.images[state.id]
        if (own.term_number, own.vote) == (term, state.id):
            granted.append(state.id)
        require(
            "I1", is_quorum(configuration, granted), f"{state.id} leads term {term} with {granted} of {configuration}"
        )
        count = sum(committed_in < term for committed_in in ghost.commit_terms)
        complete = ghost.hash_in(history, count) == ghost.hash(count)
        require("I4", complete, f"{state.id} leads term {term} without all of the {count} committed entries")
        self._led[term] = history.shared()

    def _check_progress(self, state: State, leader: Leader, history: History) -> None:
        """I12: what a leader takes for replicated stands durably on that peer, unless a later term came between."""
        for peer, progress in leader.progress.items():
            image = self.images.get(peer)
            if progress.match == 0 or progress.removed_at > 0:
                continue  # nothing is claimed, or of a peer that does not count any more
            same = image is not None and self.ghost.hash_in(image, progress.match) == self.ghost.hash_in(
                history, progress.match
            )
            if not same and (image is None or image.term_number <= state.term):
                raise InvariantViolation("I12", f"{state.id}: match of {peer} is {progress.match}, its disk differs")

    def _check_commit(self, state: State, node: NodeInvariants, newest: tuple[int, Configuration]) -> None:
        """I10 and I11, and I5's ground: what is committed is final, durable on a quorum, and of the leader's log."""
        commit, node_id, ghost, history = state.log.commit, state.id, self.ghost, node.history
        self._commits[node_id] = commit
        known = min(commit, ghost.last)
        same = ghost.hash_in(history, known) == ghost.hash(known)
        require("I5", same, f"{node_id} commits up to {commit}, and something else was committed before")
        if isinstance(state.role, Leader):
            own_term = history.term(commit) == state.term
            require("I11", own_term, f"{node_id} commits {commit} of term {history.term(commit)} in {state.term}")
        elif state.term in self._led:
            proven = ghost.hash_in(self._led[state.term], commit)
            same = proven == ghost.hash_in(history, commit)
            require("I11", same, f"{node_id} commits {commit}, which its leader has not")
        if commit <= ghost.last:
            return
        if not any(self._is_durable(history, commit, in_force) for in_force in _counted_with(node, newest, commit)):
            text = f"{node_id} commits {commit}, durable on {self._holding(history, commit)} of {node.configuration}"
            raise InvariantViolation("I10", text)
        first = ghost.last + 1
        for index, entry in enumerate(state.log.slice(first, commit), first):
            ghost.commit(history.term(index), entry, state.term)

    def _holding(self, history: History, index: int) -> list[str]:
        ghost, images = self.ghost, self.images
        return [name for name in images if ghost.hash_in(images[name], index) == history.hash(index)]

    def _is_durable(self, history: History, index: int, configuration: Configuration) -> bool:
        return is_quorum(configuration, self._holding(history, index))

    def _check_applied(self, node_id: str, output: Output) -> None:
        """I5, State Machine Safety: each life applies what was committed, from its start, without gap or repetition."""
        for committed in output.apply:
            first = self._handed_out[node_id] + 1
            if isinstance(committed, Restore):
                known = self.ghost.term(committed.index) == committed.term and first <= committed.index
                right = known and self.images[node_id].snapshot.index >= committed.index
                require(
                    "I5", right, f"{node_id} restores {committed!r} after {first - 1}, which is no durable snapshot"
                )
            elif committed.first != first or committed.entries != self.committed[first - 1 : committed.last]:
                raise InvariantViolation("I5", f"{node_id} applies {committed.first}..{committed.last} wrongly")
            self._handed_out[node_id] = committed.last

    # ----------------------------------------------------------------- messages

    def _check_leaving(self, state: State, message: Message) -> None:
        """I8 and I9: what rests on the disk leaves only when it is durable, and a vote is given once per term."""
        if isinstance(message, RequestVote):
            self._check_vote(state.id, message.term, state.id)
        elif isinstance(message, RequestVoteResponse) and message.vote_granted:
            self._check_vote(state.id, message.term, message.to)
        elif isinstance(message, AppendEntriesResponse) and message.success:
            image, ghost, index = self.images[state.id], self.ghost, message.match_index
            led = self._led.get(message.term)
            proven = led is not None and ghost.hash_in(led, index) == ghost.hash_in(image, index)
            text = f"{state.id} acknowledges {index} in term {message.term} before it is durable"
            require("I9", proven and image.term_number >= message.term, text)
        elif isinstance(message, InstallSnapshot):
            index, term = message.last_included_index, message.last_included_term
            self.ghost.check_snapshot(Snapshot(index, term, message.configuration), state.id)

    def _check_vote(self, voter: str, term: int, candidate: str) -> None:
        image = self.images[voter]
        durable = image.term_number > term or (image.term_number, image.vote) == (term, candidate)
        require("I9", durable, f"{voter}'s vote for {candidate} in term {term} leaves before it is durable")
        first = self._votes.setdefault((self._who(voter), term), candidate)
        require("I8", first == candidate, f"{voter} votes for {first} and for {candidate} in term {term}")

    def _who(self, node_id: str) -> str:
        return f"{node_id} {self._lives.get(node_id, 0)}"


def _counted_with(node: NodeInvariants, before: tuple[int, Configuration], commit: int) -> list[Configuration]:
    """The configurations with which a leader may have counted in this step: the newest, and the one before if the
    newest was appended in this step, after what it follows was committed."""
    counted = [node.configuration]
    position = len(node.configurations) - 1
    while position > 0 and node.configurations[position][0] > before[0]:
        position -= 1
        if node.configurations[position][0] <= commit:
            counted.append(node.configurations[position][1])
            break
    return counted
