"""Figure 2's state, and the transitions between roles.

Law: *a node is one `State`, and changes its role here and nowhere else.* What a role alone knows is in `roles.py`.
"""

from typing import Protocol

from rafty_core.applying import Applying
from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import NO_OP
from rafty_core.log import Log
from rafty_core.messages import Message
from rafty_core.output import Answer, Fetch, LeaderChanged, Notice, Restore, RoleChanged
from rafty_core.pending import Proposals
from rafty_core.progress import Inflights, Progress
from rafty_core.quorum import jointly_reached
from rafty_core.roles import NEVER, Candidate, Follower, Leader, PreCandidate, Role
from rafty_core.stable import Snapshot, Stable
from rafty_core.waiting import Handover, LocalRead, PendingChange, Reads
from rafty_core.writes import Writes


class Random(Protocol):
    """A source of chance that the driver owns; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class State:
    """Everything a node is. Rules and handlers take it and change it; only `raft.py` owns one."""

    __slots__ = (
        "id",
        "config",
        "random",
        "now",
        "term",
        "vote",
        "role",
        "log",
        "writes",
        "applying",
        "proposals",
        "snapshot",
        "fetching",
        "fetch",
        "reads",
        "handover",
        "change",
        "followed",
        "settled_index",
        "heard_leader",
        "no_votes_until",
        "first_term",
        "noticed_term",
        "outbox",
        "answers",
        "notices",
        "violations",
    )

    def __init__(self, config: Config, stable: Stable, random: Random, now: float, applied: int) -> None:
        self.id = config.id
        self.config = config
        self.random = random
        self.now = now
        self.term = stable.term
        self.vote = stable.vote
        self.snapshot: Snapshot = stable.snapshot  # the newest that is durable, or on its way to the disk
        self.log = Log(stable.snapshot.index, stable.snapshot.term, stable.snapshot.configuration)
        for batch in stable.batches:
            if batch.last > self.log.last_index:
                self.log.replace_from(batch.slice_from(max(batch.first, self.log.last_index + 1)))
        self.log.commit_to(max(self.log.base_index, applied))  # what was applied was committed
        self.writes = Writes(stable.term, stable.vote, self.log.last_index)
        self.applying = Applying(applied, config.max_apply_bytes)
        if applied < stable.snapshot.index:
            self.applying.restore = Restore(stable.snapshot.index, stable.snapshot.term)
        self.proposals = Proposals()
        self.fetching: Fetch | None = None  # the snapshot that is being fetched
        self.fetch: Fetch | None = None  # the same, until it was handed out
        self.reads = Reads()
        self.handover: Handover | None = None
        self.change: PendingChange | None = None
        self.followed = self.log.configurations.newest  # the configuration that the role is in accordance with
        self.settled_index = self.log.configurations.at(self.log.commit)[0]  # of the last one known to be committed
        self.first_term = stable.term  # the term in which this life of the node began
        self.noticed_term = stable.term  # the term that the last notice of a change of role named
        self.heard_leader = -NEVER  # when a leader, of this term or an earlier one, was last heard
        # A vote may end a lease that this node helped before it was restarted and has forgotten (fault F137).
        self.no_votes_until = now + self.silence if stable.term > 0 else -NEVER
        self.outbox: list[Message] = []
        self.answers: list[Answer] = []
        self.notices: list[Notice] = []
        self.violations = 0
        self.role: Role = self._new_follower(None)

    # ------------------------------------------------------------------ facts

    @property
    def reads_waiting(self) -> int:
        """How many reads wait here, those of other nodes included."""
        return self.reads.count + (self.role.count_reads() if isinstance(self.role, Leader) else 0)

    @property
    def configuration(self) -> Configuration:
        """The configuration in force: the newest in the log, committed or not (thesis 4.1)."""
        return self.log.configurations.newest

    @property
    def silence(self) -> float:
        """For how long a leader must not have been heard before this node helps to elect another: the election
        timeout, or what the cluster's configuration promises to leaders for their leases."""
        lease = self.configuration.lease
        timeout = self.config.election_timeout
        return timeout if lease is None else max(timeout, lease.seconds)

    @property
    def promised_until(self) -> float:
        """Until when this node must elect nobody, itself included, for a leader that may rely on its lease."""
        return -NEVER if self.configuration.lease is None else self.heard_leader + self.silence

    @property
    def may_campaign(self) -> bool:
        """Whether this node may stand for election: it is a voter, or was one until a change that may not be committed.

        Thesis 4.2.2: such a server "should still start new elections, as it might still be needed until the Cnew entry
        is committed"; its own vote counts nothing then (fault F12). Nobody else ever stands for election (fault F11).
        """
        if self._votes_in(self.configuration):
            return True
        configurations, commit = self.log.configurations, self.log.commit
        return configurations.index > commit and any(self._votes_in(known) for known in configurations.since(commit))

    def _votes_in(self, configuration: Configuration) -> bool:
        """Whether this node is a voter there, and not another that had its name before: whoever joins under the name of
        a removed member comes by that one's configurations in the log, and must not lead by them (fault F73)."""
        own = self.config.incarnation
        if own == "":
            return configuration.is_voter(self.id)
        voters = (*configuration.voters, *configuration.outgoing)
        return any((voter.id, voter.incarnation) == (self.id, own) for voter in voters)

    @property
    def is_restored(self) -> bool:
        """Whether the state machine holds what the log does not hold any more: not while a snapshot is put into it."""
        return self.applying.applied >= self.log.base_index

    @property
    def quorum_contact(self) -> float:
        """The last time at which this leader had heard a majority, itself included (thesis 6.2)."""
        if not isinstance(self.role, Leader):
            return -NEVER
        contacts = {peer: progress.contact for peer, progress in self.role.progress.items()}
        contacts[self.id] = self.now
        reached = jointly_reached(self.configuration.voter_ids, self.configuration.outgoing_ids, contacts)
        return -NEVER if reached is None else reached

    @property
    def hears_leader(self) -> bool:
        """Whether a leader was heard, or a leading node heard its majority, within the minimal election timeout.

        Thesis 4.2.3: "if a server receives a RequestVote request within the minimum election timeout of hearing from
        a current leader, it does not update its term or grant its vote".
        """
        heard = self.quorum_contact if isinstance(self.role, Leader) else self.heard_leader
        return self.now < heard + self.silence

    # ------------------------------------------------------------ transitions

    def become_follower(self, term: int, leader: str | None) -> Follower:
        """Follow in `term`, which is the current one or a later one; the vote of the current term is kept (F5, F6)."""
        if term > self.term:
            self.term = term
            self.vote = None
        follower = self._new_follower(leader)
        self._change(follower)
        return follower

    def become_pre_candidate(self) -> None:
        """Ask whether an election could be won. A new object, so no answer of an earlier attempt counts (F18)."""
        self._change(PreCandidate(self.now + self._election_timeout()))

    def become_candidate(self, transfer: bool = False) -> None:
        """Paper 5.2: "a follower increments its current term and transitions to candidate state. It then votes for
        itself". Whether the vote counts, and whether anybody is asked, waits for the disk."""
        self.term += 1
        self.vote = self.id
        self._change(Candidate(self.now + self._election_timeout(), transfer))

    def become_leader(self) -> None:
        """Paper 8: a new leader commits "a blank no-op entry into the log at the start of its term"."""
        peers = [member.id for member in self.configuration.members if member.id != self.id]
        config = self.config
        leader = Leader(self.id, {peer: self.new_progress() for peer in peers}, self.now, config.election_timeout)
        leader.next_heartbeat += config.heartbeat_interval
        # Counted anew in each term from what the log holds, so that nothing leaks across terms (fault F46).
        settled = min(self.log.commit, self.writes.index)
        if self.log.last_index > settled:
            weight = sum(map(len, self.log.slice(settled + 1, self.log.last_index)))
            leader.appended(self.log.last_index, weight)
        self._change(leader)
        self.log.append(self.term, [NO_OP])

    def new_progress(self) -> Progress:
        """What a leader knows of a follower before it has heard of it."""
        window = Inflights(self.config.max_inflight_messages, self.config.max_inflight_bytes)
        return Progress(self.log.last_index + 1, window, self.now)

    def _new_follower(self, leader: str | None) -> Follower:
        timeout = self._election_timeout()
        deadline = self.now + timeout if self.may_campaign else NEVER
        return Follower(leader, timeout, deadline, self.writes.index)

    def _election_timeout(self) -> float:
        """Paper 5.2: "election timeouts are chosen randomly from a fixed interval"; anew at each attempt (F14)."""
        return self.silence * (1 + self.random.random())

    def _change(self, role: Role) -> None:
        before, self.role = self.role, role
        if isinstance(before, Leader):
            self._take_back_reads(before)
        if (role.name, self.term) != (before.name, self.noticed_term):
            self.noticed_term = self.term
            self.notices.append(RoleChanged(role.name, self.term))
        if role.leader != before.leader:
            self.notices.append(LeaderChanged(role.leader, self.term))

    def _take_back_reads(self, leader: Leader) -> None:
        """Reads of this node that its own leadership has not confirmed are asked for elsewhere (fault F96)."""
        waiting = [read for _, _, reads in leader.reads_begun for read in reads] + leader.reads_waiting
        self.reads.new.extend(read.asker for read in waiting if isinstance(read.asker, LocalRead))
