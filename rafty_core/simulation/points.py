"""Named points: the moments at which it matters most what goes wrong next.

Law: *a fault that strikes at random meets a narrow window once in a thousand runs; one that waits for it, each time.*

A point is what a step has just done, read off the node and off what leaves it. The core knows nothing of them. The
nemesis strikes at some of them; a campaign counts all, and one that is never reached is a failure of the campaign.
"""

from collections.abc import Callable, Mapping, Sequence

from rafty_core.messages import (
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    InstallSnapshot,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.output import MembershipAnswer, Output, ProposalAnswer, ReadAnswer, Removed, Restore
from rafty_core.roles import Candidate, Leader, PreCandidate
from rafty_core.simulation.contracts.before import Before
from rafty_core.state import State

Point = Callable[[Before, State, Output], bool]


def _becomes(*roles: type) -> Point:
    def becomes(before: Before, state: State, output: Output) -> bool:
        return isinstance(state.role, roles) and (type(before.role), before.term) != (type(state.role), state.term)

    return becomes


def _steps_down(before: Before, state: State, output: Output) -> bool:
    return isinstance(before.role, Leader) and not isinstance(state.role, Leader)


def _votes(before: Before, state: State, output: Output) -> bool:
    return state.vote not in (None, state.id) and (state.term, state.vote) != (before.term, before.vote)


def _truncates(before: Before, state: State, output: Output) -> bool:
    term, index = before.end
    return index > state.log.last_index or (index > state.log.base_index and state.log.term(index) != term)


def _appends(before: Before, state: State, output: Output) -> bool:
    return isinstance(state.role, Leader) and state.log.last_index > before.end[1]


def _commits(before: Before, state: State, output: Output) -> bool:
    return isinstance(state.role, Leader) and state.log.commit > before.commit


def _commits_in_its_term(before: Before, state: State, output: Output) -> bool:
    log = state.log
    if not _commits(before, state, output) or log.term(log.commit) != state.term:
        return False
    return before.commit < log.base_index or log.term(before.commit) != state.term


def _enters_joint(before: Before, state: State, output: Output) -> bool:
    return state.configuration.is_joint and not before.configuration.is_joint


def _leaves_joint(before: Before, state: State, output: Output) -> bool:
    return before.configuration.is_joint and not state.configuration.is_joint


def _commits_joint(before: Before, state: State, output: Output) -> bool:
    index = state.log.configurations.index
    return before.configuration.is_joint and before.commit < before.configuration_index <= state.log.commit <= index


def _adds_a_learner(before: Before, state: State, output: Output) -> bool:
    return len(state.configuration.learners) > len(before.configuration.learners)


def _takes_a_configuration_back(before: Before, state: State, output: Output) -> bool:
    return state.log.configurations.index < before.configuration_index


def _installs(before: Before, state: State, output: Output) -> bool:
    return output.write is not None and output.write.installs


def _compacts(before: Before, state: State, output: Output) -> bool:
    return output.write is not None and output.write.compact_to > 0 and not output.write.installs


SENDING: Mapping[type, tuple[str, str | None]] = {
    RequestVoteResponse: ("granted a vote", "vote_granted"),
    TimeoutNow: ("tells another to campaign", None),
    AppendEntries: ("sends entries", None),
    AppendEntriesResponse: ("acknowledges", "success"),
    ForwardedProposal: ("forwards a proposal", None),
    ReadIndexRequest: ("asks for a read index", None),
    ReadIndexResponse: ("confirms a read index", None),
    InstallSnapshot: ("offers a snapshot", None),
}
"""Points at which a message of this kind leaves, and what must be true of it."""

ANSWERING: Mapping[type, tuple[str, str]] = {
    ProposalAnswer: ("answers a proposal", "refuses a proposal"),
    MembershipAnswer: ("answers a change", "refuses a change"),
    ReadAnswer: ("serves a read", "refuses a read"),
}
"""Points at which the application is answered, well or badly."""

CHANGING: Mapping[str, Point] = {
    "asks for pre-votes": _becomes(PreCandidate),
    "stands for election": _becomes(Candidate),
    "leads": _becomes(Leader),  # and has appended the no-op
    "steps down": _steps_down,
    "votes": _votes,
    "appends": _appends,
    "truncates": _truncates,
    "adds a learner": _adds_a_learner,
    "enters joint": _enters_joint,
    "leaves joint": _leaves_joint,
    "takes a configuration back": _takes_a_configuration_back,
    "installs a snapshot": _installs,
    "compacts": _compacts,
}
"""Points that a step reaches only if it writes."""

OTHER: Mapping[str, Point] = {
    "commits": _commits,
    "commits in its term": _commits_in_its_term,
    "commits joint": _commits_joint,
    "is told that it was removed": lambda before, state, output: any(type(one) is Removed for one in output.notices),
    "begins to fetch": lambda before, state, output: output.fetch is not None,
    "restores its machine": lambda before, state, output: any(type(item) is Restore for item in output.apply),
}

REFUSES = "refuses an append"

POINTS: Sequence[str] = (
    *CHANGING,
    *OTHER,
    *(name for name, _ in SENDING.values()),
    REFUSES,
    *(name for names in ANSWERING.values() for name in names),
)
"""All named points."""


def points_of(before: Before, state: State, output: Output) -> list[str]:
    """The named points that this step has reached."""
    reached: dict[str, None] = {}
    for message in output.messages:
        name, condition = SENDING.get(type(message), (None, None))
        if name is not None and (condition is None or getattr(message, condition)):
            reached[name] = None
        elif name == "acknowledges":
            reached[REFUSES] = None
    for answer in output.answers:
        good, bad = ANSWERING.get(type(answer), ("", ""))
        if good:
            reached[bad if answer.error is not None else good] = None
    changing = output.write is not None or state.role is not before.role
    if changing:
        reached.update((name, None) for name, point in CHANGING.items() if point(before, state, output))
    if state.log.commit > before.commit or output.apply or output.notices or output.fetch is not None:
        reached.update((name, None) for name, point in OTHER.items() if point(before, state, output))
    return list(reached)
