"""A leader changes nothing before an entry of its own term is committed (Ongaro's correction of 2015).

Its log may end with a configuration that nobody committed, or lack one that somebody did. The members that it would
change are then not those that decide.
"""

from rafty_core import NotLeader
from tests.scenarios.story import Story


def test_new_leader_refuses_until_its_own_entry_is_committed() -> None:
    story = Story("ABCD", logs={"": [1]})
    story.join("E")
    story.elect("A", "ABCD", settle=False)
    story.change("A", ("add_voter", "E"), token="early")
    assert story["A"].answer("early").error.reason == "not_ready"
    assert story["A"].log == [1, 2]
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C", "D")
    story.settle("ABCD")
    story.change("A", ("add_voter", "E"))
    story.beat("A", "ABCDE")
    assert story["E"].status.configuration.voter_ids == ("A", "B", "C", "D", "E")


def test_change_that_a_deposed_leader_began_alone_meets_no_other_majority() -> None:
    story = Story("ABCD")
    story.join("E")
    story.elect("A", "ABCD")
    story.change("A", ("add_learner", "E"), token="lost")
    story.persist("A")
    story.drop()
    story.elect("B", "BCD")
    story.change("B", ("remove", "D"), token="done")
    story.beat("B", "BCD", 3)
    assert story["B"].answer("done").error is None
    story.beat("B", "ABC", 3)
    assert story["A"].status.configuration == story["C"].status.configuration
    assert type(story["A"].answer("lost").error).__name__ == "Superseded"
    story.change("A", ("add_learner", "E"), token="later")
    assert isinstance(story["A"].answer("later").error, NotLeader)
