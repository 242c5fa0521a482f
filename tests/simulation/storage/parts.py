"""The real codec and the real store, to be plugged into the simulation."""

from dataclasses import replace

from tests.simulation.parts import REAL_CODEC
from tests.simulation.storage.store import SimulatedStore

REAL_STORE = replace(REAL_CODEC, storage=SimulatedStore)
