"""An installed snapshot brings its configuration, whatever configuration the log had behind it.

C holds a configuration that an old leader appended at index 8 and never committed: C alone. The snapshot of the cluster
{A, B, C} at index 6 takes the place of that log. If C kept its configuration, it would elect itself.
"""

from rafty_core import AppendEntries, Batch, Campaign, Configuration, InstallSnapshot, SnapshotReceived
from tests.scenarios.story import Story

ALONE = b"\x02" + Configuration.of("C").encode()


def test_configuration_behind_the_snapshot_goes_with_its_log() -> None:
    story = Story("ABC")
    cluster = story["C"].status.configuration
    entries = [b"\x00", *[b"\x01x"] * 6, ALONE, b"\x01y"]
    story.step("C", AppendEntries("B", "C", 1, 0, 0, 0, Batch(1, 1, entries)))
    story.persist("C")
    assert story["C"].status.configuration.voter_ids == ("C",)
    story.step("C", InstallSnapshot("A", "C", 2, 6, 2, cluster))
    story.step("C", SnapshotReceived(6, 2))
    story.persist("C")
    story.drop()
    assert story["C"].status.configuration == cluster
    assert story["C"].status.configuration_index == cluster.index == 0
    for _ in range(2):
        story.now += 1.0
        story.step("C", Campaign())
        story.persist("C")
        assert story["C"].status.role != "leader"
        story["C"].images[6] = []
        story.crash("C")
        assert story["C"].status.configuration == cluster


def test_configuration_behind_a_snapshot_that_the_log_leads_to_stays() -> None:
    story = Story("ABC")
    cluster = story["C"].status.configuration
    story.step("C", AppendEntries("A", "C", 1, 0, 0, 0, Batch(1, 1, [b"\x00", b"\x01x", ALONE])))
    story.step("C", InstallSnapshot("A", "C", 1, 2, 1, cluster))
    assert story["C"].status.configuration.voter_ids == ("C",)
    assert (story["C"].status.commit_index, story["C"].fetch) == (2, None)
