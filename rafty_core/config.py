"""What can be set for a node, with defaults that are right.

Law: *an option doubles what must be tested; safety has none.* PreVote, leader stickiness and CheckQuorum are always on.
"""

from dataclasses import dataclass

from rafty_core.configuration import check_node_id

KiB = 1024
MiB = 1024 * KiB

LARGEST_MESSAGE = 16 * MiB
"""The largest command, batch or proposal that may be configured, in bytes: what a transport must be able to carry."""

COMMAND_OVERHEAD = 8
"""Bytes that a command weighs on its way beyond its content, so that many small commands are bounded too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one node. Times in seconds, sizes in bytes. Raises `ValueError` for what makes no sense.

    id                        this node's name
    boot                      how often the node has been started; part of every request's identity
    election_timeout          silence of the leader after which an election starts; drawn from [T, 2T) at each attempt
    heartbeat_interval        how often a leader gives a sign of life; well below the election timeout
    max_batch_bytes           entries in one append or one record of a write
    max_inflight_messages     appends on their way to one follower
    max_inflight_bytes        the same, in bytes of entries
    max_uncommitted_bytes     entries a leader accepts beyond what is committed, and durable at home
    max_apply_bytes           entries handed to the state machine ahead of its confirmation
    max_command_bytes         one command
    max_proposal_bytes        all commands of one `Propose` together, each counted with `COMMAND_OVERHEAD` more
    max_result_bytes          all results of one forwarded proposal together; beyond, the origin is told "unknown"
    max_pending_proposals     proposals whose outcome is not known yet
    forward_timeout           how long a follower waits for the outcome of a proposal it forwarded; reads wait as long
    incarnation               under which this node joined; empty for a node that the cluster was bootstrapped with.
                              A node that has one campaigns only by configurations that name it with that same one:
                              whoever adds it has to give it too (`Member.incarnation`)
    max_pending_reads         reads that wait to be answered, those of other nodes included
    max_retained_bytes        entries kept beyond a compaction for followers that are just being sent what they lack
    """

    id: str
    boot: int = 1
    election_timeout: float = 0.5
    heartbeat_interval: float = 0.1
    max_batch_bytes: int = 256 * KiB
    max_inflight_messages: int = 64
    max_inflight_bytes: int = 8 * MiB
    max_uncommitted_bytes: int = 64 * MiB
    max_apply_bytes: int = 4 * MiB
    max_command_bytes: int = 4 * MiB
    max_proposal_bytes: int = 8 * MiB
    max_result_bytes: int = 24 * MiB
    max_pending_proposals: int = 65536
    forward_timeout: float = 5.0
    incarnation: str = ""
    max_pending_reads: int = 65536
    max_retained_bytes: int = 256 * MiB

    def __post_init__(self) -> None:
        check_node_id(self.id)
        if not 0 < self.heartbeat_interval < self.election_timeout:
            raise ValueError(
                f"heartbeat_interval ({self.heartbeat_interval} s) must be above 0 and below "
                f"election_timeout ({self.election_timeout} s)"
            )
        for name in self.__slots__:
            value = getattr(self, name)
            if name not in ("id", "incarnation") and not (value > 0 or (name == "max_inflight_bytes" and value == 0)):
                raise ValueError(f"{name} must be above 0, not {value!r}")
        for name in ("max_command_bytes", "max_batch_bytes", "max_proposal_bytes"):
            if getattr(self, name) > LARGEST_MESSAGE:
                raise ValueError(f"{name} must be at most {LARGEST_MESSAGE}, not {getattr(self, name)!r}")
