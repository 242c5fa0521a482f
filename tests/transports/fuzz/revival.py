"""The life after: a node that was told what was made up is put back among its fellows.

Law: *a node that was only told nonsense, and believed none of it that is for ever, works as if it had not been.*

What a node believes of a forged leader it believes of a leader: entries that its fellows do not have can be committed
at it, members can be others. Then nothing is asked for but that it goes on without an exception and within its
invariants. But if its committed log is that of its fellows, it must come to apply what they commit next.
"""

from rafty_core.entries import COMMAND
from rafty_core.events import Campaign, Propose
from rafty_core.log import Log
from rafty_core.node_invariants import state_of
from rafty_core.state import State
from tests.transports.fuzz.subject import Subject
from tests.transports.fuzz.wire import Broken

ROUNDS = 60
NEWS = b"what is committed after all"


def revive(subject: Subject) -> str:
    """Let this node and its fellows live on; return "back", or "believed" if nothing more can be asked of it.

    Raises `Broken` if it could and does not come back, and whatever a step raises that should not.
    """
    node_id, fellows = subject.moment.node_id, subject.fellows
    fellows.held.clear()
    fellows.cut.clear()
    failed = subject.driven.lose_fetch()
    if failed is not None:
        fellows.step(node_id, failed)
    fellows.settle(0)
    believed = not _agrees(subject)
    for driven in fellows.nodes.values():
        fellows.now = max(fellows.now, state_of(driven.raft).now)
    for number in range(ROUNDS if not believed else 12):
        fellows.pass_time()
        fellows.settle(150)
        subject.watch.check(subject.raft)
        leader = fellows.leader
        if leader is not None and number % 4 == 3:
            fellows.step(leader, Propose("news", [NEWS]))
        if number == ROUNDS // 2:
            fellows.step(node_id, Campaign())
        if number % 4 == 0 and number and _has_news(subject):
            return "back"
    if believed or not _agrees(subject, again=True):
        return "believed"
    told = "\n".join(str(driven.raft.status()) for driven in fellows.nodes.values())
    raise Broken(f"{node_id} does not come back:\n{told}")


def _has_news(subject: Subject) -> bool:
    log, applied = state_of(subject.raft).log, subject.raft.applied_index
    first = max(log.first_index, applied - 200)
    return first <= applied and COMMAND + NEWS in log.slice(first, applied)


def _agrees(subject: Subject, *, again: bool = False) -> bool:
    """Whether everything that the node holds for committed is so at its fellows, and it was told nothing for ever."""
    state = state_of(subject.raft)
    began = subject.began_as
    others = [state_of(driven.raft) for driven in subject.fellows.nodes.values() if driven.raft is not subject.raft]
    if state.term > max(other.term for other in others) + 2**31 and not again:
        return False
    if not again and state.role.name == "leader" and (began.role, began.term) != ("leader", state.term):
        return False  # elected by votes that were made up
    if again and not state.may_campaign and state.role.leader not in (None, subject.fellows.leader):
        return False  # who never stands for election waits for the leader that it was told of as long as the term lasts
    itself = state.configuration.member(state.id)
    return itself is not None and all(_agree(state, other) for other in others)


def _agree(one: State, other: State) -> bool:
    if one.configuration != other.configuration or not one.configuration.at_rest:
        return False
    commit = max(one.log.commit, other.log.commit)
    start = max(one.log.base_index, other.log.base_index)
    end = min(one.log.last_index, other.log.last_index, commit)
    if end < max(one.log.commit, one.log.base_index, other.log.base_index):
        return False
    return _part(one.log, start, end) == _part(other.log, start, end)


def _part(log: Log, start: int, end: int) -> list[tuple[int, bytes]]:
    """Terms and entries behind `start` up to `end`, with the term of `start` itself in front."""
    entries = log.slice(start + 1, end)
    return [(log.term(start), b""), *((log.term(index), entry) for index, entry in enumerate(entries, start + 1))]
