"""What can be wrong with a store, as exceptions a caller can tell apart.

Law: *each error says in its text what is wrong and what to do; no error of a library leaves a store.*

All but `DamagedSnapshot` are fatal for the node that meets them: a store that knows less than it promised never votes.
A damaged snapshot is fatal where the node needs it, and harmless where it can have another. Errors of opening
a store leave everything in the data directory as it was.
"""


class StoreError(Exception):
    """The store cannot do what was asked."""


class DataDirectoryInUse(StoreError):
    """Another process has this data directory open (fault F117)."""


class DataDirectoryUnusable(StoreError):
    """No data directory is there and none could be made: missing, not a directory, not writable, or not empty."""


class WrongDataDirectory(StoreError):
    """The data directory belongs to another node, or to another cluster, or to one bootstrapped differently."""


class UnknownFormat(StoreError):
    """The data directory was written in a format that this version of rafty does not know."""


class CorruptStore(StoreError):
    """What is stored is damaged; nothing was repaired and nothing was dropped."""


class LostWrites(CorruptStore):
    """The store knows less than it once promised: durable writes are gone (faults F116, F147)."""


class DamagedSnapshot(StoreError):
    """A snapshot, or a backup, is not whole, not what it should be, or of another cluster (fault F83)."""


class WriteRefused(StoreError):
    """A write came out of order, left a gap in the log, or took back a term or a vote: a mistake of the caller."""


class WriteFailed(StoreError):
    """The disk failed: whether the writes of that call are durable is unknown (faults F108, F109, F110)."""


class StoreClosed(StoreError):
    """The store was closed before this call."""


RESTORE = (
    "do not delete it lightly: other nodes may rest on what this one promised; remove this member from the cluster by "
    "a membership change and add it again with an empty data directory"
)
"""What to do about a store that lost or damaged what it promised."""
