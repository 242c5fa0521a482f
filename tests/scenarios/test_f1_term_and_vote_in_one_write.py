"""Term and vote are one promise, so they are written together.

B is in term 4, where it voted for C, and grants A its vote of term 5. Were term and vote two writes, a crash between
them would leave a term 5 without a vote, or with C's, and B could vote in term 5 twice.
"""

from rafty_core import RequestVote, RequestVoteResponse
from tests.scenarios.story import Story


def test_one_write_holds_the_new_term_and_the_vote_given_in_it() -> None:
    story = Story("ABC", terms={"": 4})
    story["B"].disk.vote = "C"
    story.crash("B")
    story.now = 1.0
    write = story.step("B", RequestVote("A", "B", 5, 0, 0)).write
    assert write is not None
    assert (write.term, write.vote) == (5, "A")


def test_crash_after_the_first_write_leaves_no_second_vote() -> None:
    story = Story("ABC", terms={"": 4})
    story["B"].disk.vote = "C"
    story.crash("B")
    story.now = 1.0
    story.step("B", RequestVote("A", "B", 5, 0, 0))
    story.persist("B")
    story["B"].writes.clear()  # whatever else it wanted to write is lost
    story.crash("B")
    story.now = 2.0
    story.step("B", RequestVote("C", "B", 5, 9, 4))
    story.persist("B")
    assert not any(answer.vote_granted for answer in story.sent(RequestVoteResponse, to="C"))
