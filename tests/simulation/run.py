"""The long campaign, with the real codec: `python -m tests.simulation.run --seeds 0:2000`."""

from rafty_core.simulation.run import main
from tests.simulation.parts import REAL_CODEC

if __name__ == "__main__":
    raise SystemExit(main(REAL_CODEC, "python -m tests.simulation.run"))
