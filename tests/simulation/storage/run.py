"""Whole clusters on the real store: `python -m tests.simulation.storage.run --seeds 0:200`."""

from rafty_core.simulation.command_line import main
from tests.simulation.storage.parts import REAL_STORE

if __name__ == "__main__":
    raise SystemExit(main(REAL_STORE, "python -m tests.simulation.storage.run"))
