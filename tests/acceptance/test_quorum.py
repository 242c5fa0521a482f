"""Rule 6-20: majorities and joint majorities, over all cases of the acceptance data."""

from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from rafty_core.quorum import joint_vote_result, jointly_reached, reached, vote_result
from tests.acceptance import data
from tests.acceptance.data import Json

COMMIT_CASES = [*data.cases("majority_commit"), *data.cases("joint_commit")]
VOTE_CASES = [*data.cases("majority_vote"), *data.cases("joint_vote")]


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of each voter; null stands for nothing heard."""
    return {voter: value for voter, value in values.items() if value is not None}


def voters_of(case: Json) -> tuple[list[str], list[str]]:
    """Both halves of the configuration."""
    return [str(voter) for voter in case["voters"]], [str(voter) for voter in case["outgoing"] or ()]


@pytest.mark.parametrize("case", COMMIT_CASES, ids=lambda case: f"{case['voters']}-{case['outgoing']}-{case['acked']}")
def test_rule_6_20_commit_index_of_a_configuration(case: Json) -> None:
    """The largest index that a majority of each half has acknowledged; without voters there is no bound."""
    voters, outgoing = voters_of(case)
    expected = None if case["expect"] == "unbounded" else case["expect"]
    assert jointly_reached(voters, outgoing, known(case["acked"])) == expected
    if not outgoing:
        assert reached(voters, known(case["acked"])) == expected


@pytest.mark.parametrize("case", VOTE_CASES, ids=lambda case: f"{case['voters']}-{case['outgoing']}-{case['votes']}")
def test_rule_6_20_vote_result_of_a_configuration(case: Json) -> None:
    """Won by a majority of each half, lost when either half can no longer be won, else pending."""
    voters, outgoing = voters_of(case)
    assert joint_vote_result(voters, outgoing, known(case["votes"])) == case["expect"]
    if not outgoing:
        assert vote_result(voters, known(case["votes"])) == case["expect"]


@pytest.mark.parametrize("size", range(1, 6))
def test_rule_6_24_commit_index_equals_the_slow_definition(size: int) -> None:
    """The largest index such that more than half of the voters have acknowledged it or more, by trying all."""
    voters = [str(number) for number in range(size)]
    for acknowledged in product(range(4), repeat=size):
        values = dict(zip(voters, acknowledged, strict=True))
        slow = max(index for index in range(4) if 2 * sum(value >= index for value in acknowledged) > size)
        assert reached(voters, values) == slow
