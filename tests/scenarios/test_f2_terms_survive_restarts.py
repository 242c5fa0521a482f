"""A cluster that restarts as a whole goes on above every term it ever had.

All three nodes restart with logs that end in term 5. If the stored term were lost, a leader of "term 1" would commit
an entry that looks older than what the others hold, and a node with the longer-looking log would overwrite it.
"""

from rafty_core import Heartbeat
from tests.scenarios.story import Story


def test_leader_after_a_full_restart_leads_a_later_term() -> None:
    story = Story("ABC")
    for name in "ABA":
        story.elect(name, "ABC")
        story.propose(name, b"x")
        story.settle("ABC")
    before = story["A"].status.term
    story.crash("A", "B", "C")
    assert [story[name].status.term for name in "ABC"] == [before] * 3
    story.elect("C", "ABC")
    assert story["C"].status.term == before + 1
    assert story["C"].log == sorted(story["C"].log)
    assert story["C"].disk.term == before + 1


def test_term_learned_from_another_node_is_written() -> None:
    story = Story("ABC", terms={"": 4})
    story.step("B", Heartbeat("A", "B", 5, 0, 1))
    story.persist("B")
    story.crash("B")
    assert story["B"].status.term == 5
