"""Figure 2's state, and the four roles with the data that exist only in them.

Law: *what only a role knows lives in the role's object, and goes with it.* Stepping down drops a leader's progress, its
rounds and its windows; there is nothing to reset (and nothing to forget to reset).

`State` also holds the transitions between roles: they happen here and nowhere else.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, TypeAlias

from rafty_core.applying import Applying
from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import NO_OP
from rafty_core.log import Log
from rafty_core.messages import Message
from rafty_core.output import Answer, Fetch, LeaderChanged, Notice, Restore, RoleChanged
from rafty_core.pending import Origin, Proposals
from rafty_core.progress import Inflights, Progress
from rafty_core.quorum import jointly_reached
from rafty_core.stable import Snapshot, Stable
from rafty_core.writes import Writes

NEVER = float("inf")


class Random(Protocol):
    """A source of chance that the driver owns; `random.Random` is one."""

    def random(self) -> float:
        """A number in [0, 1)."""
        ...


class Follower:
    """Follows a leader, or waits for one (paper 5.2)."""

    name: ClassVar[str] = "follower"
    __slots__ = ("leader", "timeout", "deadline", "proven", "acknowledged", "owes_acknowledgement", "owes_vote")

    def __init__(self, leader: str | None, timeout: float, deadline: float, durable: int) -> None:
        self.leader = leader
        self.timeout = timeout
        self.deadline = deadline
        self.proven = 0  # the last index that this term's leader proved to agree with its log
        self.acknowledged = durable  # the last index that this node acknowledged to it, or that is no news
        self.owes_acknowledgement = False
        self.owes_vote = False  # a vote was granted; the answer waits until it is durable


class Standing:
    """What a node that stands for election keeps: who has answered, and whether the question has left."""

    leader: ClassVar[None] = None
    __slots__ = ("deadline", "votes", "asked")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.votes: dict[str, bool] = {}
        self.asked = False


class PreCandidate(Standing):
    """Asks whether it could win an election (thesis 9.6); its term and vote are untouched."""

    name: ClassVar[str] = "pre_candidate"
    __slots__ = ()


class Candidate(Standing):
    """Stands for election in its term (paper 5.2)."""

    name: ClassVar[str] = "candidate"
    __slots__ = ("transfer",)

    def __init__(self, deadline: float, transfer: bool = False) -> None:
        super().__init__(deadline)
        self.transfer = transfer  # whether the leader asked for this election


class LocalRead(NamedTuple):
    """A read of this node's own, not confirmed yet; refused at `expires`."""

    token: Any
    lease: bool
    expires: float


class ReadyRead(NamedTuple):
    """A read of this node's own that waits until the entry `wanted` is applied; refused at `expires`."""

    token: Any
    wanted: int
    expires: float


class WaitingRead(NamedTuple):
    """What a leader is to confirm: the reads of another node, or one of its own."""

    asker: Origin | LocalRead
    lease: bool
    expires: float


class Asking(NamedTuple):
    """Reads for which this node has asked the leader of `term`; asked again at `again`."""

    sequence: int
    leader: str
    term: int
    again: float
    reads: list[LocalRead]


class Reads:
    """Reads of this node that wait: for somebody to ask, for an answer, for the state machine."""

    __slots__ = ("new", "asking", "ready", "last_sequence", "_number", "_by_index")

    def __init__(self) -> None:
        self.new: list[LocalRead] = []
        self.asking: Asking | None = None
        self.ready: dict[int, ReadyRead] = {}  # by order of arrival, and so by the time at which they expire
        self.last_sequence = 0
        self._number = 0
        self._by_index: list[tuple[int, int]] = []  # a heap of (index, order of arrival)

    def wait_for(self, index: int, token: Any, expires: float) -> None:
        """This read may be served when `index` is applied; later ones do not expire before it."""
        self._number += 1
        self.ready[self._number] = ReadyRead(token, index, expires)
        heapq.heappush(self._by_index, (index, self._number))

    def take_served(self, applied: int) -> list[ReadyRead]:
        """The reads that wait for nothing beyond `applied`; they wait no more."""
        served = []
        while self._by_index and self._by_index[0][0] <= applied:
            read = self.ready.pop(heapq.heappop(self._by_index)[1], None)
            if read is not None:
                served.append(read)
        return served

    def take_expired(self, now: float) -> list[ReadyRead]:
        """The reads that have waited too long; they wait no more."""
        expired = []
        while self.ready and now >= next(iter(self.ready.values())).expires:
            expired.append(self.ready.pop(next(iter(self.ready))))
        if len(self._by_index) > 2 * len(self.ready):
            self._by_index = [(read.wanted, number) for number, read in self.ready.items()]
            heapq.heapify(self._by_index)
        return expired

    def count(self, role: "Role") -> int:
        """How many reads wait here, those of other nodes included."""
        count = len(self.new) + len(self.ready) + (0 if self.asking is None else len(self.asking.reads))
        return count + role.count_reads() if isinstance(role, Leader) else count


@dataclass(slots=True)
class Transfer:
    """A leader's attempt to hand over: to whom, until when, and the last round of heartbeats in which it was told."""

    target: str
    deadline: float
    told_round: int = 0


class Handover(NamedTuple):
    """A request for a transfer that is still to be answered; it outlives the leadership that it ends."""

    token: Any
    target: str
    deadline: float
    term: int


@dataclass(slots=True)
class PendingChange:
    """A change of membership that this node accepted and has not answered: its first entry, and where it leads."""

    token: Any
    index: int
    term: int
    target: Configuration
    reason: str = ""


@dataclass(slots=True)
class CatchUp:
    """A learner on its way to being a voter: the round that it is in (thesis 4.2.1)."""

    target: int
    began: float
    round: int = 1
    done: bool = False
    match: int = 0
    since: float = field(init=False)
    moved: float = field(init=False)  # when its match index grew last

    def __post_init__(self) -> None:
        self.since = self.moved = self.began

    def begin_round(self, target: int, now: float) -> None:
        """The next round is over when the learner has everything up to `target`. One that is close needs no more."""
        self.target, self.began, self.round = target, now, self.round + (not self.done)


class Leader:
    """Leads its term (paper 5.2, 5.3): the progress of each follower, the rounds of heartbeats, what is uncommitted."""

    name: ClassVar[str] = "leader"
    __slots__ = (
        "leader",
        "progress",
        "next_heartbeat",
        "quorum_deadline",
        "round",
        "uncommitted",
        "uncommitted_bytes",
        "catching",
        "transfer",
        "handed_over",
        "reads_waiting",
        "reads_begun",
        "may_confirm_reads",
        "_round_times",
    )

    def __init__(self, node_id: str, progress: dict[str, Progress], now: float, election_timeout: float):
        self.leader = node_id
        self.progress = progress
        self.next_heartbeat = NEVER
        self.quorum_deadline = NEVER  # not before that can its quorum be lost
        self.expect_peers(now, election_timeout)
        self.round = 0
        # (last index, bytes) of what was appended and is not committed, or not durable here; oldest first
        self.uncommitted: deque[tuple[int, int]] = deque()
        self.uncommitted_bytes = 0
        self.catching: dict[str, CatchUp] = {}  # learners that are to be voters
        self.transfer: Transfer | None = None
        self.handed_over = False  # whether anybody was told in this term to take over
        self.reads_waiting: list[WaitingRead] = []  # for a round to begin
        self.reads_begun: deque[tuple[int, int, list[WaitingRead]]] = deque()  # (round, read index, reads)
        self.may_confirm_reads = False  # whether an entry of this term is committed
        self._round_times: deque[tuple[int, float]] = deque()

    def expect_peers(self, now: float, election_timeout: float) -> None:
        """If there are followers now and were none before: beat at once, and lose the quorum in time."""
        if self.progress and self.next_heartbeat == NEVER:
            self.next_heartbeat = now
            self.quorum_deadline = now + election_timeout

    def begin_round(self, now: float, memory: float) -> None:
        """A round of heartbeats is handed out now; when the last ones were is remembered for a while."""
        self.round += 1
        self._round_times.append((self.round, now))
        while self._round_times[0][1] < now - 10 * memory:
            self._round_times.popleft()

    def time_of_round(self, round: int) -> float:
        """When this round was handed out; long ago, if that is not remembered."""
        return next((time for number, time in reversed(self._round_times) if number == round), -NEVER)

    def count_reads(self) -> int:
        """How many reads wait to be confirmed."""
        return len(self.reads_waiting) + sum(len(reads) for _, _, reads in self.reads_begun)

    def appended(self, last_index: int, weight: int) -> None:
        """Entries up to `last_index`, `weight` bytes together, were appended."""
        self.uncommitted.append((last_index, weight))
        self.uncommitted_bytes += weight

    def settled(self, index: int) -> None:
        """Everything up to `index` is committed, and durable here, so that it can be applied."""
        while self.uncommitted and self.uncommitted[0][0] <= index:
            self.uncommitted_bytes -= self.uncommitted.popleft()[1]


Role: TypeAlias = Follower | PreCandidate | Candidate | Leader


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
