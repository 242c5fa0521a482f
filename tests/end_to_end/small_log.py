"""`rafty` as it is shipped, but for the size at which a node shortens its log: a test cannot wait for 64 MiB.

Law: *nothing else is changed*. Two arguments stand before those of `rafty`: the bytes of log after which a snapshot is
taken, and how many entries stay before it.
"""

import sys
from functools import partial

from rafty_transports import serve
from rafty_transports.cli import main
from rafty_transports.compaction import SnapshotPolicy
from rafty_transports.node import Node

if __name__ == "__main__":
    policy = SnapshotPolicy(log_bytes=int(sys.argv[1]), trailing_entries=int(sys.argv[2]))
    setattr(serve, "Node", partial(Node, snapshots=policy))  # noqa: B010
    sys.exit(main(sys.argv[3:]))
