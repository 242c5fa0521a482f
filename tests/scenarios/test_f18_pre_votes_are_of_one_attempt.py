"""Answers to an earlier question do not answer the present one.

A of five asks, gets an answer of B, times out and asks again: B's answer belongs to the first attempt. And when A's
term has moved on in between, late answers about the old term say nothing about the new one.
"""

from rafty_core import Campaign, Heartbeat, PreVoteResponse
from tests.scenarios.story import Story


def test_new_attempt_begins_without_answers() -> None:
    story = Story("ABCDE", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.step("A", PreVoteResponse("B", "A", 4, 5, True))
    story.step("A", Campaign())
    story.step("A", PreVoteResponse("C", "A", 4, 5, True))
    assert story["A"].status.role == "pre_candidate"
    story.step("A", PreVoteResponse("D", "A", 4, 5, True))
    assert story["A"].status.role == "candidate"


def test_answer_about_an_earlier_term_is_not_counted() -> None:
    story = Story("ABC", terms={"": 4})
    story.now = 1.0
    story.step("A", Campaign())
    story.step("A", Heartbeat("C", "A", 5, 0, 1))
    story.wait(1.0)
    story.step("A", Campaign())
    story.step("A", PreVoteResponse("B", "A", 5, 5, True))
    assert story["A"].status.role == "pre_candidate"
    story.step("A", PreVoteResponse("B", "A", 5, 6, True))
    assert story["A"].status.role == "candidate"
