"""The bytes of snapshots on their way: the node that needs them asks for one piece after the other.

Law: *the receiver asks, so that nobody sends faster than it takes; a piece names the one file that it is of.*

These travel as messages do, in the slow lane, and may be lost or repeated like them; the core never sees them. (index,
term, digest) names the file, so that pieces of two snapshots are never put together (fault F84). Of what another node
sends, only numbers name anything on this node's disk (fault F131).
"""

from rafty_core.messages import Value

CHUNK_BYTES = 256 * 1024
"""How many bytes of a snapshot travel in one piece, at most."""


class SnapshotChunkRequest(Value):
    """Asks for the bytes of a snapshot from `offset` on. `digest` is that of the file being received; "" at first."""

    __slots__ = ("sender", "to", "index", "term", "digest", "offset")

    def __init__(self, sender: str, to: str, index: int, term: int, digest: str, offset: int) -> None:
        self.sender = sender
        self.to = to
        self.index = index
        self.term = term
        self.digest = digest
        self.offset = offset


class SnapshotChunk(Value):
    """A piece of a snapshot file of `size` bytes in all. `size` 0: the asked node has no such snapshot (any more)."""

    __slots__ = ("sender", "to", "index", "term", "digest", "size", "offset", "data")

    def __init__(
        self, sender: str, to: str, index: int, term: int, digest: str, size: int, offset: int, data: bytes
    ) -> None:
        self.sender = sender
        self.to = to
        self.index = index
        self.term = term
        self.digest = digest
        self.size = size
        self.offset = offset
        self.data = data
