"""The small world: every order of events of a few nodes, terms, entries and messages, with the real core.

Law: *what random seeds may miss, an exhaustive search cannot, within its bounds.*

    python -m rafty_core.simulation.small_world --terms 2 --entries 1 --messages 1

The search goes breadth first, so that the first story in which a rule is broken is one of the shortest. What it looks
at is exactly this, within `Bounds`:

- The cores are real, and so is every step. What a node does follows from its state and from what happens to it; each
  such pair is tried once and remembered, so that most worlds cost no step at all.
- Messages are lost, repeated, delayed and reordered in every way, with a bound on how many are on their way at a time.
- A disk finishes its writes in order, each at any time later. A crash finds any number of them done, and the node
  starts at once: one that stays down is like one that nothing reaches.
- Time is taken out (see `small_node`): any timer may fire at any time, any number of events may come before it, and
  nobody is deaf to an election since it hears a leader. A deaf node is like one that the question does not reach.
- The state machine applies at once what it is given, and starts from nothing after a crash.
- Elections begin with pre-votes that are asked for and granted at once (a pre-vote changes nothing where it is
  granted), unless `pre_votes` are messages as others are.
- Worlds that differ in the names of nodes alone count once, unless `renaming` is off: the core treats all names alike.

Not in this world: snapshots, changes of membership, reads, leases, transfers, forwarded proposals, unreachable peers,
answers to clients, corrupt messages, disks that fail; and liveness.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields

from rafty_core.history import InvariantViolation
from rafty_core.simulation.small_world_state import Action, Bounds, SmallWorld, World


class SmallWorldFailure(Exception):
    """An invariant is broken, or the core raised. The text is the story, from the beginning."""

    def __init__(self, text: str, depth: int) -> None:
        super().__init__(text)
        self.depth = depth


@dataclass(frozen=True, slots=True)
class Report:
    """What a search saw.

    worlds       that are different
    transitions  from one world to one that may be known already
    depth        actions to the farthest world
    nodes        states of a node that are different
    steps        steps of a real core that were needed
    commits      the most entries that were committed in a world
    leaders      the most terms of a world that had a leader
    complete     whether there was nothing left within the bounds
    """

    worlds: int
    transitions: int
    depth: int
    nodes: int
    steps: int
    commits: int
    leaders: int
    complete: bool


class Search:
    """A breadth-first search; `came_from` has the world before each one, by its canonical key."""

    def __init__(self, bounds: Bounds) -> None:
        self.small = SmallWorld(bounds)
        first = self.small.first()
        self.came_from: dict[World, World | None] = {self.small.canonical(first): None}
        self.frontier = [first]
        self.transitions = self.depth = 0

    def run(self, most_worlds: int) -> Report:
        """Search until nothing is left, or so many worlds are known. Raises `SmallWorldFailure`."""
        while self.frontier and len(self.came_from) < most_worlds:
            self._go_deeper(most_worlds)
        ghosts, steps = self.small.ghosts.things, self.small.steps
        commits = max(len(ghost.committed) for ghost in ghosts)
        leaders = max(len(ghost.leaders) for ghost in ghosts)
        nodes, complete = len(self.small.nodes.things), not self.frontier
        return Report(len(self.came_from), self.transitions, self.depth, nodes, len(steps), commits, leaders, complete)

    def _go_deeper(self, most_worlds: int) -> None:
        small, came_from, following = self.small, self.came_from, list[World]()
        for world in self.frontier:
            for action in small.actions(world):
                try:
                    worlds = small.after(world, action)
                except Exception as error:
                    raise SmallWorldFailure(self._story(world, action, error), self.depth + 1) from error
                self.transitions += len(worlds)
                for new in worlds:
                    key = small.canonical(new)
                    if key not in came_from:
                        came_from[key] = world
                        following.append(new)
            if len(came_from) >= most_worlds:
                return
        self.frontier = following
        self.depth += bool(following)

    def _story(self, world: World, action: Action, error: Exception) -> str:
        """How it came to this."""
        told = [self.small.tell(world, action)]
        before = self.came_from[self.small.canonical(world)]
        while before is not None:
            did = next(action for action in self.small.actions(before) if world in self.small.after(before, action))
            told.append(self.small.tell(before, did))
            world, before = before, self.came_from[self.small.canonical(before)]
        what = str(error) if isinstance(error, InvariantViolation) else f"{type(error).__name__}: {error}"
        return "\n".join([what, *[f"{number:3}. {text}" for number, text in enumerate(reversed(told), 1)]])


def search(bounds: Bounds, most_worlds: int = 10_000_000) -> Report:
    """Search all worlds within these bounds, or the first so many. Raises `SmallWorldFailure`, with the story."""
    return Search(bounds).run(most_worlds)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rafty_core.simulation.small_world", description="Search every world of a small cluster."
    )
    for field in fields(Bounds):
        option = "--" + field.name.replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            parser.add_argument(option, type=int, default=field.default, help=f"default {field.default}")
    parser.add_argument("--most", type=int, default=10_000_000, help="worlds after which the search is given up")
    options = vars(parser.parse_args(arguments))
    most, began = options.pop("most"), time.perf_counter()
    try:
        report = search(Bounds(**options), most)
    except SmallWorldFailure as failure:
        print(failure)
        return 1
    seconds = time.perf_counter() - began
    print(
        f"{report.worlds} worlds{'' if report.complete else ' (not all)'}, {report.transitions} transitions, "
        f"depth {report.depth}, in {seconds:.1f} s: {report.worlds / seconds:.0f} worlds a second\n"
        f"{report.nodes} states of a node, {report.steps} steps of a core; in one world at most {report.leaders} terms "
        f"with a leader and {report.commits} committed entries"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
