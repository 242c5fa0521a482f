"""Real traffic of a real cluster, and moments of its life.

Law: *what is damaged later was once right*: every frame here was sent by a core to another that took it.

Three voters and a learner live through what clusters live through: elections, appends, forwarded proposals, reads at a
follower, a snapshot for one that was away, a change of the members, a transfer of leadership. All that they send is
kept as frames. At some moments the whole cluster is kept, too: each of its nodes can be what a campaign is run against.
"""

import pickle
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from rafty_core.changes import Change
from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.events import Campaign, ChangeMembership, Propose, Read, SnapshotTaken, TransferLeadership
from rafty_core.messages import Message
from rafty_transports.codec import encode
from tests.transports.fuzz.driven import Driven, Fellows
from tests.transports.test_codec import MESSAGES

VOTERS = ("n1", "n2", "n3")
LEARNER, NEWCOMER, STRANGER = "n4", "n5", "n0"
NAMES = (*VOTERS, LEARNER, NEWCOMER, STRANGER)


class Moment(NamedTuple):
    """One node of a cluster at one moment. `cluster` are the pickled `Fellows`, `node_id` is who is looked at."""

    name: str
    node_id: str
    cluster: bytes


class Recording(NamedTuple):
    """What a cluster said, as frames with their length, and the moments of its life."""

    frames: list[bytes]
    moments: list[Moment]


class _Tape:
    def __init__(self) -> None:
        self.fellows = Fellows()
        self.messages: list[Message] = []
        self.moments: list[Moment] = []

    def settle(self) -> None:
        self.messages += self.fellows.settle()

    def keep(self, name: str, *node_ids: str) -> None:
        """Keep this moment for these nodes."""
        data = pickle.dumps(self.fellows, pickle.HIGHEST_PROTOCOL)
        for node_id in node_ids:
            role = self.fellows.nodes[node_id].raft.status().role
            self.moments.append(Moment(f"{role} {name}", node_id, data))

    def until(self, condition: Callable[[], bool]) -> None:
        """Deliver one message after the other, and let time pass when there is none, until this is so.

        Raises `RuntimeError` if it never is.
        """
        for _ in range(20_000):
            if condition():
                return
            if not self.fellows.network:
                self.fellows.pass_time()
            self.messages += self.fellows.settle(1)
        raise RuntimeError("what the recorded cluster waits for never comes")


@cache
def recording() -> Recording:
    """The recording; always the same."""
    tape = _Tape()
    _begin(tape)
    _work(tape)
    _fall_behind(tape)
    _change(tape)
    _hand_over(tape)
    _lose_the_leader(tape)
    frames = [b"".join(encode(message)) for message in tape.messages]
    frames += [frame for message in MESSAGES if len(frame := b"".join(encode(message))) < 2000]
    return Recording(list(dict.fromkeys(frames)), tape.moments)


def _begin(tape: _Tape) -> None:
    members = tuple(Member(voter, f"[::1]:{7000 + number}") for number, voter in enumerate(VOTERS))
    configuration = Configuration(voters=members, learners=(Member(LEARNER),), lease=Lease(0.4, 0.01))
    for number, name in enumerate((*VOTERS, LEARNER)):
        tape.fellows.nodes[name] = Driven(name, configuration, number)
    tape.keep("that has just begun", "n1")
    tape.fellows.step("n1", Campaign())
    tape.keep("that has just begun to stand", "n1")
    tape.settle()
    tape.until(lambda: tape.fellows.leader == "n1")
    tape.keep("of an empty log", "n1", "n2")


def _work(tape: _Tape) -> None:
    fellows = tape.fellows
    for number in range(12):
        fellows.step(VOTERS[number % 3], Propose(number, [b"set %d" % number, bytes(number)]))
        fellows.step(VOTERS[number % 2], Read(number, ("linearizable", "lease")[number % 2]))
        tape.settle()
        fellows.pass_time()
    tape.settle()
    tape.keep("at work", "n1", "n2", LEARNER)


def _fall_behind(tape: _Tape) -> None:
    """n3 and the learner are away while the log goes; n1 has much under way when the moment is kept."""
    fellows = tape.fellows
    fellows.cut |= {"n3", LEARNER}
    for number in range(20, 30):
        fellows.step("n1", Propose(number, [b"away %d" % number]))
        tape.settle()
        fellows.pass_time(["n1", "n2"])
    for name in ("n1", "n2"):
        applied = fellows.nodes[name].raft.applied_index
        fellows.step(name, SnapshotTaken(applied - 2))
    tape.settle()
    fellows.step("n1", Propose(30, [b"behind the snapshot"]))
    fellows.held.add("n1")
    fellows.step("n1", Propose(31, [b"in flight"]), Read(31))
    fellows.step("n2", Propose(32, [b"forwarded"]), Read(32))
    tape.keep("behind a snapshot, with much under way", "n1", "n2", "n3")
    fellows.cut.clear()
    fellows.held |= {"n3"}
    tape.until(lambda: fellows.nodes["n3"].fetch is not None)
    tape.keep("that is to fetch a snapshot", "n3")
    fellows.held.clear()
    tape.until(lambda: len({status.commit_index for status in fellows.statuses()}) == 1)
    tape.keep("after all were brought up", "n1", "n3", LEARNER)


def _change(tape: _Tape) -> None:
    """The learner becomes a voter, another node is added, and one is removed."""
    fellows = tape.fellows
    leader = fellows.leader or "n1"
    fellows.nodes[NEWCOMER] = Driven(NEWCOMER, Configuration(), 9, "born")
    tape.keep("that is to join", NEWCOMER)
    newcomer = Change("add_voter", Member(NEWCOMER, "host:7005", "born"))
    fellows.step(leader, ChangeMembership("grow", [Change("add_voter", Member(LEARNER)), newcomer]))
    tape.keep("in the midst of a change", leader)
    rest = fellows.nodes[leader].raft
    tape.until(lambda: rest.status().configuration.is_joint)
    tape.keep("of a joint configuration", leader, "n2")
    tape.until(lambda: rest.committed_configuration.at_rest and not rest.committed_configuration.learners)
    tape.keep("after a change", leader, NEWCOMER)


def _hand_over(tape: _Tape) -> None:
    fellows = tape.fellows
    leader = fellows.leader or "n1"
    target = "n2" if leader != "n2" else "n3"
    fellows.step(leader, TransferLeadership("hand over", target))
    tape.keep("that hands over", leader)
    tape.until(lambda: fellows.leader == target)
    fellows.step(target, ChangeMembership("shrink", [Change("remove", Member(NEWCOMER))]))
    tape.until(lambda: fellows.nodes[target].raft.committed_configuration.at_rest)
    fellows.step(target, Propose(40, [b"four are left"]))
    tape.settle()
    tape.keep("that took over", target, leader)


def _lose_the_leader(tape: _Tape) -> None:
    fellows = tape.fellows
    gone = fellows.leader or "n1"
    fellows.cut |= {gone, NEWCOMER}
    left = [name for name in (*VOTERS, LEARNER) if name != gone]
    fellows.held |= set(left)
    for _ in range(60):
        if any(status.role == "pre_candidate" for status in fellows.statuses()):
            break
        fellows.pass_time(left)
    candidates = [status.id for status in fellows.statuses() if status.role == "pre_candidate"]
    tape.keep("that lost its leader", *candidates[:1])
    tape.keep("that is cut off", gone)
    tape.settle()
    standing = [status.id for status in fellows.statuses() if status.role == "candidate"]
    tape.keep("whose vote is not durable", *standing[:1])
    fellows.held.clear()
    fellows.cut.clear()
    tape.until(lambda: fellows.leader is not None and len({status.commit_index for status in fellows.statuses()}) < 3)
