"""One follower as its leader sees it: what it is known to hold, what comes next, and how much may be in flight.

Law: *match only grows, on proof; next is a guess above it* (paper, Figure 2: matchIndex, nextIndex).

Three flow states. *Probe*: the guess may be wrong, so one append at a time. *Replicate*: appends are pipelined, next
runs ahead of the acknowledgements, and a window bounds what is in flight (thesis 10.2.1). *Snapshot*: what the follower
lacks is compacted, so it was offered a snapshot and fetches it; no appends go out. All changes go through a few verbs;
nothing outside assigns.
"""

from collections import deque

PROBE = "probe"
REPLICATE = "replicate"
SNAPSHOT = "snapshot"


class Inflights:
    """The appends in flight to one follower: a window of `most_messages` and `most_bytes` (0: no limit of bytes)."""

    __slots__ = ("most_messages", "most_bytes", "bytes", "_sent")

    def __init__(self, most_messages: int, most_bytes: int) -> None:
        self.most_messages = most_messages
        self.most_bytes = most_bytes
        self.bytes = 0
        self._sent: deque[tuple[int, int]] = deque()

    @property
    def count(self) -> int:
        """How many messages are in flight."""
        return len(self._sent)

    @property
    def full(self) -> bool:
        """Whether nothing more may be sent now. The message that reaches the limit of bytes may exceed it."""
        return len(self._sent) >= self.most_messages or 0 < self.most_bytes <= self.bytes

    def add(self, last_index: int, weight: int) -> None:
        """A message up to `last_index` of `weight` bytes was sent. Raises `ValueError` if the window is full."""
        if self.full:
            raise ValueError("the window of appends in flight is full")
        self._sent.append((last_index, weight))
        self.bytes += weight

    def free_to(self, index: int) -> None:
        """Everything up to `index` was acknowledged."""
        while self._sent and self._sent[0][0] <= index:
            self.bytes -= self._sent.popleft()[1]

    def reset(self) -> None:
        """Nothing is in flight any more."""
        self._sent.clear()
        self.bytes = 0


class Progress:
    """What a leader knows of one follower."""

    __slots__ = (
        "match",
        "next",
        "state",
        "paused",
        "nudged",
        "sent_commit",
        "contact",
        "heard",
        "reachable",
        "inflights",
        "pending_snapshot",
        "failed_snapshots",
        "round",
        "round_time",
        "removed_at",
        "told_round",
        "told_until",
    )

    def __init__(self, next_index: int, inflights: Inflights, now: float = 0.0) -> None:
        self.match = 0
        self.next = next_index
        self.state = PROBE
        self.paused = False  # a probe is on its way; wait for its answer, or for a heartbeat's
        self.nudged = False  # an append must go out even if it carries nothing new
        self.sent_commit = 0  # the newest commit index that an append carried there
        self.contact = now  # when the follower was last heard, in this term, or when the term began
        self.heard = False  # whether it was heard in this term at all
        self.reachable = True
        self.inflights = inflights
        self.pending_snapshot = 0  # index of the first snapshot that was offered, while it is being fetched
        self.failed_snapshots = 0  # how often in a row it could not get one
        self.round = 0  # the newest round of heartbeats that it answered
        self.round_time = -float("inf")  # when that round was handed out
        self.removed_at = 0  # index of the configuration that dropped it, if it is still to be told
        self.told_round = 0  # the round that tells it; 0: none does yet
        self.told_until = float("inf")  # when to give that up

    @property
    def is_paused(self) -> bool:
        """Whether no append may be sent now."""
        if self.state == REPLICATE:
            return self.inflights.full
        return self.paused or self.state == SNAPSHOT

    def become_probe(self) -> None:
        """Nothing is certain any more but `match` (and a snapshot that was sent): try from there, one at a time."""
        self.next = max(self.match, self.pending_snapshot) + 1
        self.pending_snapshot = 0
        self.state = PROBE
        self.paused = False
        self.inflights.reset()

    def become_snapshot(self, index: int) -> None:
        """The follower was offered the snapshot at `index`; nothing else is sent until it has it, or says it failed."""
        self.state = SNAPSHOT
        self.paused = False
        self.pending_snapshot = index
        self.next = index + 1
        self.inflights.reset()

    def snapshot_failed(self) -> None:
        """The follower could not get the snapshot: try from `match`, and not before it is heard again."""
        if self.state == SNAPSHOT:
            self.failed_snapshots += 1
            self.pending_snapshot = 0
            self.become_probe()
            self.paused = True

    def become_replicate(self) -> None:
        """The logs are known to agree up to `match`: stream from there."""
        self.state = REPLICATE
        self.paused = False
        self.pending_snapshot = 0
        self.next = self.match + 1
        self.inflights.reset()

    def dropped(self, index: int) -> None:
        """The configuration at `index` has this peer no more; it is still to be told."""
        self.removed_at = index
        self.told_round = 0
        self.told_until = float("inf")

    def acknowledge(self, index: int) -> bool:
        """The follower holds everything up to `index`. Returns whether that is news. Never lowers anything (F41).

        Of a follower that fetches a snapshot, `next` waits behind it until the snapshot is there, or something newer.
        """
        self.inflights.free_to(index)
        self.next = max(self.next, index + 1)
        if index <= self.match:
            return False
        self.match = index
        self.paused = False
        self.failed_snapshots = 0
        return True

    def refuse(self, rejected: int, hint: int) -> bool:
        """The follower refused an append whose preceding index was `rejected`; its log may agree up to `hint`.

        Returns False for a refusal that later news has overtaken (it must not move anything, fault F41).
        """
        if self.state == SNAPSHOT:
            return False
        if self.state == REPLICATE:
            if rejected <= self.match:
                return False
            self.become_probe()
            return True
        if self.next - 1 != rejected:
            return False
        self.next = max(min(rejected, hint + 1), self.match + 1)
        self.paused = False
        return True

    def sent(self, last_index: int, weight: int) -> None:
        """Entries up to `last_index` were sent: next runs ahead of the acknowledgement, or the probe is paused."""
        if self.state == REPLICATE:
            self.next = last_index + 1
            self.inflights.add(last_index, weight)
        else:
            self.paused = True

    def sent_without_entries(self) -> None:
        """An append that carries no entries was sent; a probe waits for its answer as for any other."""
        self.paused = self.state == PROBE

    def heartbeat_answered(self, last_index: int) -> None:
        """The follower lives; whatever was lost on the way must not stop its log (faults F43, F44, F45).

        If it lacks something, or if that is not known, one append goes out whatever the window says, without entries
        if that is full. Its answer, an acknowledgement or a refusal, frees the window.
        """
        self.paused = False
        self.nudged = self.match < last_index or self.state != REPLICATE
