"""Named points: the moments at which it matters most what goes wrong next.

Law: *a fault that strikes at random meets a narrow window once in a thousand runs; one that waits for it, each time.*

A point is what a step has just done, read off the node and off what leaves it. The core knows nothing of them. The
nemesis strikes at some of them; a campaign counts all, and one that is never reached is a failure of the campaign.
"""

from collections.abc import Callable, Mapping

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
from rafty_core.simulation.contracts import Before
from rafty_core.state import State

Point = Callable[[Before, State, Output], bool]


def _sends(kind: type, **having: object) -> Point:
    """A message of this kind leaves, with these values in it."""

    def sends(before: Before, state: State, output: Output) -> bool:
        return any(
            type(message) is kind and all(getattr(message, name) == value for name, value in having.items())
            for message in output.messages
        )

    return sends


def _answers(kind: type, failed: bool) -> Point:
    """An answer of this kind is given, a good one or a bad one."""

    def answers(before: Before, state: State, output: Output) -> bool:
        return any(type(answer) is kind and (answer.error is not None) == failed for answer in output.answers)

    return answers


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


POINTS: Mapping[str, Point] = {
    "asks for pre-votes": _becomes(PreCandidate),
    "stands for election": _becomes(Candidate),
    "leads": _becomes(Leader),  # and has appended the no-op
    "steps down": _steps_down,
    "votes": _votes,
    "granted a vote": _sends(RequestVoteResponse, vote_granted=True),
    "tells another to campaign": _sends(TimeoutNow),
    "appends": _appends,
    "sends entries": _sends(AppendEntries),
    "acknowledges": _sends(AppendEntriesResponse, success=True),
    "refuses an append": _sends(AppendEntriesResponse, success=False),
    "truncates": _truncates,
    "commits": _commits,
    "commits in its term": _commits_in_its_term,
    "forwards a proposal": _sends(ForwardedProposal),
    "answers a proposal": _answers(ProposalAnswer, failed=False),
    "refuses a proposal": _answers(ProposalAnswer, failed=True),
    "adds a learner": _adds_a_learner,
    "enters joint": _enters_joint,
    "commits joint": _commits_joint,
    "leaves joint": _leaves_joint,
    "takes a configuration back": _takes_a_configuration_back,
    "answers a change": _answers(MembershipAnswer, failed=False),
    "is told that it was removed": lambda before, state, output: any(
        isinstance(notice, Removed) for notice in output.notices
    ),
    "asks for a read index": _sends(ReadIndexRequest),
    "confirms a read index": _sends(ReadIndexResponse),
    "serves a read": _answers(ReadAnswer, failed=False),
    "offers a snapshot": _sends(InstallSnapshot),
    "begins to fetch": lambda before, state, output: output.fetch is not None,
    "installs a snapshot": _installs,
    "compacts": _compacts,
    "restores its machine": lambda before, state, output: any(isinstance(item, Restore) for item in output.apply),
}


def points_of(before: Before, state: State, output: Output) -> list[str]:
    """The named points that this step has reached."""
    quiet = output.write is None and not output.answers and not output.apply and not output.notices
    if quiet and not output.messages and output.fetch is None and state.role is before.role:
        return []
    return [name for name, reached in POINTS.items() if reached(before, state, output)]
