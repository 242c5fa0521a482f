"""Who is dropped gets the log up to its removal, and hears that it is committed; then it is forgotten.

A node that is never told goes on asking for votes, and one that is never forgotten is sent the log for ever.
"""

from rafty_core import MembershipChanged, Removed
from tests.scenarios.story import Story


def test_removed_node_hears_of_its_committed_removal_and_is_forgotten() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.beat("A", "ABC", 3)
    removals = [notice for notice in story["C"].notices if isinstance(notice, Removed)]
    assert removals == [Removed(story["A"].status.configuration_index)]
    assert any(isinstance(notice, MembershipChanged) and notice.committed for notice in story["C"].notices)
    assert [peer.id for peer in story["A"].status.peers] == ["B"]
    last = story["C"].status.last_index
    story.propose("A", b"x")
    story.settle("ABC")
    assert story["C"].status.last_index == last


def test_removed_node_that_was_far_behind_is_told_too() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for number in range(5):
        story.propose("A", b"%d" % number)
        story.settle("AB")
    story.change("A", ("remove", "C"))
    story.settle("AB")
    story.beat("A", "ABC", 5)
    assert Removed in map(type, story["C"].notices)
    assert [peer.id for peer in story["A"].status.peers] == ["B"]


def test_removed_node_that_does_not_answer_is_forgotten_in_time() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.settle("AB")
    story.beat("A", "AB", 40)
    assert [peer.id for peer in story["A"].status.peers] == ["B", "C"]
    story.beat("A", "AB", 12)
    assert [peer.id for peer in story["A"].status.peers] == ["B"]


def test_learner_that_is_removed_is_told() -> None:
    story = Story("ABC", learners="L")
    story.elect("A", "ABCL")
    story.change("A", ("remove", "L"))
    story.beat("A", "ABCL", 3)
    assert Removed in map(type, story["L"].notices)
    assert [gone.id for gone in story["A"].status.configuration.removed] == ["L"]


def test_removed_node_hears_of_it_though_the_first_word_is_lost() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))

    def committed_and_known_to_be_held() -> bool:
        status = story["A"].status
        held = [peer.match_index for peer in status.peers if peer.id == "C"]
        return status.configuration.voter_ids == ("A", "B") and held != [] and status.commit_index == held[0] > 2

    story.until(committed_and_known_to_be_held, "ABC")
    story.drop(to="C")
    assert Removed not in map(type, story["C"].notices)
    story.settle("AB")
    story.beat("A", "ABC", 3)
    assert Removed in map(type, story["C"].notices)
