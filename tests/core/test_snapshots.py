"""Snapshots: taken, offered, fetched, installed."""

from collections.abc import Callable

import pytest

from rafty_core import (
    AppendEntriesResponse,
    Applied,
    Batch,
    Config,
    Configuration,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    InstallSnapshot,
    OutcomeUnknown,
    Raft,
    RequestVoteResponse,
    Restore,
    Snapshot,
    SnapshotReceived,
    SnapshotTaken,
    Stable,
)
from rafty_core.output import SnapshotChanged
from rafty_core.reads import confirm
from rafty_core.replication import advance_commit, send_appends
from rafty_core.snapshots import offer_snapshots
from rafty_core.state import State
from tests.core.contents import contents
from tests.scenarios.behind import begin_to_fetch, left_behind
from tests.scenarios.story import Chance, Story


def test_follower_far_behind_gets_the_snapshot_and_goes_on_by_the_log() -> None:
    story = Story("ABC", settings={"max_retained_bytes": 1})
    story.elect("A", "ABC")
    for number in range(5):
        story.propose("A", b"%d" % number)
        story.settle("AB")
    story.take_snapshot("A")
    assert story["A"].status.first_index == story["A"].status.commit_index + 1
    story.settle("AB")
    story.propose("A", b"more")
    story.settle("AB")
    for _ in range(4):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert story["C"].applied == story["A"].applied == [b"0", b"1", b"2", b"3", b"4", b"more"]
    assert story["C"].status.snapshot_index == 6
    assert story.sent(InstallSnapshot) == []
    story.crash("C")
    assert story["C"].status.snapshot_index == 6
    assert story["C"].applied == [b"0", b"1", b"2", b"3", b"4"]


def test_snapshot_taken_and_log_compacted_in_one_write() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.propose("A", b"x")
    story.settle("A")
    output = story.take_snapshot("A", compact_to=1)
    assert output.write is not None
    assert (output.write.snapshot, output.write.compact_to) == (Snapshot(2, 1, story["A"].status.configuration), 1)
    assert output.notices == [SnapshotChanged(2, 1, False)]
    assert story["A"].status.first_index == 2


def test_older_snapshot_changes_nothing() -> None:
    story = Story("A")
    story.elect("A", "A")
    story.propose("A", b"x")
    story.settle("A")
    story.take_snapshot("A")
    output = story.step("A", SnapshotTaken(1))
    assert (output.write, output.notices) == (None, [])


def test_installed_snapshot_is_acknowledged_when_it_is_durable_and_not_before() -> None:
    """Invariant I9: what was acknowledged survives a power failure."""
    story = left_behind()
    begin_to_fetch(story)
    output = story.receive_snapshot("C")
    assert output.notices[0] == SnapshotChanged(6, 1, True)
    assert [message for message in output.messages if message.match_index > 1] == []  # type: ignore[union-attr]
    story.wait(0.1, "A", "C")
    story.deliver()
    assert [answer.match_index for answer in story.sent(AppendEntriesResponse) if answer.match_index > 1] == []
    story.persist("C")
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("C", "A", 1, True, 6)


def test_crash_before_the_installing_write_leaves_the_old_state_and_a_new_fetch() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.receive_snapshot("C")
    story.crash("C")
    assert (story["C"].status.snapshot_index, story["C"].status.last_index) == (0, 1)
    for _ in range(4):
        story.wait(0.1, "A")
        story.settle("ABC")
    assert story["C"].applied == story["A"].applied


def test_crash_after_the_installing_write_starts_from_the_snapshot() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.receive_snapshot("C")
    story.persist("C", confirm=False)
    story.crash("C")
    assert (story["C"].status.snapshot_index, story["C"].status.first_index, story["C"].applied) == (
        6,
        7,
        story["A"].applied,
    )


def test_state_machine_that_is_behind_the_snapshot_is_restored_first() -> None:
    stable = Stable(3, None, Snapshot(6, 2, Configuration.of("A")), [Batch(7, 3, [b"\x01x"])])
    raft = Raft(Config(id="A"), stable, random=Chance(0.5), now=0.0, applied=4)
    assert raft.step(0.0).apply == [Restore(6, 2)]
    assert raft.step(0.1).apply == []
    assert (raft.applied_index, raft.status().commit_index) == (4, 6)
    raft.step(0.2, Applied(6))
    assert raft.snapshot() == stable.snapshot


def test_snapshot_that_arrives_when_nobody_leads_is_installed_and_not_acknowledged() -> None:
    story = left_behind()
    begin_to_fetch(story)
    story.step("C", RequestVoteResponse("B", "C", 5, False))
    assert (story["C"].status.role, story["C"].status.leader) == ("follower", None)
    story.receive_snapshot("C")
    story.persist("C")
    assert story["C"].status.snapshot_index == 6
    assert story.sent(AppendEntriesResponse) == []


def test_change_of_leader_while_a_snapshot_is_fetched() -> None:
    """What the deposed leader's snapshot holds is committed, so it is right under the new leader too."""
    story = left_behind()
    begin_to_fetch(story)
    story.elect("B", "AB")
    story.wait(0.1, "B")
    story.deliver(Heartbeat, to="C")
    assert story["C"].status.leader == "B"
    story.drop()
    story.receive_snapshot("C")
    story.persist("C")
    assert story.sent(AppendEntriesResponse)[-1] == AppendEntriesResponse("C", "B", 2, True, 6)
    for _ in range(4):
        story.wait(0.1, "B")
        story.settle("ABC")
    assert story["C"].applied == story["B"].applied
    assert story["C"].log[-1] == 2


def test_log_goes_up_to_the_snapshot_when_every_follower_has_it() -> None:
    story = Story("AB")
    story.elect("A", "AB")
    for number in range(3):
        story.propose("A", b"%d" % number)
        story.settle("AB")
    story.take_snapshot("A")
    assert (story["A"].status.first_index, story["A"].status.snapshot_index) == (5, 4)


def test_proposals_that_a_snapshot_covers_are_answered_as_unknown() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    story.propose("A", b"mine", token="mine")
    story.step("A", ForwardedProposal("B", "A", 1, 1, 1, [b"theirs"]))
    story.persist("A")
    story.drop()
    story.step("A", InstallSnapshot("C", "A", 2, 9, 2, story["A"].status.configuration))
    story["A"].images[9] = []
    output = story.step("A", SnapshotReceived(9, 2))
    assert isinstance(story["A"].answer("mine").error, OutcomeUnknown)
    (response,) = (message for message in output.messages if isinstance(message, ForwardedProposalResponse))
    assert (response.to, response.sequence, response.outcome) == ("B", 1, "unknown")


def test_state_machine_that_is_ahead_of_the_log_is_refused() -> None:
    stable = Stable(3, None, Snapshot(6, 2, Configuration.of("A")), [Batch(7, 3, [b"\x01x"])])
    with pytest.raises(ValueError, match="the state machine has applied entry 8, and the log ends at 7"):
        Raft(Config(id="A"), stable, random=Chance(0.5), now=0.0, applied=8)
    assert Raft(Config(id="A"), stable, random=Chance(0.5), now=0.0, applied=7).status().commit_index == 7


@pytest.mark.parametrize("rule", [offer_snapshots, confirm, advance_commit, send_appends])
def test_rules_of_a_leader_do_nothing_at_a_follower(rule: Callable[[State], None]) -> None:
    story = Story("ABC")
    before = contents(story["A"].raft._state)
    rule(story["A"].raft._state)
    assert contents(story["A"].raft._state) == before
