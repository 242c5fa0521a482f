"""The table is complete: every pair of role and event is handled, or ignored for a stated reason, and never both."""

from collections.abc import Callable
from itertools import product

import pytest

from rafty_core import (
    AppendEntriesResponse,
    Campaign,
    Event,
    HeartbeatResponse,
    InstallSnapshotResponse,
    PeerUnreachable,
    PreVote,
    PreVoteResponse,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.events import LOCAL_EVENT_TYPES
from rafty_core.messages import MESSAGE_TYPES
from rafty_core.raft import IGNORED, TABLE
from rafty_core.roles import Candidate, Follower, Leader, PreCandidate, Role
from tests.core.contents import contents
from tests.scenarios.story import Story

ROLES: tuple[type[Role], ...] = (Follower, PreCandidate, Candidate, Leader)
EVENTS: tuple[type[Event], ...] = (*MESSAGE_TYPES, *LOCAL_EVENT_TYPES)


def test_every_pair_is_handled_or_ignored_and_none_is_both() -> None:
    every = set(product(ROLES, EVENTS))
    assert TABLE.keys() | IGNORED.keys() == every
    assert TABLE.keys() & IGNORED.keys() == set()


def test_every_ignored_pair_has_a_reason() -> None:
    assert all(len(reason.split()) > 4 for reason in IGNORED.values())


def node_in(role: type[Role]) -> Story:
    """A story whose node A has this role, in term 4 or later."""
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    if role is Leader:
        story.elect("A", "ABC")
    elif role is not Follower:
        story.step("A", Campaign())
        if role is Candidate:
            story.deliver(PreVote)
            story.deliver(PreVoteResponse)
        story.persist("A")
    story.step("A")
    assert story["A"].status.role == role.name
    story.drop()
    return story


EXAMPLES: dict[type[Event], Callable[[int], Event]] = {
    RequestVoteResponse: lambda term: RequestVoteResponse("B", "A", term, True),
    PreVoteResponse: lambda term: PreVoteResponse("B", "A", term, term + 1, True),
    AppendEntriesResponse: lambda term: AppendEntriesResponse("B", "A", term, True, 0),
    HeartbeatResponse: lambda term: HeartbeatResponse("B", "A", term, 0),
    InstallSnapshotResponse: lambda term: InstallSnapshotResponse("B", "A", term, 0),
    TimeoutNow: lambda term: TimeoutNow("B", "A", term),
    Campaign: lambda term: Campaign(),
    PeerUnreachable: lambda term: PeerUnreachable("B"),
}


@pytest.mark.parametrize("pair", IGNORED, ids=lambda pair: f"{pair[0].__name__}-{pair[1].__name__}")
def test_ignored_event_changes_nothing(pair: tuple[type[Role], type[Event]]) -> None:
    role, kind = pair
    story = node_in(role)
    event = EXAMPLES[kind](story["A"].status.term)
    before = contents(story["A"].raft._state)
    output = story.step("A", event)
    assert (output.messages, output.write, output.apply, output.answers, output.notices) == ([], None, [], [], [])
    assert contents(story["A"].raft._state) == before
