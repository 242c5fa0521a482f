"""Every kind of message, event and notice has its sentence."""

from typing import get_args

import pytest

from rafty_core.changes import Change
from rafty_core.configuration import Configuration, Member
from rafty_core.entries import Batch
from rafty_core.events import (
    LOCAL_EVENT_TYPES,
    Applied,
    Campaign,
    ChangeMembership,
    Event,
    PeerUnreachable,
    Persisted,
    Propose,
    Read,
    SnapshotFailed,
    SnapshotReceived,
    SnapshotTaken,
    TransferLeadership,
)
from rafty_core.explain import SENTENCES, describe, explain
from rafty_core.messages import (
    MESSAGE_TYPES,
    AppendEntries,
    AppendEntriesResponse,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    InstallSnapshotResponse,
    PreVote,
    PreVoteResponse,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from rafty_core.output import (
    LeaderChanged,
    MembershipChanged,
    Notice,
    PeerContact,
    ProtocolViolation,
    Removed,
    RoleChanged,
    SnapshotChanged,
)


def test_every_kind_has_a_sentence() -> None:
    assert set(SENTENCES) == {*MESSAGE_TYPES, *LOCAL_EVENT_TYPES, *get_args(Notice)}


def test_sentences_say_what_matters() -> None:
    assert explain(RequestVote("n1", "n2", 5, 7, 4)) == (
        "n1 asks n2 for its vote in term 5; its log ends with entry 7 of term 4"
    )
    assert explain(PreVoteResponse("n2", "n1", 4, 5, False)) == "n2, in term 4, refuses n1 a pre-vote for 5"
    batch = Batch(8, 5, [b"\x01a", b"\x01b"])
    assert "entries 8 to 9 of term 5 after entry 7 of term 4" in explain(AppendEntries("n1", "n2", 5, 7, 4, 6, batch))
    assert "nothing new after entry 7" in explain(AppendEntries("n1", "n2", 5, 7, 4, 6))
    assert explain(AppendEntriesResponse("n2", "n1", 5, True, 9)).endswith("holds everything up to 9")
    assert "may agree up to entry 3 of term 2" in explain(AppendEntriesResponse("n2", "n1", 5, False, 7, 3, 2))
    assert explain(LeaderChanged(None, 5)) == "knows no leader in term 5"
    assert explain(LeaderChanged("n1", 5)) == "follows n1"
    assert explain(PeerContact("n3", False)) == "hears nothing of n3 any more"
    assert explain(PeerContact("n3", True)) == "hears n3 again"


CLUSTER = Configuration(
    voters=(Member("n1"), Member("n2")), outgoing=(Member("n1"), Member("n3")), learners=(Member("n4"),)
)

NEW: list[tuple[Event | Notice, str]] = [
    (RequestVote("n1", "n2", 5, 7, 4, True), "for its vote in term 5, as its leader asked it to; its log ends"),
    (
        InstallSnapshot("n1", "n2", 5, 9, 4, CLUSTER),
        "n1, leader of term 5, offers n2 its snapshot up to entry 9 of term 4",
    ),
    (InstallSnapshotResponse("n2", "n1", 5, 9), "n2 tells n1 in term 5 that the snapshot at 9 is not installed"),
    (TimeoutNow("n1", "n2", 5), "n1, leader of term 5, asks n2 to take over"),
    (
        ReadIndexRequest("n2", "n1", 5, 3, 8, False),
        "n2 asks n1, leader of term 5, from where on it may read, as request 3.8",
    ),
    (ReadIndexResponse("n1", "n2", 5, 3, 8, 6), "n1 tells n2 that the reads of request 3.8 are right from 6 on"),
    (ReadIndexResponse("n1", "n2", 5, 3, 8, 0), "n1 tells n2 that it cannot confirm the reads of request 3.8"),
    (Read(1, "at_least", 5), "the application asks for a read, at least"),
    (
        ChangeMembership(1, [Change("add_voter", Member("n4")), Change("remove", Member("n1"))]),
        "the application asks for a change of members: add voter n4, remove n1",
    ),
    (ChangeMembership(1, []), "the application asks for a change of members: nothing"),
    (TransferLeadership(1), "the application asks to transfer leadership to the best voter"),
    (TransferLeadership(1, "n2"), "the application asks to transfer leadership to n2"),
    (SnapshotTaken(9), "a snapshot at 9 is durable"),
    (SnapshotReceived(9, 4), "the snapshot at 9 is here"),
    (SnapshotFailed(9, 4), "the snapshot at 9 cannot be had"),
    (SnapshotChanged(9, 4, True), "installed a snapshot at 9"),
    (SnapshotChanged(9, 4, False), "took a snapshot at 9"),
    (Removed(9), "was removed from the cluster by the configuration at index 9"),
    (
        MembershipChanged(9, CLUSTER, False),
        "has a configuration at index 9 (in force, not committed yet): voters n1, n2; outgoing voters n1, n3; "
        "learners n4",
    ),
    (MembershipChanged(9, Configuration(), True), "has a configuration at index 9 (committed): nobody"),
]


@pytest.mark.parametrize(("what", "sentence"), NEW, ids=[sentence for _, sentence in NEW])
def test_sentences_of_members_snapshots_reads_and_transfer(what: Event | Notice, sentence: str) -> None:
    assert sentence in explain(what)
    assert not explain(what).endswith(".")


def test_configuration_on_its_way_says_where() -> None:
    now = Configuration(voters=(Member("n1"),), learners=(Member("n2"),), goal=Configuration.of("n1", "n2"))
    assert describe(now) == "voters n1; learners n2; on the way to voters n1, n2"


def test_every_remaining_kind_speaks() -> None:
    said = [
        explain(what)
        for what in (
            Campaign(),
            Persisted(3),
            Applied(4),
            PeerUnreachable("n2"),
            Propose(1, [b"x"]),
            RoleChanged("leader", 5),
            ProtocolViolation("n2", "it lies"),
            Heartbeat("n1", "n2", 5, 3, 8),
            HeartbeatResponse("n2", "n1", 5, 8),
            PreVote("n1", "n2", 5, 7, 4),
            RequestVoteResponse("n2", "n1", 5, True),
            ForwardedProposal("n2", "n1", 5, 3, 8, [b"x"]),
            ForwardedProposalResponse("n1", "n2", 5, 3, 8, "applied"),
        )
    ]
    assert said == [
        "the application calls for an election",
        "writes up to number 3 are durable",
        "entries up to 4 are applied",
        "messages to n2 were lost",
        "the application proposes 1 command",
        "is leader in term 5",
        "refuses a message of n2: it lies",
        "n1, leader of term 5, is alive (round 8) and tells n2 of commits up to 3",
        "n2 has heard round 8 of n1 in term 5",
        "n1 asks n2 whether it could win term 5; its log ends with entry 7 of term 4",
        "n2 grants n1 its vote in term 5",
        "n2 forwards 1 command to n1 for term 5 as request 3.8",
        "n1 tells n2 that request 3.8 is applied",
    ]
