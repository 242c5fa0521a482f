"""One chain of faults after the other, in a cluster to which nothing else happens.

Law: *a long chain holds only where nobody else pulls at it.*

While all faults last, a leader seldom leads for as long as such a chain takes. So some are tried once more when the
others have stopped, all nodes work, and clients are quiet; then the cluster must be well again.
"""

from collections.abc import Callable
from functools import partial

from rafty_core.simulation.behind import halt, late_appends, leave_behind_twice
from rafty_core.simulation.churn import Churn
from rafty_core.simulation.cluster import Cluster
from rafty_core.simulation.hand import Hand
from rafty_core.simulation.intrigues import Intrigues
from rafty_core.simulation.node import SimulatedNode
from rafty_core.simulation.stories import Stories

LENGTH = 5.0
"""Seconds after which every one of them has come to its end."""

MOST = 2
"""So many are tried in a run."""


class Trials:
    """Tries them: `begin` one, let the world go on, `end` it, and repair what is broken."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster, self.world = cluster, cluster.world
        self._hand = Hand(cluster)

    def begin(self, leader: SimulatedNode) -> None:
        """Begin one that makes sense with the options of this run."""
        self.cluster.over = False
        kind = self.world.random.choice(self._kinds(leader))
        self.world.note("nemesis", "tries:", getattr(kind, "func", kind).__name__.strip("_"))
        kind()

    def begin_long(self, leader: SimulatedNode, chain: Callable[[Hand, SimulatedNode], None]) -> None:
        """Begin this one."""
        self.cluster.over = False
        chain(self._hand, leader)

    def end(self) -> None:
        """Nothing of it goes on."""
        self.cluster.over = self._hand.stopped = True

    def _kinds(self, leader: SimulatedNode) -> list[Callable[[], object]]:
        cluster, options, churn = self.cluster, self.cluster.options, Churn(self._hand)
        intrigues = Intrigues(self._hand, churn, Stories(self._hand))
        kinds: list[Callable[[], object]] = [partial(kind, leader) for kind in intrigues.kinds]
        if options.churn_interval:
            kinds.append(partial(intrigues.remove_and_return, leader))
        if options.snapshot_interval:
            kinds += [partial(story, cluster) for story in (halt, halt, late_appends, late_appends)]
            kinds += [partial(leave_behind_twice, cluster)] * 2
            if options.churn_interval:
                kinds.append(partial(churn.strand_with_change, leader))
        return kinds
