"""The command line of the benchmarks: `python -m benchmarks cluster`, `reads`, `catchup`, `simulation`,
`transports`, `hostile`.

Law: *it stops by itself, leaves nothing behind, and says so when it leaves something out.*
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from benchmarks import (
    catchup_command,
    cluster_command,
    hostile_command,
    reads_command,
    simulation_command,
    transports_command,
)
from benchmarks.options import say
from benchmarks.processes import BenchmarkError, WrongOption

COMMANDS = (
    cluster_command,
    reads_command,
    catchup_command,
    simulation_command,
    transports_command,
    hostile_command,
)


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure rafty on this machine.")
    commands = top.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        module.add_command(commands)
    return top


def interrupt(number: int, frame: FrameType | None) -> None:
    """A request to end takes the way of Ctrl-C, which leaves nothing behind."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns its exit status: 0, 1 if there are no figures, 2 for wrong options, 130 if interrupted."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options.run(options)
    except BenchmarkError as error:
        say(f"benchmarks: {error}")
        return 2 if isinstance(error, WrongOption) else 1
    except KeyboardInterrupt:
        say("benchmarks: interrupted; nothing was left behind")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
