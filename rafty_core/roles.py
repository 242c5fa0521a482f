"""The four roles, with the data that exist only in them.

Law: *what only a role knows lives in the role's object, and goes with it.* Stepping down drops a leader's progress, its
rounds and its windows; there is nothing to reset (and nothing to forget to reset).
"""

from collections import deque
from typing import ClassVar, TypeAlias

from rafty_core.progress import Progress
from rafty_core.waiting import CatchUp, Transfer, WaitingRead

NEVER = float("inf")


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
        """A round of heartbeats is handed out now; when the last ones were is remembered for a while.

        Reads begin rounds as fast as they are answered: those that are close together share the time of the first, so
        that what is remembered is bounded. A lease that counts from too early is only shorter (R105).
        """
        self.round += 1
        if not self._round_times or now >= self._round_times[-1][1] + memory / 1000:
            self._round_times.append((self.round, now))
        while self._round_times[0][1] < now - 10 * memory:
            self._round_times.popleft()

    def time_of_round(self, round: int) -> float:
        """When this round was handed out, or a moment before; long ago, if that is not remembered."""
        return next((time for number, time in reversed(self._round_times) if number <= round), -NEVER)

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
