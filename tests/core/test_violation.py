"""Totality: whatever stands in a message, `step` returns, and a message that is refused changes nothing (I27)."""

from random import Random
from typing import Any

import pytest

from rafty_core import (
    AppendEntries,
    Batch,
    Configuration,
    ForwardedProposal,
    ForwardedProposalResponse,
    Heartbeat,
    InstallSnapshot,
    InstallSnapshotResponse,
    Message,
    ReadIndexRequest,
    ReadIndexResponse,
    RequestVote,
    TimeoutNow,
)
from rafty_core import AppendEntriesResponse as Acknowledgement
from rafty_core import HeartbeatResponse as Echo
from rafty_core.messages import MESSAGE_TYPES
from tests.core.contents import contents
from tests.core.test_table import ROLES, node_in
from tests.scenarios.story import Story

NUMBERS: list[Any] = [0, 1, 2, 3, 4, 5, 6, 7, 100, 2**33, 2**63 - 1, 2**63, 2**64, -1, True, 1.0, "3", None, b"", [1]]
SMALL = [0, 1, 2, 3, 4, 5, 6]
NAMES: list[Any] = ["A", "B", "B", "B", "C", "X", "", None, 7, "x" * 100, ["B"]]
ENTRIES: list[Any] = [
    [],
    [b"\x01a"],
    [b"\x00", b"\x01b"],
    [b""],
    [b"\x09"],
    ["text"],
    [None],
    b"\x01a",
    "text",
    ([b"c"],),
]
BOOLS: list[Any] = [True, False, 0, 1, "yes", None]
CLUSTER = Configuration.of("A", "B", "C")
CONFIGURATIONS: list[Any] = [CLUSTER, CLUSTER, CLUSTER, Configuration.of("B"), Configuration(), None, "ABC", 7]


def garbage(random: Random, kind: type[Message]) -> Message:
    """A message of this class that may hold anything a codec lets through, and often something plausible."""
    fields: dict[str, Any] = {}
    for name in kind.__slots__:
        if name == "sender":
            value: Any = random.choice(NAMES)
        elif name == "to":
            value = random.choice(["A"] * 20 + NAMES)
        elif name == "batch":
            batch = Batch(random.choice(SMALL), random.choice(SMALL), random.choice(ENTRIES))
            value = random.choice([None, batch, batch, batch, "batch", Batch(random.choice(NUMBERS), 1, [b"\x01"])])
        elif name in ("commands", "results"):
            value = random.choice(ENTRIES)
        elif name == "configuration":
            value = random.choice(CONFIGURATIONS)
        elif name in ("vote_granted", "success", "transfer", "lease"):
            value = random.choice(BOOLS)
        elif name == "outcome":
            value = random.choice(["applied", "superseded", "not_leader", "overloaded", "unknown", "nonsense", 7, None])
        elif name in ("leader_hint", "reason"):
            value = random.choice(["", "C", "x" * 1000])
        else:
            value = random.choice(NUMBERS if random.random() < 0.2 else SMALL)
        fields[name] = value
    return kind(**fields)


def without_count(story: Story) -> Any:
    kind, fields = contents(story["A"].raft._state)
    return kind, {name: value for name, value in fields.items() if name != "violations"}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("kind", MESSAGE_TYPES)
def test_no_message_raises_and_a_refused_one_changes_nothing(role: Any, kind: type[Message]) -> None:
    random = Random(f"{role.__name__} {kind.__name__}")
    refused = 0
    for _ in range(4):
        story = node_in(role)
        for _ in range(40):
            before, term = without_count(story), story["A"].status.term
            violations, log = story["A"].status.violations, story["A"].log
            output = story.step("A", garbage(random, kind))
            if story["A"].status.violations > violations:
                refused += 1
                assert story["A"].log == log
                if story["A"].status.term == term:
                    assert (without_count(story), output.messages, output.write) == (before, [], None)
    assert refused > 20


WRONG: Any = 7
BROKEN: list[tuple[Message, str]] = [
    (Heartbeat("B", "C", 4, 0, 1), "a message for 'C' came to 'A'"),
    (Heartbeat("A", "A", 4, 0, 1), "a message came from outside under the sender 'A'"),
    (Heartbeat("", "A", 4, 0, 1), "under the sender ''"),
    (Heartbeat("B", "A", 4 + 2**33, 0, 1), "implausibly far above term 4"),
    (Heartbeat("B", "A", 4, 1, 1), "B thinks that entry 1 is here"),
    (AppendEntries("B", "A", 4, 1, 5, 0), "no log has an entry 1 of term 5"),
    (AppendEntries("B", "A", 4, 0, 1, 0), "no log has an entry 0 of term 1"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(2, 4, [b"\x01"])), "entries from 2 do not follow entry 0"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 5, [b"\x01"])), "entries of term 5 between terms 0 and 4"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 0, [b"\x01"])), "entries of term 0 between terms 0 and 4"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 4, [])), "a batch at 1 has 0 entries"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 4, [b"\x07"])), "an entry is not bytes of a known kind"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 4, [b""])), "an entry is not bytes of a known kind"),
    (ForwardedProposal("B", "A", 4, 1, 1, []), "a forwarded proposal brings no commands"),
    (ForwardedProposalResponse("B", "A", 4, 1, 1, "done"), "'done' is no outcome of a proposal"),
    (ForwardedProposalResponse("B", "A", 4, 1, 1, "applied", reason=WRONG), "the reason of an outcome is no text"),
    (AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 4, [b"\x02garbage"])), "an entry holds no configuration: "),
    (
        AppendEntries("B", "A", 4, 0, 0, 0, Batch(1, 4, [b"\x00", b"\x02" + Configuration().encode()])),
        "an entry holds a configuration without voters",
    ),
    (RequestVote("B", "A", 4, 0, 0, WRONG), "7 does not say whether the leader asked for the election"),
    (ReadIndexRequest("B", "A", 4, 1, 1, WRONG), "7 does not say whether the lease is good enough"),
    (ReadIndexRequest("B", "A", 0, 1, 1, False), "nobody leads, stands or votes in term 0"),
    (ReadIndexResponse("B", "A", 4, 1, 1, -1), "-1 is no number of a ReadIndexResponse"),
    (TimeoutNow("B", "A", 0), "nobody leads, stands or votes in term 0, as this TimeoutNow says"),
    (InstallSnapshot("B", "A", 0, 1, 1, CLUSTER), "nobody leads, stands or votes in term 0"),
    (InstallSnapshot("B", "A", 4, 0, 1, CLUSTER), "no snapshot ends with entry 0 of term 1"),
    (InstallSnapshot("B", "A", 4, 1, 0, CLUSTER), "no snapshot ends with entry 1 of term 0"),
    (InstallSnapshot("B", "A", 4, 1, 5, CLUSTER), "no snapshot ends with entry 1 of term 5"),
    (InstallSnapshot("B", "A", 4, True, 1, CLUSTER), "True is no number of a InstallSnapshot"),
    (InstallSnapshot("B", "A", 4, 1, 1, WRONG), "a snapshot comes without a configuration"),
    (InstallSnapshot("B", "A", 4, 1, 1, Configuration()), "a snapshot comes with a configuration without voters"),
    (InstallSnapshotResponse("B", "A", 4, 2**64), "is no number of a InstallSnapshotResponse"),
]


@pytest.mark.parametrize(("message", "text"), BROKEN, ids=[text for _, text in BROKEN])
def test_broken_message_is_named(message: Message, text: str) -> None:
    story = Story("ABC", terms={"": 4})
    (notice,) = story.step("A", message).notices
    assert text in notice.text  # type: ignore[union-attr]


def test_follower_cannot_know_what_its_leader_does_not() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    (notice,) = story.step("A", Acknowledgement("B", "A", 1, True, 9)).notices
    assert notice.text == "B acknowledges entry 9, which does not exist"  # type: ignore[union-attr]
    (notice,) = story.step("A", Echo("B", "A", 1, 9)).notices
    assert notice.text == "B answers round 9, which has not begun"  # type: ignore[union-attr]


def test_stranger_is_of_no_use_and_no_harm() -> None:
    story = Story("ABC")
    story.elect("A", "ABC")
    before = without_count(story)
    output = story.step("A", Acknowledgement("X", "A", 1, True, 1), Echo("X", "A", 1, 0))
    assert (output.messages, output.notices, without_count(story)) == ([], [], before)
