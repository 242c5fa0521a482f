"""A state machine of yours in a simulated cluster.

Law: *what the machine does there follows from its commands alone, or the simulation says which command showed that it
does not.*

    Simulation(machine=Counter, command=lambda random: b"%d" % random.randint(1, 9), seed=7).run()
"""

import random
import sys
from dataclasses import fields, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from rafty_core.simulation.application import CheckMachine, MakeCommand, MakeMachine
from rafty_core.simulation.churn import NAMES
from rafty_core.simulation.failure import SHOWN, SimulationFailure
from rafty_core.simulation.faults import Faults
from rafty_core.simulation.options import Options
from rafty_core.simulation.parts import Parts
from rafty_core.simulation.replay import checked, fitting, load
from rafty_core.simulation.run import Report, run_options
from rafty_core.simulation.shrink import Shrunk, shrink

GIVEN_ELSEWHERE = {"seed": "seed", "size": "nodes", "duration": "seconds", "kinds": "faults", "machine": "machine"}
FOR_MACHINES: dict[str, Any] = {
    "max_command_bytes": 1024 * 1024,
    "max_proposal_bytes": 8 * 1024 * 1024,
    "max_uncommitted_bytes": 64 * 1024 * 1024,
    "max_pending_proposals": 65536,
    "max_result_bytes": 24 * 1024 * 1024,
    "with_results": True,
}
"""What is not drawn from the seed if there is a machine: nothing of it is to be refused or kept back."""

EVERY = 0.3
"""Seconds between two snapshots, if the seed has none and the machine can take them."""


class Simulation:
    """A cluster of nodes, each with a machine of yours, under all faults that a seed brings; then without any.

    seed     decides everything: which faults, which delays, which commands, and when
    machine  makes a state machine that has applied nothing: `apply(first_index, commands) -> results`; with `snapshot`
             and `restore` snapshots are simulated, too. None: only the core is tested
    command  draws a command that a client proposes; it must use no other source of chance than the one it is given
    check    is called with a machine whenever that has changed; it raises, or returns False, if this must not be
    nodes    how many nodes there are at first, 1 to 7; None: the seed decides
    seconds  how long there are faults, in simulated seconds
    faults   what kinds of faults there may be
    options  single fields of `Options` that are not to be drawn from the seed

    Raises `ValueError` or `TypeError` for what makes no sense.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        machine: MakeMachine | None = None,
        command: MakeCommand | None = None,
        check: CheckMachine | None = None,
        nodes: int | None = 3,
        seconds: float = 20.0,
        faults: Faults | None = None,
        **options: Any,
    ) -> None:
        if type(seed) is not int:
            raise TypeError(f"seed must be a whole number, not {seed!r:.100}")
        if (machine is None) != (command is None):
            raise TypeError("machine and command belong together: give both, or neither")
        if check is not None and machine is None:
            raise TypeError("check looks at machines: give a machine")
        for name, given, does in (
            ("machine", machine, "makes a state machine, as its class does"),
            ("command", command, "draws a command from a random.Random"),
            ("check", check, "looks at a machine"),
        ):
            if given is not None and not callable(given):
                raise TypeError(f"{name} must be a function that {does}, not {given!r:.100}")
        if faults is not None and not isinstance(faults, Faults):
            raise TypeError(f'faults must be Faults, as in Faults.only("crashes"), not {faults!r:.100}')
        if nodes is not None and (type(nodes) is not int or not 1 <= nodes <= len(NAMES)):
            raise ValueError(f"nodes must be a whole number from 1 to {len(NAMES)}, not {nodes!r}")
        if type(seconds) not in (int, float) or not 0 < seconds <= sys.float_info.max:
            raise ValueError(f"seconds must be a number above 0, and finite, not {seconds!r:.100}")
        drawn = (faults or Faults()).limit(replace(Options.draw(seed, nodes), duration=float(seconds)))
        if machine is not None:
            drawn = replace(drawn, **FOR_MACHINES, snapshot_interval=drawn.snapshot_interval or EVERY)
        self.options = fitting(replace(drawn, **{name: _checked(name, value) for name, value in options.items()}))
        what = "" if machine is None else f"machine={getattr(machine, '__name__', repr(machine))}, "
        replay = f"Simulation({what}seed={seed}, ...).run()"
        make = None if command is None else partial(_command, command)
        self.parts = Parts(machine=machine, command=make, check=check, replay=replay)

    def run(self, *, keep: int | None = SHOWN, with_digest: bool = False) -> Report:
        """Run it. Raises `SimulationFailure`, which tells the story, for whatever breaks.

        keep         how many of the last events a failure holds; None: all
        with_digest  let the report have a hash of all that happened, to compare two runs by
        """
        __tracebackhide__ = True  # pytest shows the story, not the code of the simulation
        return run_options(self.options, self.parts, keep=keep, with_digest=with_digest)

    def replay(self, path: str | Path) -> Report:
        """Run what this file says, which `SimulationFailure.save` wrote, with this machine. Raises `SimulationFailure`
        if it still fails, and `ValueError` if there is no such thing in the file."""
        parts = replace(self.parts, replay=f"{self.parts.replay.removesuffix('.run()')}.replay({str(path)!r})")
        return run_options(load(Path(path)).options, parts)

    def shrink(self, failure: SimulationFailure, *, seconds: float = 60.0) -> Shrunk:
        """Find a short story in which the same breaks, within so many real seconds."""
        return shrink(failure.options, failure.number, self.parts, seconds=seconds)


def _command(make: MakeCommand, chance: random.Random) -> bytes:
    command = make(chance)
    if not isinstance(command, bytes):
        raise TypeError(f"command must return bytes, not {type(command).__name__}")
    return command


def _checked(name: str, value: Any) -> Any:
    """The value for an option that is not to be drawn."""
    known = [field.name for field in fields(Options)]
    if name in GIVEN_ELSEWHERE or name not in known:
        near = GIVEN_ELSEWHERE.get(name) or next(iter(get_close_matches(name, known, 1)), "a field of Options")
        raise TypeError(f"there is no option {name!r} to be given here; do you mean {near!r}?")
    return checked(name, value)
