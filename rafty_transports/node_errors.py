"""How a node ends that cannot go on.

Law: *the error that leaves a node says what broke, and has it as its cause.*
"""

from rafty_transports.interfaces import RemovedFromCluster


class NodeFailed(Exception):
    """The node stopped because something broke that it cannot go on without; `__cause__` is what broke."""


class NodeRemoved(NodeFailed):
    """The node stopped because it was removed from the cluster. It never returns with this data directory."""


def raise_failure(node_id: str, failure: BaseException | None) -> None:
    """Raise what leaves the node that stopped for this reason; nothing if there is none."""
    if isinstance(failure, RemovedFromCluster):
        raise NodeRemoved(f"node {node_id} stopped: {failure}") from failure
    if failure is not None:
        raise NodeFailed(f"node {node_id} failed: {failure}") from failure
