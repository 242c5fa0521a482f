"""Changes of membership, told as they go: learners first, both halves together, then the new one alone."""

import pytest

from rafty_core import (
    Change,
    ChangeMembership,
    Configuration,
    Lease,
    Member,
    MembershipAnswer,
    NotLeader,
    Status,
)
from rafty_core import TransferLeadership as Transfer
from tests.scenarios.story import Story


def test_voter_is_added_as_a_learner_first() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.join("D")
    story.change("A", ("add_voter", "D"))
    now = story["A"].status.configuration
    assert (now.voter_ids, [member.id for member in now.learners]) == (("A", "B", "C"), ["D"])
    story.settle("ABC")
    assert story["A"].status.configuration.voter_ids == ("A", "B", "C")
    for _ in range(10):
        story.wait(0.1, "A")
        story.settle("ABCD")
    now = story["D"].status.configuration
    assert now == Configuration.of("A", "B", "C", "D") == story["A"].status.configuration
    (answer,) = [answer for answer in story["A"].answers if isinstance(answer, MembershipAnswer)]
    assert (answer.error, answer.configuration) == (None, now)


def test_leader_removes_itself_and_another_takes_over() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.change("A", ("remove", "A"))
    story.settle("ABC")
    assert story["A"].status.role == "follower"
    leaders = [name for name in "BC" if story[name].status.role == "leader"]
    assert len(leaders) == 1
    story.propose(leaders[0], b"x")
    story.settle("BC")
    assert story["B"].applied == story["C"].applied == [b"x"]


def test_voters_are_replaced_in_one_change() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    for name in "DE":
        story.join(name)
    story.change("A", ("remove", "B"), ("remove", "C"), ("add_voter", "D"), ("add_voter", "E"))
    for _ in range(10):
        story.wait(0.1, "A")
        story.settle("ABCDE")
    assert story["E"].status.configuration.voter_ids == ("A", "D", "E")
    assert [gone.id for gone in story["E"].status.configuration.removed] == ["B", "C"]
    assert len(story["A"].status.peers) == 2


def led_by_a(names: str = "ABC", learners: str = "") -> Story:
    story = Story(names, learners=learners)
    story.elect("A", names + learners)
    return story


def refusal(story: Story, *changes: tuple[str, str], **options: object) -> str:
    """The reason with which A refuses this change; nothing is appended."""
    last = story["A"].status.last_index
    story.change("A", *changes, token="refused", **options)
    answer = story["A"].answer("refused")
    assert (answer.configuration, story["A"].status.last_index) == (None, last)
    story["A"].answers.clear()
    return str(answer.error.reason)


def test_change_asked_of_who_does_not_lead() -> None:
    story = led_by_a()
    story.change("B", ("remove", "C"))
    error = story["B"].answer("change").error
    assert isinstance(error, NotLeader)
    assert error.leader == "A"


def test_each_reason_of_a_refusal() -> None:
    story = led_by_a()
    assert refusal(story, ("remove", "X")) == "unknown"
    assert refusal(story, ("update", "X")) == "unknown"
    assert refusal(story, ("remove", "A"), ("remove", "B"), ("remove", "C")) == "no_voters_left"
    assert refusal(story, ("remove", "C"), based_on=7) == "based_on"
    story.step("A", Transfer("t", "B"))
    assert refusal(story, ("remove", "C")) == "transfer"
    story = Story("ABC")
    story.elect("A", "ABC", settle=False)
    assert refusal(story, ("remove", "C")) == "not_ready"
    story.settle("ABC")
    story.change("A", ("remove", "C"))
    assert refusal(story, ("remove", "B")) == "in_progress"
    story.beat("A", "ABC", 2)
    assert refusal(story, ("add_voter", "C")) == "removed"


def test_address_in_use_and_another_life_are_refused() -> None:
    story = led_by_a()
    story.step("A", ChangeMembership("one", [Change("add_learner", Member("L", "l:1", "life-1"))]))
    story.settle("ABC")
    for member, reason in ((Member("M", "l:1"), "address"), (Member("L", "l:1", "life-2"), "exists")):
        story.step("A", ChangeMembership(reason, [Change("add_learner", member)]))
        assert story["A"].answer(reason).error.reason == reason


def test_last_voter_stays() -> None:
    story = led_by_a("A", learners="L")
    assert refusal(story, ("remove", "A")) == "no_voters_left"
    assert refusal(story, ("add_learner", "A")) == "no_voters_left"


def test_majority_of_the_new_voters_must_be_heard_unless_the_change_is_forced() -> None:
    story = led_by_a("ABCDE")
    for _ in range(6):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert refusal(story, ("remove", "B")) == "unreachable"
    assert refusal(story, ("remove", "B"), ("remove", "C")) == "unreachable"
    story.change("A", ("remove", "B"), token="forced", force=True)
    assert story["A"].status.configuration.voter_ids == ("A", "C", "D", "E")
    story.settle("ABC")
    story.beat("A", "ABCD", 2)
    assert story["A"].answer("forced").error is None
    story.change("A", ("remove", "E"), token="dead")
    story.beat("A", "ACD", 2)
    assert story["A"].answer("dead").error is None


def test_change_of_learners_asks_for_no_majority() -> None:
    story = led_by_a()
    story.now += 0.4
    story.change("A", ("add_learner", "L"))
    story.settle("AB")
    assert story["A"].answer("change").error is None


def test_lease_changes_in_one_step_and_all_promise_it() -> None:
    story = led_by_a()
    story.change("A", lease=Lease(3.0, 0.01))
    story.settle("ABC")
    assert story["A"].answer("change").error is None
    assert {status_of(story, name).configuration.lease for name in "ABC"} == {Lease(3.0, 0.01)}
    story.change("A", token="off", lease=None)
    story.settle("ABC")
    assert {status_of(story, name).configuration.lease for name in "ABC"} == {None}


def test_address_changes_in_one_step_and_the_member_stays_what_it_is() -> None:
    story = led_by_a()
    before = {peer.id: peer.match_index for peer in story["A"].status.peers}
    story.step("A", ChangeMembership("move", [Change("update", Member("B", "b:2"))]))
    assert {peer.id: peer.match_index for peer in story["A"].status.peers} == before
    story.settle("ABC")
    assert story["A"].answer("move").error is None
    assert story["C"].status.configuration.member("B") == Member("B", "b:2")
    assert story["C"].status.configuration.voter_ids == ("A", "B", "C")


@pytest.mark.parametrize("members", ["DE", "D", "BDE"])
def test_cluster_moves_to_other_nodes_entirely(members: str) -> None:
    story = led_by_a()
    for name in sorted({*members} - {*"ABC"}):
        story.join(name)
    everyone = "".join(sorted({*"ABC", *members}))
    changes = [("add_voter", name) for name in members] + [("remove", name) for name in "ABC" if name not in members]
    story.propose("A", b"x")
    story.change("A", *changes)
    story.beat("A", everyone, 2)
    assert story["A"].answer("change").error is None
    leader = next(name for name in members if story[name].status.role == "leader")
    assert story[leader].status.configuration.voter_ids == tuple(members)
    story.propose(leader, b"y")
    story.settle(members)
    assert all(story[name].applied == [b"x", b"y"] for name in members)


def status_of(story: Story, name: str) -> Status:
    return story[name].status
