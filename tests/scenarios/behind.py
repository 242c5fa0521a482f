"""A follower that lacks what its leader has compacted: the situation in which most stories of snapshots begin."""

from rafty_core import Fetch, HeartbeatResponse, InstallSnapshot
from rafty_core.messages import Heartbeat
from tests.scenarios.story import Story


def left_behind(commands: int = 5, *, max_retained_bytes: int = 1, silent: bool = False) -> Story:
    """A leads term 1 and has committed `commands` with B, behind its no-op; C holds the no-op alone. A has taken a
    snapshot of everything, and has nothing else left: C lacks too much, or is `silent` for the time being."""
    story = Story("ABC", settings={"max_retained_bytes": max_retained_bytes})
    story.elect("A", "ABC")
    write(story, commands)
    for _ in range(6 if silent else 0):
        story.wait(0.1, "A")
        story.settle("AB")
    story.take_snapshot("A")
    story.settle("AB")
    return story


def write(story: Story, commands: int) -> None:
    """A commits more with B; C hears nothing."""
    for _ in range(commands):
        story.propose("A", b"%d" % story["A"].status.last_index)
        story.settle("AB")


def beat(story: Story, name: str = "C") -> None:
    """A heartbeat interval later A beats, and this follower answers; what follows from that is in the air."""
    story.wait(0.1, "A")
    story.deliver(Heartbeat, to=name)
    story.deliver(HeartbeatResponse, sender=name)


def offer(story: Story, name: str = "C") -> InstallSnapshot:
    """A finds out what this follower lacks; returns its offer, which is taken out of the air."""
    for _ in range(5):
        beat(story, name)
        for _ in range(4):
            offers = story.sent(InstallSnapshot, to=name)
            if offers:
                story.drop()
                return offers[-1]
            story.deliver()
    raise AssertionError(f"{name} is offered nothing")


def begin_to_fetch(story: Story, name: str = "C") -> Fetch:
    """This follower was offered A's snapshot and fetches it."""
    story.step(name, offer(story, name))
    fetch = story[name].fetch
    assert fetch is not None
    return fetch
