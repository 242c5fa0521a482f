"""What a state machine must keep to: the rules, and a trial with commands drawn from a seed.

Law: *two machines that were told the same are asked the same, and must answer the same.*
"""

import pickle
import random
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from itertools import accumulate
from random import Random
from typing import Any

from rafty_core.simulation import Simulation, SimulationFailure
from rafty_transports.interfaces import StateMachine
from rafty_transports.testing.conformance import Fault, calling, require

SIMULATED_SECONDS = 4.0
"""How long a cluster is simulated for each seed, in its own time."""


class Trial:
    """Commands of one seed, and the machines that were made for them."""

    def __init__(
        self,
        make: Callable[[], StateMachine],
        command: Callable[[Random], bytes],
        check: Callable[[Any], object] | None,
        restart: Callable[[Any], StateMachine] | None,
        close: Callable[[Any], object],
        equal_images: bool,
        seed: int,
        count: int,
    ) -> None:
        self.make, self.command, self.check = make, command, check
        self.restart, self.close, self.equal_images = restart, close, equal_images
        self.seed = seed
        chance = Random(seed)
        self.commands = [command(chance) for _ in range(max(8, count))]
        gaps = [1 if chance.random() < 0.8 else chance.randint(2, 3) for _ in self.commands]
        self.indexes = list(accumulate(gaps))
        """The log index of each command; what lies between are entries of Raft's own."""
        self._made: list[Any] = []

    @property
    def half(self) -> int:
        """Where the commands are divided in two."""
        return len(self.commands) // 2

    def applies(self, rule: str) -> bool:
        """Whether this rule can be tried: the one of other processes needs a machine that has a name."""
        if rule != "hash_seed_changes_nothing":
            return True
        try:
            pickle.dumps(self.make)
        except (pickle.PicklingError, AttributeError, TypeError):
            return False
        return getattr(self.make, "__module__", "__main__") != "__main__"

    def new(self) -> Any:
        """A machine that has applied nothing."""
        with calling("making a machine"):
            self._made.append(self.make())
        return self._made[-1]

    def started_again(self, machine: Any) -> Any:
        """The machine of the next start."""
        if self.restart is None:
            raise Fault("give `restart` to check_state_machine")
        self._made.remove(machine)
        with calling("restarting a machine"):
            self._made.append(self.restart(machine))
        return self._made[-1]

    def end(self) -> None:
        """Close all machines that were made."""
        while self._made:
            self.close(self._made.pop())

    def apply(self, machine: Any, first: int, commands: Sequence[bytes]) -> list[bytes]:
        """Have these applied as one batch; a fault if that raises, or gives no result for each."""
        with calling(f"apply({first}, {list(commands)!r:.200})"):
            results = machine.apply(first, list(commands))
        text = f"apply() of {len(commands)} commands returned {results!r:.120}"
        right = isinstance(results, list | tuple) and all(type(result) is bytes for result in results)
        require(right, f"{text}; a list of bytes is due")
        require(len(results) == len(commands), f"{text}, {len(results)} results; one for each command is due")
        if self.check is not None:
            with calling("check(machine)"):
                require(
                    self.check(machine) is not False, f"check(machine) is False at index {first + len(results) - 1}"
                )
        return list(results)

    def one_by_one(self, machine: Any, start: int, end: int) -> list[bytes]:
        """Apply these of the commands, each alone."""
        return self.in_batches(machine, start, end, lambda: 1)

    def in_batches(self, machine: Any, start: int, end: int, most: Callable[[], int]) -> list[bytes]:
        """Apply these of the commands in batches of at most so many, which have no gap in their indexes."""
        results: list[bytes] = []
        while start < end:
            stop, limit = start + 1, most()
            while stop < min(end, start + limit) and self.indexes[stop] == self.indexes[stop - 1] + 1:
                stop += 1
            results += self.apply(machine, self.indexes[start], self.commands[start:stop])
            start = stop
        return results

    def image(self, machine: Any) -> bytes:
        """The snapshot of this machine as it is now."""
        target = BytesIO()
        with calling("snapshot()"):
            machine.snapshot()(target)
        return target.getvalue()

    def same_state(self, one: Any, other: Any, at: int, what: str) -> None:
        """Both machines, which have applied the first `at` commands, have the same state."""
        if self.equal_images and hasattr(one, "snapshot"):
            here, there = self.image(one), self.image(other)
            require(here == there, f"{what}: the snapshots of two machines differ, {_around(here, there)}")
        later = len(self.commands)
        mine, theirs = self.one_by_one(one, at, later), self.one_by_one(other, at, later)
        self.same_results(mine, theirs, at, f"{what}, later")

    def same_results(self, one: Sequence[bytes], other: Sequence[bytes], start: int, what: str) -> None:
        """These are results of the commands from `start` on, in two machines."""
        for at, (here, there) in enumerate(zip(one, other, strict=True), start):
            text = f"{what}: command {self.commands[at]!r:.100} at index {self.indexes[at]} was answered {here!r:.100}"
            require(here == there, f"{text} by one machine and {there!r:.100} by another")


def _around(one: bytes, other: bytes) -> str:
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, at - 20)
    return f"from byte {at} on: {one[start : at + 20]!r} and {other[start : at + 20]!r}"


def in_thread(function: Callable[[], object]) -> None:
    """Call this in a thread of its own, and wait for it; what it raises is raised here."""
    errors: list[Exception] = []

    def run() -> None:
        try:
            function()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def one_result_for_each(trial: Trial) -> None:
    """A list or tuple of bytes, one for each command, whatever the length of the batch; nothing is raised."""
    machine, done = trial.new(), 0
    for count in (1, 2, 5, len(trial.commands)):
        batch = trial.commands[done : done + count]
        if batch:  # a node applies no batch without commands (R214)
            trial.apply(machine, done + 1, batch)
        done += len(batch)


def equal_commands_give_equal_results(trial: Trial) -> None:
    """Two machines, one after the other, with numbers of `random` drawn in between: equal results, equal state."""
    one, other = trial.new(), trial.new()
    before = trial.one_by_one(one, 0, trial.half)
    random.random()
    time.sleep(0.002)
    after = trial.one_by_one(other, 0, trial.half)
    trial.same_results(before, after, 0, "the same commands")
    trial.same_state(one, other, trial.half, "the same commands")


def splitting_changes_nothing(trial: Trial) -> None:
    """However commands are put into batches: the same results and the same state."""
    one, other, third, chance = trial.new(), trial.new(), trial.new(), Random(trial.seed)
    alone = trial.one_by_one(one, 0, trial.half)
    together = trial.in_batches(other, 0, trial.half, lambda: trial.half)
    trial.same_results(alone, together, 0, "alone and in batches as large as can be")
    split = trial.in_batches(third, 0, trial.half, lambda: chance.randint(1, 4))
    trial.same_results(alone, split, 0, "alone and in small batches")
    trial.same_state(one, other, trial.half, "after batches of different length")


def snapshot_is_of_its_moment(trial: Trial) -> None:
    """What `snapshot` returns writes the state of that moment, in a thread, though commands were applied since."""
    going_on, stopped, restored = trial.new(), trial.new(), trial.new()
    for machine in (going_on, stopped):
        trial.one_by_one(machine, 0, trial.half)
    with calling("snapshot()"):
        write = going_on.snapshot()
    trial.one_by_one(going_on, trial.half, len(trial.commands) - 2)
    target = BytesIO()
    with calling("writing the snapshot in a thread"):
        in_thread(lambda: write(target))
    trial.one_by_one(going_on, len(trial.commands) - 2, len(trial.commands))
    what = "a snapshot that was written while commands were applied"
    if trial.equal_images:
        expected, found = trial.image(stopped), target.getvalue()
        require(found == expected, f"{what} is not of its moment, {_around(found, expected)}")
    with calling("restore() of its own snapshot"):
        in_thread(lambda: restored.restore(trial.indexes[trial.half - 1], BytesIO(target.getvalue())))
    trial.same_state(restored, stopped, trial.half, what)


def restore_gives_an_equal_machine(trial: Trial) -> None:
    """Restored, in a thread, a new machine and one with a past are equal to the one that was written down."""
    for past in (0, len(trial.commands)):
        original, restored = trial.new(), trial.new()
        trial.one_by_one(original, 0, trial.half)
        image = trial.image(original)
        trial.one_by_one(restored, 0, past)
        with calling("restore() of its own snapshot"):
            in_thread(partial(restored.restore, trial.indexes[trial.half - 1], BytesIO(image)))
        what = "restored over a state of its own" if past else "restored"
        trial.same_state(restored, original, trial.half, what)


def applied_index_is_true(trial: Trial) -> None:
    """`applied_index` is 0 at first, never above what was applied, and after `restore` what `restore` was given."""
    machine = trial.new()
    require(machine.applied_index == 0, f"a new machine has the applied_index {machine.applied_index!r:.40}, not 0")
    for at in range(trial.half):
        trial.one_by_one(machine, at, at + 1)
        index, applied = machine.applied_index, trial.indexes[at]
        right = type(index) is int and index <= applied
        require(right, f"applied_index is {index!r:.40} after the command at index {applied}")
    if hasattr(machine, "snapshot"):
        other, image, given = trial.new(), trial.image(machine), trial.indexes[trial.half]
        with calling("restore() of its own snapshot"):
            other.restore(given, BytesIO(image))
        require(
            other.applied_index == given, f"after restore({given}, ...) applied_index is {other.applied_index!r:.40}"
        )


def restart_goes_on(trial: Trial) -> None:
    """After a restart the state is that of `applied_index`: the commands behind it give what they always give."""
    steady, machine = trial.new(), trial.new()
    results = trial.one_by_one(steady, 0, len(trial.commands))
    at = 0
    for end in (1, trial.half, len(trial.commands) - 3):
        trial.in_batches(machine, at, end, lambda: 3)
        machine = trial.started_again(machine)
        index, applied = machine.applied_index, trial.indexes[end - 1]
        require(0 <= index <= applied, f"after a restart applied_index is {index!r:.40}; applied was up to {applied}")
        at = bisect_right(trial.indexes, index)
    trial.same_results(trial.one_by_one(machine, at, len(trial.commands)), results[at:], at, "after restarts")
    if trial.equal_images and hasattr(machine, "snapshot"):
        here, there = trial.image(machine), trial.image(steady)
        require(here == there, f"after restarts the snapshots of two machines differ, {_around(here, there)}")


def simulated_cluster_agrees(trial: Trial) -> None:
    """A simulated cluster of three, under faults, in which each node has such a machine."""
    run = Simulation(
        machine=trial.make,
        command=trial.command,
        check=trial.check,
        seed=trial.seed,
        seconds=SIMULATED_SECONDS,
    ).run
    try:
        run()
    except SimulationFailure as failure:
        raise Fault(f"in a simulated cluster with seed {trial.seed}: {failure.text}") from failure
