"""A cluster of one node elects itself, again after each restart, and commits nothing before its disk has it."""

from rafty_core import Committed
from tests.scenarios.story import Chance, Story


def test_single_voter_elects_itself_when_its_timer_ends() -> None:
    story = Story("A", chances={"A": Chance(0.5)})
    story.now = story["A"].raft.deadline
    story.step("A")
    assert story["A"].status.role == "candidate"
    story.persist("A")
    assert story["A"].status.role == "leader"


def test_single_voter_leads_again_after_a_restart() -> None:
    story = Story("A", chances={"A": Chance(0.5)})
    for term in (1, 2, 3):
        story.now = story["A"].raft.deadline
        story.step("A")
        story.settle("A")
        assert (story["A"].status.role, story["A"].status.term) == ("leader", term)
        story.propose("A", b"x%d" % term)
        story.settle("A")
        story.crash("A")
    story.now = story["A"].raft.deadline
    story.step("A")
    story.settle("A")
    assert story["A"].applied == [b"x1", b"x2", b"x3"]


def test_single_voter_applies_nothing_before_it_is_durable() -> None:
    story = Story("A", chances={"A": Chance(0.5)})
    story.elect("A", "A")
    committed = story["A"].status.commit_index
    output = story.propose("A", b"x", token=1)
    assert (output.apply, story["A"].status.commit_index) == ([], committed)
    story.persist("A")
    assert [given.commands() for given in story["A"].committed if isinstance(given, Committed)] == [[b"x"]]
