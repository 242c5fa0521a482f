"""Majority arithmetic: what a majority of voters has reached, and whether a vote is won.

Law: *two majorities of one set always share a voter; everything Raft promises rests on that.*

Pure functions: voters and values in, verdict out. A joint configuration (paper 6) has a second, outgoing half, and
decides only what both halves decide; an empty half decides nothing and is passed over.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias, TypeVar

VoteResult: TypeAlias = Literal["won", "lost", "pending"]

Number = TypeVar("Number", int, float)


def majority(size: int) -> int:
    """How many of `size` voters are a majority: more than half, also for even sizes (fault F10)."""
    return size // 2 + 1


def reached(voters: Sequence[str], values: Mapping[str, Number]) -> Number | None:
    """The largest value that a majority of `voters` has reached; None if there are no voters (no bound).

    Voters without a value count as 0. With match indexes this is the commit rule's N (paper Figure 2: "a majority of
    matchIndex[i] >= N"); with times of contact it is the last moment at which a majority had been heard.
    """
    if not voters:
        return None
    ordered = sorted([values.get(voter, 0) for voter in voters], reverse=True)
    return ordered[majority(len(ordered)) - 1]


def jointly_reached(voters: Sequence[str], outgoing: Sequence[str], values: Mapping[str, Number]) -> Number | None:
    """The largest value that a majority of each half has reached; None if both halves are empty."""
    incoming = reached(voters, values)
    if not outgoing:
        return incoming
    old = reached(outgoing, values)
    if incoming is None or old is None:
        return old if incoming is None else incoming
    return min(incoming, old)


def vote_result(voters: Sequence[str], votes: Mapping[str, bool]) -> VoteResult:
    """Whether these votes (by voter; silent voters are absent) win, lose, or leave the election open.

    A vote of somebody who is not a voter is not looked at (fault F11). Without voters the vote is won.
    """
    if not voters:
        return "won"
    granted = sum(votes.get(voter) is True for voter in voters)
    refused = sum(votes.get(voter) is False for voter in voters)
    if granted >= majority(len(voters)):
        return "won"
    return "lost" if len(voters) - refused < majority(len(voters)) else "pending"


def joint_vote_result(voters: Sequence[str], outgoing: Sequence[str], votes: Mapping[str, bool]) -> VoteResult:
    """As `vote_result`, of both halves: won if both are won, lost if either is lost."""
    results = {vote_result(voters, votes), vote_result(outgoing, votes)}
    if "lost" in results:
        return "lost"
    return "pending" if "pending" in results else "won"
