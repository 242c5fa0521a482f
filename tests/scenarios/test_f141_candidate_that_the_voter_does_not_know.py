"""A voter answers a candidate that its own configuration does not name, and follows a leader that it removed.

B lags, with the members {A, B, C}. The cluster is {B, D, E} by now, and E is down: D needs B's vote. And B, which holds
an uncommitted removal of A, must still hear A, who alone can repair that.
"""

from rafty_core import AppendEntries, Batch, Configuration, PreVote, RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_candidate_outside_of_the_voters_configuration_gets_the_vote() -> None:
    story = Story("ABC", logs={"": [1]})
    story.wait(1.0)
    (answer,) = story.step("B", PreVote("D", "B", 3, 9, 2)).messages
    assert answer.vote_granted  # type: ignore[union-attr]
    story.step("B", RequestVote("D", "B", 3, 9, 2))
    story.persist("B")
    assert story.sent(RequestVoteResponse) == [RequestVoteResponse("B", "D", 3, True)]


def test_leader_that_an_uncommitted_configuration_removes_is_followed() -> None:
    story = Story("ABC")
    removal = b"\x02" + Configuration.of("B", "C").encode()
    story.step("B", AppendEntries("A", "B", 1, 0, 0, 0, Batch(1, 1, [b"\x00", removal])))
    story.step("B", AppendEntries("A", "B", 2, 1, 1, 1, Batch(2, 2, [b"\x00"])))
    assert story["B"].status.leader == "A"
    assert story["B"].status.configuration == Configuration.of("A", "B", "C")


def test_lagging_voter_elects_a_member_it_has_never_heard_of() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "DE":
        story.join(name)
    story.change("A", ("add_voter", "D"), ("add_voter", "E"), ("remove", "A"), ("remove", "C"))
    story.until(lambda: story["D"].status.configuration.voter_ids == ("B", "D", "E"), "ACDE")
    story.settle("ACDE")
    assert story["B"].status.configuration.voter_ids == ("A", "B", "C")
    story.elect("D", "BD")
    story.beat("D", "BD", 2)
    assert story["B"].status.configuration.voter_ids == ("B", "D", "E")
