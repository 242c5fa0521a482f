"""A small deterministic cluster of `Raft` nodes, in which nothing happens but what a test asks for.

Law: *time moves by ticks, messages by deliveries, and each node's disk and state machine by `process_ready`.*

The core decides as soon as an event happens; what follows is gathered here, node by node, until `process_ready` takes
it as one batch. A batch is made durable, its committed entries are applied, its messages put in flight. What follows
from that belongs to the next batch, but for messages that only waited for this batch's disk: those leave with it. A
snapshot that a node is to fetch is there with its next batch.
"""

from collections.abc import Sequence
from typing import Any

from rafty_core import (
    Campaign,
    Change,
    Config,
    InstallSnapshot,
    Member,
    Message,
    PeerUnreachable,
    PreVote,
    PreVoteResponse,
    Propose,
    RequestVote,
    Snapshot,
    Stable,
    TimeoutNow,
    TransferLeadership,
)
from rafty_core.changes import Kind
from tests.acceptance.node import Node, configuration, name_of, number_of

ELECTION_TICKS = 3
HEARTBEAT_TICKS = 1
MOST_ROUNDS = 10_000


class Cluster:
    """Nodes by number, and one list of messages in flight.

    A cluster without `pre_vote` holds the pre-vote within `campaign`: its messages take no part in deliveries. A
    cluster without `check_quorum` lets a request for votes find voters that have heard no leader for an election
    timeout: rafty has stickiness always on, so the clock of the asked node is moved on to there, and no further.

    A cluster with both never loses touch by a word: where a node that hears its leader would say so, nothing arrives;
    and who campaigns has waited for an election timeout by its own clock.

    A leader that has left the configuration asks somebody to take over; without `hands_over` that is lost on the way.
    """

    def __init__(self) -> None:
        self.nodes: dict[int, Node] = {}
        self.in_flight: list[Message] = []
        self.pre_vote = False
        self.check_quorum = False
        self.hands_over = True

    def add(self, number: int, snapshot: Snapshot, content: bytes = b"", **settings: Any) -> Node:
        """Add a node that starts from this snapshot, with a term of its own of 0."""
        return self.add_with(number, Stable(snapshot=snapshot), content, **settings)

    def add_with(self, number: int, stable: Stable, content: bytes = b"", **settings: Any) -> Node:
        """Add a node that has stored this. If it has seen a term, it has waited an election timeout since.

        A log is compacted as far as one is told to: nothing is kept beyond that for followers that are behind.
        """
        times = {"election_timeout": ELECTION_TICKS, "heartbeat_interval": HEARTBEAT_TICKS, "max_retained_bytes": 1}
        config = Config(id=name_of(number), **{**times, **settings})
        node = self.nodes[number] = Node(number, stable, content, config)
        node.clock = ELECTION_TICKS if stable.term else 0.0
        return node

    @property
    def quiet(self) -> bool:
        """Whether nothing is left to do and nothing is in flight to anybody who is there."""
        return all(self.is_settled(number) for number in self.nodes)

    def is_settled(self, number: int) -> bool:
        """Whether this node has nothing to do, and nothing is in flight to it."""
        name = name_of(number)
        return not self.nodes[number].has_ready and not any(message.to == name for message in self.in_flight)

    # -------------------------------------------------------------- elections

    def campaign(self, number: int) -> None:
        """Start an election at this node."""
        node = self.nodes[number]
        if self.check_quorum and node.status.role != "leader":
            node.clock = max(node.clock, node.heard + ELECTION_TICKS)
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

    def forget_leader(self, number: int) -> None:
        """Have a follower forget its leader: it starts again, and waits until it may vote. Others know of nothing."""
        if self.nodes[number].status.role == "follower":
            self.nodes[number].restart(wait=ELECTION_TICKS)

    def transfer_leadership(self, number: int, target: int) -> None:
        """Ask this node to hand leadership over to `target`."""
        self.nodes[number].step(TransferLeadership("transfer", name_of(target)))

    # -------------------------------------------------------------- proposals

    def propose(self, number: int, *commands: bytes, token: Any = None) -> None:
        """Propose commands at this node."""
        self.nodes[number].step(Propose(token, commands))

    def changes_of(self, changes: Sequence[tuple[Kind, int]]) -> list[Change]:
        """Changes by numbers. A member that was removed and comes again does so in a new life."""
        gone = [member.id for node in self.nodes.values() for member in node.status.configuration.removed]
        made = []
        for kind, number in changes:
            name = name_of(number)
            life = f"life{gone.count(name)}" if kind != "remove" and name in gone else ""
            made.append(Change(kind, Member(name, incarnation=life)))
        return made

    def leader_known_to(self, number: int) -> Node | None:
        """The node that this one would turn to with a request for the leader; None if it knows none."""
        return self.nodes.get(number_of(self.nodes[number].status.leader))

    # --------------------------------------------------- outputs and messages

    def process_ready(self, number: int) -> None:
        """Take one batch of this node's outputs."""
        leaving = self.nodes[number].process_ready(self._content_of)
        if not self.hands_over and self.nodes[number].status.role != "leader":
            leaving = [message for message in leaving if not isinstance(message, TimeoutNow)]
        self.in_flight.extend(leaving)

    def _content_of(self, peer: str, snapshot: Snapshot) -> bytes:
        return self.nodes[number_of(peer)].images[(snapshot.index, snapshot.term)]

    def send_snapshot(self, number: int, to: int) -> None:
        """Put an offer of this leader's newest snapshot in flight, which the leader itself knows nothing of."""
        node = self.nodes[number]
        snapshot = node.take_snapshot()
        self.in_flight.append(
            InstallSnapshot(
                name_of(number), name_of(to), node.status.term, snapshot.index, snapshot.term, snapshot.configuration
            )
        )

    def deliver(self, number: int, drop: bool = False, kinds: tuple[type[Message], ...] = ()) -> int:
        """Deliver or drop everything in flight to this node (only messages of these kinds, if given), in order."""
        to = name_of(number)
        found = [message for message in self.in_flight if message.to == to and (not kinds or type(message) in kinds)]
        taken = set(map(id, found))
        self.in_flight = [message for message in self.in_flight if id(message) not in taken]
        if not drop:
            for message in found:
                self._receive(self.nodes[number], message)
        return len(found)

    def _receive(self, node: Node, message: Message) -> None:
        self._outwait_leader(node, message)
        hears_leader = node.clock < node.heard + ELECTION_TICKS
        before = len(node.messages)
        node.receive(message)
        if self.check_quorum and isinstance(message, PreVote) and hears_leader:
            said = node.messages[before:]
            del node.messages[before:]
            node.messages.extend(each for each in said if not isinstance(each, PreVoteResponse) or each.vote_granted)

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
            node.silent_ticks += 1
            node.step()
            if node.silent_ticks == node.campaigns_after and node.status.role != "leader":
                node.silent_ticks, node.campaigns_after = 0, None
                self.campaign(number)

    def report_unreachable(self, number: int, peer: int) -> None:
        """The transport of this node tells that messages to `peer` may be lost."""
        self.nodes[number].step(PeerUnreachable(name_of(peer)))


__all__ = ["ELECTION_TICKS", "HEARTBEAT_TICKS", "Cluster", "Node", "configuration", "name_of", "number_of"]
