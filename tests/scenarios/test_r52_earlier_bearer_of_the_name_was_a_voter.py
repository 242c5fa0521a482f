"""R52: a node that joins under the name of a removed member does not lead by that one's configurations.

Found by simulation (seed 308): n1 had been the only voter once, was replaced, and came back under its name with an
empty data directory, as a learner. On its way through the log it came by the configuration in which "n1" alone votes,
did not hear its leader for a while, elected itself at once, and committed what was never decided.
"""

import pytest

from rafty_core import AppendEntries, Batch, Campaign, Config, Configuration, Member, Raft, Stable
from rafty_core.entries import CONFIGURATION, NO_OP
from tests.scenarios.story import Chance


def joined(incarnation: str, *configurations: Configuration) -> Raft:
    """A node named A that joined under this incarnation, and got these configurations from B, which leads term 3."""
    raft = Raft(Config(id="A", incarnation=incarnation), Stable(), random=Chance(0.5), now=0.0)
    entries = [NO_OP, *(CONFIGURATION + configuration.encode() for configuration in configurations)]
    raft.step(1.0, AppendEntries("B", "A", 3, 0, 0, 0, Batch(1, 1, entries)))
    return raft


OTHER = Configuration(voters=(Member("A", "", "first"),))
BOOTSTRAPPED = Configuration(voters=(Member("A"),))
OUTGOING = Configuration(voters=(Member("B"),), outgoing=(Member("A", "", "first"),))


@pytest.mark.parametrize("configuration", [OTHER, BOOTSTRAPPED, OUTGOING], ids=["other", "bootstrapped", "outgoing"])
def test_r52_earlier_bearer_of_the_name_was_a_voter(configuration: Configuration) -> None:
    raft = joined("second", configuration)
    raft.step(10.0, Campaign())
    assert (raft.status().role, raft.deadline) == ("follower", float("inf"))


def test_r52_node_that_the_configuration_means_stands_for_election() -> None:
    for raft in (joined("first", OTHER), joined("first", OUTGOING), joined("", BOOTSTRAPPED), joined("", OTHER)):
        raft.step(10.0, Campaign())
        assert raft.status().role in ("pre_candidate", "candidate")
