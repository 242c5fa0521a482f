"""The real codec and the real store, to be plugged into the simulation."""

from dataclasses import replace

from rafty_core import Message
from rafty_core.simulation.parts import Parts
from rafty_transports.chunks import SnapshotChunk, SnapshotChunkRequest
from rafty_transports.codec import decode, encode
from tests.simulation.storage.store import SimulatedStore


def through_bytes(message: Message) -> Message:
    """What arrives when this message is sent through the real codec."""
    decoded = decode(b"".join(encode(message))[4:])
    assert not isinstance(decoded, SnapshotChunk | SnapshotChunkRequest)
    return decoded


REAL_CODEC = Parts(codec=through_bytes, replay="python -m tests.simulation.run run {seed}")
REAL_STORE = replace(REAL_CODEC, storage=SimulatedStore)
