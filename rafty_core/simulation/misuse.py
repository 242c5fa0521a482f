"""Wrong calls of what a core is made of, and settings that make no sense: each must be refused, and change nothing.

Law: *what cannot be is refused where it is said*, before anybody relies on it.

Nothing here belongs to a node's story: no message is sent, no chance but this module's own is asked.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rafty_core.changes import Change, Unchangeable, enter_joint, leave_joint, target_of
from rafty_core.config import LARGEST_MESSAGE, Config
from rafty_core.configuration import Configuration, Lease, Member
from rafty_core.entries import COMMAND, Batch
from rafty_core.history import InvariantViolation
from rafty_core.log import Compacted, Unavailable
from rafty_core.progress import Inflights
from rafty_core.quorum import jointly_reached, reached
from rafty_core.state import State

Wrong = tuple[type[Exception], Callable[[], object]]
"""What must be raised, and by what."""


def misuse(state: State) -> None:
    """Do all that is wrong with the parts of this node. Raises `InvariantViolation` if anything is taken, or changes
    anything, or if parts do not promise what is asked of them elsewhere."""
    before = _picture(state)
    for number, (error, wrong) in enumerate([*_of_the_log(state), *_of_settings(state.config), *_of_members()]):
        try:
            done = wrong()
        except error:
            if _picture(state) != before:
                raise InvariantViolation("I27", f"{state.id} refuses misuse {number}, and is changed by it") from None
            continue
        raise InvariantViolation("I27", f"{state.id} takes misuse {number}: {done!r:.200}")
    _check_arithmetic(state)


def _picture(state: State) -> tuple[Any, ...]:
    log, writes = state.log, state.writes
    ends = (log.base_index, log.base_term, log.commit, log.last_index, log.last_term)
    newest = log.slice(max(log.first_index, log.last_index - 20), log.last_index)
    durable = (writes.term, writes.vote, writes.index, writes.last_seq)
    return (state.term, state.vote, state.role, ends, newest, log.configurations.newest, durable, state.config)


def _of_the_log(state: State) -> list[Wrong]:
    log = state.log
    last, commit, term = log.last_index, log.commit, max(1, log.last_term)
    wrong: list[Wrong] = [
        (Unavailable, lambda: log.term(last + 1)),
        (Unavailable, lambda: log.slice(log.first_index, last + 1)),
        (Compacted, lambda: log.slice(log.base_index, last)),
        (ValueError, lambda: log.replace_from(Batch(last + 2, term, [COMMAND]))),
        (ValueError, lambda: log.replace_from(Batch(commit, term, [COMMAND]))),
        (ValueError, lambda: log.commit_to(last + 1)),
        (ValueError, lambda: log.compact(commit + 1)),
        (ValueError, lambda: log.compact(log.base_index - 1)),
        (ValueError, lambda: log.restore(commit, term, state.configuration)),
    ]
    if log.last_term > 0:
        wrong.append((ValueError, lambda: log.replace_from(Batch(last + 1, log.last_term - 1, [COMMAND]))))
    if log.base_index > 0:
        wrong.append((Compacted, lambda: log.term(log.base_index - 1)))
    window = Inflights(1, 0)
    window.add(1, 1)
    return [*wrong, (ValueError, lambda: window.add(2, 1))]


def _of_settings(config: Config) -> list[Wrong]:
    settings: Sequence[dict[str, Any]] = (
        {"heartbeat_interval": config.election_timeout},
        {"heartbeat_interval": 0.0},
        {"election_timeout": float("nan")},
        {"boot": 0},
        {"max_inflight_messages": 0},
        {"max_inflight_bytes": -1},
        {"max_pending_reads": -1},
        {"max_batch_bytes": LARGEST_MESSAGE + 1},
        {"id": ""},
        {"id": "n 1"},
        {"id": "n" * 65},
    )
    return [(ValueError, lambda wrong=wrong: replace(config, **wrong)) for wrong in settings]  # type: ignore[misc]


def _of_members() -> list[Wrong]:
    """Configurations that no cluster can have, and steps between them that lead nowhere."""
    three = Configuration.of("n1", "n2", "n3")
    joint, nobody = enter_joint(three, Configuration.of("n1", "n4")), Configuration()
    same = [Change("add_learner", Member("n4", "there")), Change("add_voter", Member("n5", "there"))]
    return [
        (ValueError, lambda: Lease(0, 0.1)),
        (ValueError, lambda: Lease(1, 1)),
        (ValueError, lambda: Configuration.of("n1", "n1")),
        (ValueError, lambda: Configuration.decode(three.encode()[1:])),
        (ValueError, lambda: Change("replace", Member("n1"))),  # type: ignore[arg-type]
        (ValueError, lambda: Change("remove", Member("n 1"))),
        (Unchangeable, lambda: enter_joint(joint, three)),
        (Unchangeable, lambda: enter_joint(nobody, three)),
        (Unchangeable, lambda: enter_joint(three, nobody)),
        (Unchangeable, lambda: leave_joint(three)),
        (Unchangeable, lambda: target_of(joint, [])),
        (Unchangeable, lambda: target_of(three, same)),
        (Unchangeable, lambda: target_of(three, [Change("remove", voter) for voter in three.voters])),
    ]


def _check_arithmetic(state: State) -> None:
    """What is asked of nobody changes nothing; an empty half decides nothing; what is cut in two is whole."""
    now = state.configuration
    if now.at_rest and now.voters and target_of(now, [Change("update", Member("stranger"))]) != now:
        raise InvariantViolation("I13", f"{state.id}: an update of a stranger changes {now}")
    values = {member.id: at for at, member in enumerate(now.members, 1)}
    other = reached(now.voter_ids, values)
    halves = (jointly_reached((), now.voter_ids, values), jointly_reached(now.voter_ids, (), values))
    if set(halves) != {other} or (other is None) != (not now.voters):
        raise InvariantViolation("I14", f"{state.id}: {halves} of {values} are reached by the halves of {now}")
    log = state.log
    if log.last_index > log.base_index:
        draw = random.Random(log.last_index)
        first = draw.randint(log.first_index, log.last_index)
        whole = Batch(first, log.term(first), log.slice(first, min(log.run_end(first), first + 20)))
        cut = draw.randint(first - 1, whole.last)
        if [*whole.slice_to(cut).entries, *whole.slice_from(cut + 1).entries] != list(whole.entries):
            raise InvariantViolation("I7", f"{state.id}: {whole!r} is another one when it is cut behind {cut}")
