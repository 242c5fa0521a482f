"""Figure 2's state, and the four roles with the data that exist only in them.

Law: *what only a role knows lives in the role's object, and goes with it.* Stepping down drops a leader's progress, its
rounds and its windows; there is nothing to reset (and nothing to forget to reset).

`State` also holds the transitions between roles: they happen here and nowhere else.
"""

from collections import deque
from typing import ClassVar, Protocol, TypeAlias

from rafty_core.applying import Applying
from rafty_core.config import Config
from rafty_core.configuration import Configuration
from rafty_core.entries import NO_OP
from rafty_core.log import Log
from rafty_core.messages import Message
from rafty_core.output import LeaderChanged, Notice, ProposalAnswer, RoleChanged
from rafty_core.pending import Proposals
from rafty_core.progress import Inflights, Progress
from rafty_core.quorum import jointly_reached
from rafty_core.stable import Stable
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
    __slots__ = ()


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
    )

    def __init__(self, node_id: str, progress: dict[str, Progress], next_heartbeat: float, quorum_deadline: float):
        self.leader = node_id
        self.progress = progress
        self.next_heartbeat = next_heartbeat if progress else NEVER
        self.quorum_deadline = quorum_deadline if progress else NEVER  # not before that can its quorum be lost
        self.round = 0
        # (last index, bytes) of what was appended and is not committed, or not durable here; oldest first
        self.uncommitted: deque[tuple[int, int]] = deque()
        self.uncommitted_bytes = 0

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
        "configuration",
        "random",
        "now",
        "term",
        "vote",
        "role",
        "log",
        "writes",
        "applying",
        "proposals",
        "heard_leader",
        "no_votes_until",
        "first_term",
        "noticed_term",
        "outbox",
        "answers",
        "notices",
        "violations",
    )

    def __init__(self, config: Config, stable: Stable, random: Random, now: float) -> None:
        self.id = config.id
        self.config = config
        self.configuration: Configuration = stable.snapshot.configuration
        self.random = random
        self.now = now
        self.term = stable.term
        self.vote = stable.vote
        self.log = Log(stable.snapshot.index, stable.snapshot.term)
        for batch in stable.batches:
            if batch.last > self.log.last_index:
                self.log.replace_from(batch.slice_from(max(batch.first, self.log.last_index + 1)))
        self.writes = Writes(stable.term, stable.vote, self.log.last_index)
        self.applying = Applying(self.log.snapshot_index, config.max_apply_bytes)
        self.proposals = Proposals()
        self.first_term = stable.term  # the term in which this life of the node began
        self.noticed_term = stable.term  # the term that the last notice of a change of role named
        self.heard_leader = -NEVER  # when a leader, of this term or an earlier one, was last heard
        # A vote may end a lease that this node helped before it was restarted and has forgotten (fault F137).
        self.no_votes_until = now + config.election_timeout if stable.term > 0 else -NEVER
        self.outbox: list[Message] = []
        self.answers: list[ProposalAnswer] = []
        self.notices: list[Notice] = []
        self.violations = 0
        self.role: Role = self._new_follower(None)

    # ------------------------------------------------------------------ facts

    @property
    def may_campaign(self) -> bool:
        """Whether this node is a voter; nobody else ever stands for election (fault F11)."""
        return self.configuration.is_voter(self.id)

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
        return self.now < heard + self.config.election_timeout

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

    def become_candidate(self) -> None:
        """Paper 5.2: "a follower increments its current term and transitions to candidate state. It then votes for
        itself". Whether the vote counts, and whether anybody is asked, waits for the disk."""
        self.term += 1
        self.vote = self.id
        self._change(Candidate(self.now + self._election_timeout()))

    def become_leader(self) -> None:
        """Paper 8: a new leader commits "a blank no-op entry into the log at the start of its term"."""
        peers = [member.id for member in self.configuration.members if member.id != self.id]
        next_index = self.log.last_index + 1
        config = self.config
        progress = {
            peer: Progress(next_index, Inflights(config.max_inflight_messages, config.max_inflight_bytes), self.now)
            for peer in peers
        }
        leader = Leader(self.id, progress, self.now + config.heartbeat_interval, self.now + config.election_timeout)
        # Counted anew in each term from what the log holds, so that nothing leaks across terms (fault F46).
        settled = min(self.log.commit, self.writes.index)
        if self.log.last_index > settled:
            weight = sum(map(len, self.log.slice(settled + 1, self.log.last_index)))
            leader.appended(self.log.last_index, weight)
        self._change(leader)
        self.log.append(self.term, [NO_OP])

    def _new_follower(self, leader: str | None) -> Follower:
        timeout = self._election_timeout()
        deadline = self.now + timeout if self.may_campaign else NEVER
        return Follower(leader, timeout, deadline, self.writes.index)

    def _election_timeout(self) -> float:
        """Paper 5.2: "election timeouts are chosen randomly from a fixed interval"; anew at each attempt (F14)."""
        return self.config.election_timeout * (1 + self.random.random())

    def _change(self, role: Role) -> None:
        before, self.role = self.role, role
        if (role.name, self.term) != (before.name, self.noticed_term):
            self.noticed_term = self.term
            self.notices.append(RoleChanged(role.name, self.term))
        if role.leader != before.leader:
            self.notices.append(LeaderChanged(role.leader, self.term))
