"""Majorities, by tables."""

from collections.abc import Mapping

import pytest

from rafty_core.quorum import joint_vote_result, jointly_reached, majority, reached, vote_result


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)])
def test_majority_is_more_than_half(size: int, expected: int) -> None:
    assert majority(size) == expected


@pytest.mark.parametrize(
    ("voters", "values", "expected"),
    [
        ("", {}, None),
        ("A", {"A": 7}, 7),
        ("A", {}, 0),
        ("AB", {"A": 7, "B": 3}, 3),
        ("ABC", {"A": 7, "B": 3}, 3),
        ("ABC", {"A": 7, "B": 3, "C": 5}, 5),
        ("ABC", {"A": 7, "D": 9, "E": 9}, 0),
        ("ABCD", {"A": 7, "B": 6, "C": 5, "D": 4}, 5),
        ("ABCDE", {"A": 7, "B": 6, "C": 5, "D": 4, "E": 3}, 5),
    ],
)
def test_reached_is_what_a_majority_has(voters: str, values: Mapping[str, int], expected: int | None) -> None:
    assert reached(tuple(voters), values) == expected


@pytest.mark.parametrize(
    ("voters", "outgoing", "expected"),
    [("", "", None), ("ABC", "", 5), ("", "ABC", 5), ("ABC", "CD", 1), ("D", "ABC", 1), ("ABC", "ABC", 5)],
)
def test_both_halves_must_have_reached(voters: str, outgoing: str, expected: int | None) -> None:
    values = {"A": 7, "B": 5, "C": 3, "D": 1}
    assert jointly_reached(tuple(voters), tuple(outgoing), values) == expected


@pytest.mark.parametrize(
    ("voters", "granted", "refused", "expected"),
    [
        ("", "", "", "won"),
        ("A", "", "", "pending"),
        ("A", "A", "", "won"),
        ("A", "", "A", "lost"),
        ("ABC", "AB", "", "won"),
        ("ABC", "AXY", "", "pending"),
        ("ABC", "A", "B", "pending"),
        ("ABC", "A", "BC", "lost"),
        ("ABCD", "AB", "", "pending"),
        ("ABCD", "AB", "CD", "lost"),
    ],
)
def test_votes_win_or_lose_by_majority(voters: str, granted: str, refused: str, expected: str) -> None:
    votes = dict.fromkeys(granted, True) | dict.fromkeys(refused, False)
    assert vote_result(tuple(voters), votes) == expected


@pytest.mark.parametrize(
    ("granted", "refused", "expected"),
    [("AB", "", "pending"), ("ABDE", "", "won"), ("AB", "DE", "lost"), ("DE", "", "pending"), ("DE", "AB", "lost")],
)
def test_joint_election_needs_both_halves(granted: str, refused: str, expected: str) -> None:
    votes = dict.fromkeys(granted, True) | dict.fromkeys(refused, False)
    assert joint_vote_result(tuple("ABC"), tuple("DEF"), votes) == expected
