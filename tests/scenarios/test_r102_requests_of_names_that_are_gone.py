"""What a removed node asked is not remembered for ever: not against its name's new life, not against other nodes.

B led, and remembers requests of C in boot 9. Under another leader C is removed and comes back empty, in boot 1. When B
leads again it must accept what the new C asks. And where names never return, as with machines that are replaced, each
leaves something behind; when the table is full of those, nobody new could propose through this leader any more.
"""

from rafty_core import Change, ChangeMembership, ForwardedProposal, Member
from rafty_core.pending import MOST_ORIGINS
from tests.scenarios.story import Story


def forward(story: Story, sender: str, leader: str, boot: int, command: bytes) -> None:
    story.step(leader, ForwardedProposal(sender, leader, story[leader].status.term, boot, 1, [command]))


def test_r102_new_life_is_new_to_every_node() -> None:
    story = Story("ABC")
    story.elect("B", "ABC")
    forward(story, "C", "B", 9, b"old life")
    story.settle("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "C"))
    story.settle("AB")
    story.step("A", ChangeMembership("back", [Change("add_learner", Member("C", "", "new life"))]))
    story.settle("AB")
    story.elect("B", "AB")
    forward(story, "C", "B", 1, b"new life")
    story.settle("AB")
    assert story["B"].applied == [b"old life", b"new life"]


def test_r102_new_life_is_new_to_a_node_that_hears_of_both_changes_at_once() -> None:
    story = Story("ABCD")
    story.elect("B", "ABCD")
    forward(story, "C", "B", 9, b"old life")
    story.settle("ABCD")
    story.elect("A", "ACD")
    story.change("A", ("remove", "C"))
    story.settle("ACD")
    story.step("A", ChangeMembership("back", [Change("add_learner", Member("C", "", "new life"))]))
    story.settle("AD")
    story.wait(0.1, "A")
    for _ in range(5):
        story.step("B", *story.drop(to="B"))
        story.persist("B")
        story.deliver(to="A")
    assert story["B"].status.last_index == story["A"].status.last_index
    story.settle("ABD")
    story.elect("B", "ABD")
    forward(story, "C", "B", 1, b"new life")
    story.settle("ABD")
    assert story["B"].applied == [b"old life", b"new life"]


def test_r102_many_names_leave_nothing_behind() -> None:
    story = Story("A")
    story.elect("A", "A")
    for number in range(MOST_ORIGINS + 1):
        name = f"n{number}"
        story.step("A", ChangeMembership(f"add {name}", [Change("add_learner", Member(name, "", "life"))]))
        story.settle("A")
        forward(story, name, "A", 1, b"%d" % number)
        story.settle("A")
        assert story["A"].applied[-1:] == [b"%d" % number]
        story.step("A", ChangeMembership(f"remove {name}", [Change("remove", Member(name))]))
        story.settle("A")


def test_r102_late_copy_of_a_removed_node_is_not_accepted() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.step("A", ChangeMembership("add", [Change("add_learner", Member("D", "", "life"))]))
    story.settle("A")
    forward(story, "D", "A", 1, b"once")
    story.settle("A")
    story.step("A", ChangeMembership("remove", [Change("remove", Member("D"))]))
    story.settle("A")
    forward(story, "D", "A", 1, b"once")
    story.settle("A")
    assert story["A"].applied == [b"once"]
