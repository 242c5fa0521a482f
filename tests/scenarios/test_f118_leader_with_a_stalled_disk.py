"""A leader whose disk stalls keeps its heartbeats, and so its office, but can apply nothing and answers nobody.

The followers are a majority and commit without it; but it applies only what is durable at home, and so every proposal
ends unknown. It steps down when a write has been under way for an election timeout, and another node leads.
"""

from rafty_core import HeartbeatResponse
from tests.scenarios.story import Story


def test_leader_whose_write_does_not_return_steps_down() -> None:
    story = Story("ABC", settings={"election_timeout": 0.5})
    story.elect("A", "ABC")
    story.propose("A", b"x")  # the write is asked for, and never returns
    for _ in range(4):
        story.wait(0.1, "A")
        story.deliver(to="B")
        story.deliver(to="C")
        story.deliver(HeartbeatResponse)
    assert story["A"].status.role == "leader"
    assert story["A"].raft.deadline <= story.now + 0.1 + 1e-9
    for _ in range(2):
        story.wait(0.1, "A")
        story.deliver(to="B")
        story.deliver(to="C")
        story.deliver(HeartbeatResponse)
    assert story["A"].status.role == "follower"


def test_leader_with_a_stalled_disk_accepts_a_bounded_amount() -> None:
    story = Story("ABC", settings={"max_uncommitted_bytes": 500})
    story.elect("A", "ABC")
    for token in range(1, 10):
        story.propose("A", bytes(100), token=token)
        for follower in "BC":
            story.deliver(to=follower)
            story.persist(follower)
        story.deliver(to="A")
    assert story["A"].status.commit_index > story["A"].status.durable_index
    assert "Overloaded" in type(story["A"].answer(9).error).__name__
