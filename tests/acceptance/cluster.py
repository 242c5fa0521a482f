"""A small deterministic cluster of `Raft` nodes, in which nothing happens but what a test asks for.

Law: *time moves by ticks, messages by deliveries, and each node's disk and state machine by `process_ready`.*

The core decides as soon as an event happens; what follows is gathered here, node by node, until `process_ready` takes
it as one batch. A batch is made durable, its committed entries are applied, its messages put in flight. What follows
from that belongs to the next batch, but for messages that only waited for this batch's disk: those leave with it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rafty_core import (
    AppendEntries,
    AppendEntriesResponse,
    Applied,
    Campaign,
    Committed,
    Config,
    Configuration,
    Event,
    Heartbeat,
    HeartbeatResponse,
    Member,
    Message,
    PeerUnreachable,
    Persisted,
    PreVote,
    PreVoteResponse,
    ProposalAnswer,
    Propose,
    Raft,
    RequestVote,
    RequestVoteResponse,
    Snapshot,
    Stable,
    Status,
    Write,
)

ELECTION_TICKS = 3
HEARTBEAT_TICKS = 1
MOST_ROUNDS = 10_000
HELD = (RequestVote, RequestVoteResponse, AppendEntriesResponse)


def name_of(number: int) -> str:
    """The data call nodes 1, 2, 3; here they are n1, n2, n3."""
    return f"n{number}"


def number_of(name: str | None) -> int:
    """The number of a node; 0 for nobody."""
    return 0 if name is None else int(name[1:])


def configuration(voters: Iterable[int], learners: Iterable[int] = ()) -> Configuration:
    """A configuration by numbers."""
    return Configuration(
        voters=tuple(Member(name_of(voter)) for voter in voters),
        learners=tuple(Member(name_of(learner)) for learner in learners),
    )


class LongTimeouts:
    """Chance that always gives 5 of the 3 to 5 ticks: no timer runs out but by the ticks of a test."""

    def random(self) -> float:
        """The same number each time."""
        return 2 / 3


class Disk:
    """What a node has made durable."""

    def __init__(self, stable: Stable) -> None:
        self.term = stable.term
        self.vote = stable.vote
        self.snapshot = stable.snapshot
        self.log: list[tuple[int, bytes]] = []
        for batch in stable.batches:
            self.log.extend((batch.term, entry) for entry in batch.entries)

    def make_durable(self, write: Write) -> None:
        """Carry out a write: batches replace everything at and behind their first index."""
        self.term, self.vote = write.term, write.vote
        for batch in write.batches:
            del self.log[batch.first - self.snapshot.index - 1 :]
            self.log.extend((batch.term, entry) for entry in batch.entries)


class Node:
    """One node, its clock, its disk, its state machine, and the outputs that nobody has taken yet."""

    def __init__(self, number: int, stable: Stable, content: bytes, config: Config) -> None:
        self.number = number
        self.clock = 0.0
        self.heard = 0.0  # when a leader was last heard, or a leader last heard a follower, by this clock
        self.disk = Disk(stable)
        self.content = content
        self.applied: list[bytes] = []
        self.messages: list[Message] = []
        self.writes: list[Write] = []
        self.committed: list[Committed] = []
        self.answers: list[ProposalAnswer] = []
        self.raft = Raft(config, stable, random=LongTimeouts(), now=0.0)

    @property
    def status(self) -> Status:
        """The picture of the core."""
        return self.raft.status()

    @property
    def has_ready(self) -> bool:
        """Whether there is anything to take."""
        return bool(self.messages or self.writes or self.committed)

    def step(self, *events: Event) -> None:
        """Let events happen now; gather what follows."""
        led = self.status.role == "leader"
        output = self.raft.step(self.clock, *events)
        self.messages.extend(output.messages)
        if output.write is not None:
            self.writes.append(output.write)
        self.committed.extend(output.apply)
        self.answers.extend(output.answers)
        contact = (AppendEntriesResponse, HeartbeatResponse) if led else (AppendEntries, Heartbeat)
        if any(isinstance(event, contact) for event in events) or (not led and self.status.role == "leader"):
            self.heard = self.clock

    def process_ready(self) -> list[Message]:
        """Take one batch; return the messages that leave with it."""
        commit = self.status.commit_index
        leaving, self.messages = self.messages, []
        writes, self.writes = self.writes, []
        for write in writes:
            self.disk.make_durable(write)
        if writes:
            self.step(Persisted(writes[-1].seq))
            leaving.extend(message for message in self.messages if isinstance(message, HELD))
            self.messages = [message for message in self.messages if not isinstance(message, HELD)]
        self._apply_to(commit)
        return leaving

    def _apply_to(self, commit: int) -> None:
        while self.committed and self.committed[0].first <= commit:
            handed_out = self.committed.pop(0)
            count = min(handed_out.last, commit) - handed_out.first + 1
            now, later = handed_out.entries[:count], handed_out.entries[count:]
            if later:
                self.committed.insert(0, Committed(handed_out.first + count, later))
            commands = Committed(handed_out.first, now).commands()
            self.applied.extend(commands)
            self.step(Applied(handed_out.first + count - 1, commands))


class Cluster:
    """Nodes by number, and one list of messages in flight.

    A cluster without `pre_vote` holds the pre-vote within `campaign`: its messages take no part in deliveries. A
    cluster without `check_quorum` lets a request for votes find voters that have heard no leader for an election
    timeout: rafty has stickiness always on, so the clock of the asked node is moved on to there, and no further.
    """

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.in_flight: list[Message] = []
        self.pre_vote = False
        self.check_quorum = False

    def add(self, number: int, snapshot: Snapshot, content: bytes = b"", **settings: Any) -> Node:
        """Add a node that starts from this snapshot, with a term of its own of 0."""
        return self.add_with(number, Stable(snapshot=snapshot), content, **settings)

    def add_with(self, number: int, stable: Stable, content: bytes = b"", **settings: Any) -> Node:
        """Add a node that has stored this. If it has seen a term, it has waited an election timeout since."""
        config = Config(
            id=name_of(number), election_timeout=ELECTION_TICKS, heartbeat_interval=HEARTBEAT_TICKS, **settings
        )
        node = self.nodes[number] = Node(number, stable, content, config)
        node.clock = ELECTION_TICKS if stable.term else 0.0
        return node

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to do and nothing is in flight."""
        return not self.in_flight and not any(node.has_ready for node in self.nodes.values())

    def campaign(self, number: int) -> None:
        """Start an election at this node."""
        node = self.nodes[number]
        node.step(Campaign())
        if not self.pre_vote:
            self._hold_pre_vote(node)

    def _hold_pre_vote(self, node: Node) -> None:
        asked = [message for message in node.messages if isinstance(message, PreVote)]
        node.messages = [message for message in node.messages if not isinstance(message, PreVote)]
        voters = [(self.nodes[number_of(message.to)], message) for message in asked if self._is_here(message)]
        for voter, message in sorted(voters, key=lambda pair: pair[0].status.role == "leader"):
            if node.status.role != "pre_candidate":
                return
            self._outwait_leader(voter, message, even_itself=True)
            voter.step(message)
            answers = [answer for answer in voter.messages if isinstance(answer, PreVoteResponse)]
            voter.messages = [answer for answer in voter.messages if not isinstance(answer, PreVoteResponse)]
            node.step(*answers)

    def _is_here(self, message: Message) -> bool:
        return number_of(message.to) in self.nodes

    def _outwait_leader(self, node: Node, message: Message, even_itself: bool = False) -> None:
        """Before a request for votes: move the node's clock to an election timeout after it last heard a leader.

        A leader's clock is moved only where its vote is needed: it grants first and steps down by the newer term.
        """
        if self.check_quorum or not isinstance(message, PreVote | RequestVote) or message.term <= node.status.term:
            return
        if isinstance(message, PreVote) and node.status.role == "leader" and not even_itself:
            return
        node.clock = max(node.clock, node.heard + ELECTION_TICKS)

    def propose(self, number: int, *commands: bytes, token: Any = None) -> None:
        """Propose commands at this node."""
        self.nodes[number].step(Propose(token, commands))

    def process_ready(self, number: int) -> None:
        """Take one batch of this node's outputs."""
        self.in_flight.extend(self.nodes[number].process_ready())

    def deliver(self, number: int, drop: bool = False, kinds: tuple[type[Message], ...] = ()) -> int:
        """Deliver or drop everything in flight to this node (only messages of these kinds, if given), in order."""
        to = name_of(number)
        found = [message for message in self.in_flight if message.to == to and (not kinds or type(message) in kinds)]
        taken = set(map(id, found))
        self.in_flight = [message for message in self.in_flight if id(message) not in taken]
        if not drop:
            for message in found:
                self._outwait_leader(self.nodes[number], message)
                self.nodes[number].step(message)
        return len(found)

    def stabilize(self, numbers: Sequence[int] = ()) -> None:
        """Take outputs of these nodes (or all) and deliver messages to them, until nothing is left."""
        chosen = list(numbers) or sorted(self.nodes)
        for _ in range(MOST_ROUNDS):
            ready = [number for number in chosen if self.nodes[number].has_ready]
            for number in ready:
                self.process_ready(number)
            if not sum(self.deliver(number) for number in chosen) and not ready:
                return
        raise RuntimeError(f"not stable after {MOST_ROUNDS} rounds")

    def tick(self, number: int, ticks: int = 1) -> None:
        """Let time pass at this node, tick by tick."""
        node = self.nodes[number]
        for _ in range(ticks):
            node.clock += 1.0
            node.step()

    def report_unreachable(self, number: int, peer: int) -> None:
        """The transport of this node tells that messages to `peer` may be lost."""
        self.nodes[number].step(PeerUnreachable(name_of(peer)))
