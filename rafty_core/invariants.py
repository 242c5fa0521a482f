"""What always holds, checked on running nodes: each invariant by its number, with its law.

Law: *an invariant looks at states and at what leaves, never at how a rule works*: so a rule and its check cannot err
together.

`NodeInvariants` compares one node with itself before a step. `ClusterInvariants` sees all nodes, what their disks
really hold, and a ghost history that survives every crash and every compaction: who led each term, what followed which
entry, what was ever committed under which configuration, and for whom each vote was given. All of it is for tests and
simulations, and changes nothing.
"""

from rafty_core.cluster_invariants import ClusterInvariants
from rafty_core.history import InvariantViolation
from rafty_core.node_invariants import NodeInvariants, require, state_of

__all__ = ["ClusterInvariants", "InvariantViolation", "NodeInvariants", "require", "state_of"]
