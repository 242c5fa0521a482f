"""The real codec, to be plugged into the simulation; `storage.parts` has the real store, which needs apsw."""

from rafty_core import Message
from rafty_core.simulation.parts import Parts
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.codec import decode, encode


def through_bytes(message: Message) -> Message:
    """What arrives when this message is sent through the real codec."""
    decoded = decode(b"".join(encode(message))[4:])
    assert not isinstance(decoded, SnapshotChunk | SnapshotChunkRequest)
    return decoded


REAL_CODEC = Parts(codec=through_bytes, replay="python -m tests.simulation.run run {seed}")
