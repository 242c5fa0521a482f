"""A change is answered when its last configuration is committed, once, and by the node that was asked.

Not when the joint configuration is; and also if the node that was asked does not lead any more by then.
"""

from rafty_core import Configuration, MembershipAnswer
from tests.scenarios.story import Story


def test_answer_comes_with_the_commit_of_the_final_configuration() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"), ("remove", "C"))
    committed: list[Configuration] = []

    def answered() -> bool:
        settled = story["A"].raft.committed_configuration
        if not committed or committed[-1] != settled:
            committed.append(settled)
        return bool(story["A"].answers)

    story.until(answered, "ABCD")
    assert [(found.is_joint, found.goal is not None) for found in committed] == [
        (False, False),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert committed[-1].voter_ids == ("A", "B", "D")
    story.beat("A", "ABCD", 3)
    assert [answer for answer in story["A"].answers if isinstance(answer, MembershipAnswer)] == [
        MembershipAnswer("change", committed[-1])
    ]


def test_deposed_leader_answers_when_its_successor_has_done_it() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    story.until(lambda: story["B"].status.configuration.is_joint and not story["B"].writes, "ABCD")
    story.drop()
    story.elect("B", "BCD", settle=False)
    story.settle("BCD")
    assert story["A"].answers == []
    story.beat("B", "ABCD", 3)
    assert story["A"].answer("change") == MembershipAnswer("change", Configuration.of("A", "B", "C", "D"))


def test_change_that_another_entry_replaced_is_superseded() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.persist("A")
    story.drop()
    story.elect("B", "BC")
    story.beat("B", "ABC", 2)
    answer = story["A"].answer("change")
    assert (type(answer.error).__name__, answer.configuration) == ("Superseded", None)


def test_change_that_changes_nothing_is_answered_at_once() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    last = story["A"].status.last_index
    story.change("A", ("add_voter", "B"))
    assert story["A"].answer("change") == MembershipAnswer("change", Configuration.of("A", "B", "C"))
    assert story["A"].status.last_index == last
