"""What differs from seed to seed: size, bounds, speeds, and how often what goes wrong.

Law: *everything a run does follows from its seed*, and so from these options and the generators they seed.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rafty_core import Config, Configuration, Lease, Member
from rafty_core.configuration import MOST_REMOVED

ELECTION_TIMEOUT = 0.5
HEARTBEAT_INTERVAL = 0.1

FOR_A_FLOOD: Mapping[str, Any] = {
    "max_proposal_bytes": 1024 * 1024,
    "max_batch_bytes": 256 * 1024,
    "max_apply_bytes": 4 * 1024 * 1024,
    "max_uncommitted_bytes": 64 * 1024 * 1024,
}
"""What a node must have room for that is asked for very many commands at once."""

CALLERS_NEED = 1.5
"""Seconds between two faults, or two changes of members, at least on average, where callers are to get on."""


@dataclass(frozen=True, slots=True)
class Options:
    """One run: times in (simulated) seconds, `lossy` and the like as probabilities per message; intervals of 0: never.

    trailing   the most entries kept in the log behind a snapshot that is taken
    machine    what a state machine has when its node starts: the state "from the snapshot", "from nothing", or its own
    striking   how likely the nemesis strikes where a node reaches one of the named points that it waits for
    gathering  how likely all events that wait are told to the core in one step, instead of one by one
    lingering  how likely a removed node talks on, instead of being shut down
    long_chains      whether the `long_chains` are tried at the end
    kept       names of the strikes of the nemesis that happen: a shrunken story; None: all
    kinds      names of the faults that the nemesis may choose from; empty: all
    salt       another number is another run of the same strikes, with other delays and election timeouts
    lease      for how many seconds voters promise not to elect another leader; 0: no leases
    quiet      for how many election timeouts a cluster without faults is watched at the end
    application      what the nodes run if nobody gives a machine: "none", "registers", or these in "sessions"
    callers          how many closed-loop clients there are if the nodes run that
    caller_interval  for how long they think between two operations, about
    session_expiry   seconds of log time without use after which a session is gone
    max_sessions, max_kept_answers  bounds of the sessions
    """

    seed: int
    size: int
    duration: float
    latency: float
    sync_time: float
    apply_time: float
    lossy: float
    repeating: float
    delaying: float
    replaying: float
    encoding: float
    corrupting: float
    reporting: float
    gathering: float
    fault_interval: float
    striking: float
    proposal_interval: float
    clock_drift: float
    with_results: bool
    max_batch_bytes: int
    max_inflight_messages: int
    max_inflight_bytes: int
    max_uncommitted_bytes: int
    max_apply_bytes: int
    max_pending_proposals: int
    forward_timeout: float
    snapshot_interval: float
    trailing: int
    fetch_time: float
    fetch_failing: float
    machine: str
    max_retained_bytes: int
    churn_interval: float
    lingering: float
    transfer_interval: float
    read_interval: float
    max_pending_reads: int
    lease: float
    quiet: int
    application: str
    callers: int
    caller_interval: float
    session_expiry: float
    max_sessions: int
    max_kept_answers: int
    max_result_bytes: int
    kept: frozenset[str] | None = None
    kinds: frozenset[str] = frozenset()
    salt: int = 0
    long_chains: bool = False
    max_command_bytes: int = 200
    max_proposal_bytes: int = 500

    @classmethod
    def draw(cls, seed: int, size: int | None = None) -> "Options":
        """The options of this seed; `size` fixes the number of nodes."""
        draw = random.Random(f"options {seed}")
        drawn = cls(
            seed=seed,
            size=draw.choice((1, 2, 3, 3, 3, 3, 4, 5, 5, 5)) if size is None else size,
            duration=draw.uniform(3, 18),
            latency=draw.choice((0.001, 0.01, 0.03)),
            sync_time=draw.choice((0.0, 0.002, 0.02, 0.1)),
            apply_time=draw.choice((0.0, 0.002, 0.05)),
            lossy=draw.choice((0, 0, 0.02, 0.2)),
            repeating=draw.choice((0, 0.02, 0.2)),
            delaying=draw.choice((0, 0.02, 0.1)),
            replaying=draw.choice((0, 0.02, 0.1)),
            encoding=draw.choice((0, 0.5, 1)),
            corrupting=draw.choice((0, 0.02, 0.05)),
            reporting=draw.choice((0, 0.5, 1)),
            gathering=draw.choice((0, 0.5, 1)),
            fault_interval=draw.choice((0.2, 0.7, 1.5, 3.0)),
            striking=draw.choice((0, 0.02, 0.1, 0.4)),
            proposal_interval=draw.choice((0.02, 0.1, 0.3)),
            clock_drift=draw.choice((0, 0, 0.01, 0.1)),
            with_results=draw.random() < 0.8,
            max_batch_bytes=draw.choice((1, 60, 1000, 256 * 1024)),
            max_inflight_messages=draw.choice((1, 2, 5, 64)),
            max_inflight_bytes=draw.choice((0, 1, 200, 8 * 1024 * 1024)),
            max_uncommitted_bytes=draw.choice((1, 500, 64 * 1024 * 1024)),
            max_apply_bytes=draw.choice((1, 100, 4 * 1024 * 1024)),
            max_pending_proposals=draw.choice((3, 50, 65536)),
            forward_timeout=draw.choice((0.2, 1.0, 5.0)),
            snapshot_interval=draw.choice((0, 0.05, 0.3, 1.0)),
            trailing=draw.choice((0, 3, 50)),
            fetch_time=draw.choice((0.001, 0.05, 0.5)),
            fetch_failing=draw.choice((0, 0.2, 0.5)),
            machine=draw.choice(("from the snapshot", "from nothing", "durable")),
            max_retained_bytes=draw.choice((1, 500, 256 * 1024 * 1024)),
            churn_interval=draw.choice((0, 0.3, 1.0)),
            lingering=draw.choice((0, 0.5, 1)),
            transfer_interval=draw.choice((0, 0.5, 2.0)),
            read_interval=draw.choice((0, 0.03, 0.2)),
            max_pending_reads=draw.choice((4, 65536, 65536)),
            lease=draw.choice((0, 0, 0.2, 0.6, 1.2)),
            quiet=draw.choice((4, 4, 4, 20)),
            application=draw.choice(("none", "none", "none", "registers", "sessions", "sessions")),
            callers=draw.randint(3, 5),
            caller_interval=draw.choice((0.03, 0.1)),
            session_expiry=draw.choice((1.5, 4.0, 30.0)),
            max_sessions=draw.choice((4, 1000)),
            max_kept_answers=draw.choice((2, 3, 1000)),
            max_result_bytes=draw.choice((20, 24 * 1024 * 1024, 24 * 1024 * 1024)),
            long_chains=draw.random() < 1 / 8,
        )
        if drawn.application != "none":
            return drawn.calmer()
        return replace(drawn, **FOR_A_FLOOD) if drawn.size == 1 and not drawn.churn_interval else drawn

    @property
    def floods(self) -> bool:
        """Whether there is room for very many commands at once, on one node that stays alone."""
        return self.size == 1 and not self.churn_interval and self.max_proposal_bytes >= 1024 * 1024

    def calmer(self) -> "Options":
        """The same with fewer faults, so that callers get something done."""
        return replace(
            self,
            fault_interval=max(self.fault_interval, CALLERS_NEED),
            churn_interval=max(self.churn_interval, CALLERS_NEED) if self.churn_interval else 0,
            striking=min(self.striking, 0.02),
            lease=min(self.lease, ELECTION_TIMEOUT / 2),
            max_result_bytes=24 * 1024 * 1024,
        )

    @property
    def has_sessions(self) -> bool:
        """Whether callers use sessions: they need the results of their calls."""
        return self.application == "sessions" and self.with_results

    @property
    def luck(self) -> str:
        """What seeds all chance but that of the options and of the strikes."""
        return f"{self.seed} {self.salt}" if self.salt else str(self.seed)

    @property
    def promise(self) -> Lease | None:
        """The lease that voters promise in this run: its bound on drift covers the fastest and the slowest clock."""
        bound = (1 + self.clock_drift) / (1 - self.clock_drift) - 1
        return Lease(self.lease, bound + 1e-6) if self.lease else None

    @property
    def silence(self) -> float:
        """The longest that a node waits for a leader before it would help to elect another."""
        return max(ELECTION_TIMEOUT, self.lease)

    def members(self, ids: list[str]) -> Configuration:
        """The configuration that the cluster begins with. Half of the runs with leases get theirs by a change;
        some clusters are so old that they begin to forget who was removed (fault F73)."""
        lease = self.promise if self.seed % 2 or not self.churn_interval else None
        is_old = self.churn_interval and self.seed % 16 == 3
        removed = tuple(Member(f"m{number}", "", f"m{number}") for number in range(MOST_REMOVED if is_old else 0))
        return replace(Configuration.of(*ids), lease=lease, removed=removed)

    def config(self, node_id: str, boot: int, incarnation: str) -> Config:
        """The settings of one life of a node."""
        return Config(
            id=node_id,
            boot=boot,
            incarnation=incarnation,
            election_timeout=ELECTION_TIMEOUT,
            heartbeat_interval=HEARTBEAT_INTERVAL,
            max_batch_bytes=self.max_batch_bytes,
            max_inflight_messages=self.max_inflight_messages,
            max_inflight_bytes=self.max_inflight_bytes,
            max_uncommitted_bytes=self.max_uncommitted_bytes,
            max_apply_bytes=self.max_apply_bytes,
            max_command_bytes=self.max_command_bytes,
            max_proposal_bytes=self.max_proposal_bytes,
            max_pending_proposals=self.max_pending_proposals,
            forward_timeout=self.forward_timeout,
            max_pending_reads=self.max_pending_reads,
            max_result_bytes=self.max_result_bytes,
            max_retained_bytes=self.max_retained_bytes,
        )
