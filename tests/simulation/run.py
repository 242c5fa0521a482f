"""The long campaign, with the real codec: `python -m tests.simulation.run --seeds 0:2000`.

A failure is written to a file; `replay FILE` and `shrink FILE` are there, too.
"""

from rafty_core.simulation.command_line import main
from tests.simulation.parts import REAL_CODEC

if __name__ == "__main__":
    raise SystemExit(main(REAL_CODEC, "python -m tests.simulation.run"))
