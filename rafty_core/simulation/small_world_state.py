"""The worlds of a small cluster, and how one leads to the next.

Law: *a world is a few numbers*: of its nodes, of the messages on their way, and of what is remembered.

Equal things have equal numbers, so that two ways to the same world meet there, and a step of a node that was made
before costs nothing.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from rafty_core.explain import explain
from rafty_core.messages import Message, PreVote
from rafty_core.roles import PreCandidate
from rafty_core.simulation.small_checks import Ghost, check_pair, remember
from rafty_core.simulation.small_node import Disk, Node, Nodes, Step, frozen

World: TypeAlias = tuple[int, ...]
"""The numbers of its nodes, in order, then of its messages, then of its ghost."""

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How small a world is; what is beyond is not looked at.

    nodes      of the cluster, all of them voters
    terms      no node stands for election in a later one
    entries    commands that a leader takes, as long as its log holds fewer; each term has its no-op besides
    messages   on their way at one time: if there are more, any of them are lost, so that only so many are left
    crashes    in all
    rounds     of heartbeats that a leader sends in its term; 0: what is lost is not sent again
    slow_disks whether a write takes time. Otherwise it is done in the step that asks for it, and a crash loses none
    resigning  whether a leader may find that it has lost its majority, and step down
    repeating  whether a message that has arrived may arrive again, however often and late
    pre_votes  whether pre-votes are messages as others are. Otherwise an election begins with the questions to as many
               as are needed, and their answers, in one step: a node stands for election when they would vote for it
    renaming   whether worlds that differ in the names of the nodes alone are one and the same
    """

    nodes: int = 3
    terms: int = 2
    entries: int = 1
    messages: int = 2
    crashes: int = 0
    rounds: int = 0
    slow_disks: bool = True
    resigning: bool = True
    repeating: bool = True
    pre_votes: bool = False
    renaming: bool = True


class Action(NamedTuple):
    """What happens: see `HAPPENINGS` of the nodes. `node` is a position; `detail` is the number of the message, which
    voters are asked (an index of `choices`; -1: all), or how many writes a crash leaves done."""

    what: str
    node: int
    detail: int = -1


class Numbered(Generic[Thing]):
    """Things by number, in the order in which they were first seen.

    `forms[number][p]` is a number of what the thing is when the nodes change their names by the p-th permutation: two
    things have a form in common if they are the same but for names.
    """

    def __init__(self, renamings: int) -> None:
        self.things: list[Thing] = []
        self.forms: list[tuple[int, ...]] = []
        self._renamings = renamings
        self._numbers: dict[Hashable, int] = {}
        self._form_numbers: dict[Hashable, int] = {}

    def number(self, key: Hashable, thing: Thing, renamed: Callable[[int], Hashable]) -> int:
        """The number of this thing, which `key` is equal for; `renamed(p)` is what its p-th form is equal for."""
        known = self._numbers.get(key)
        if known is None:
            known = self._numbers[key] = len(self.things)
            self.things.append(thing)
            forms = self._form_numbers
            self.forms.append(tuple(forms.setdefault(renamed(p), len(forms)) for p in range(self._renamings)))
        return known


class SmallWorld:
    """All worlds within the bounds: where it begins, what can happen in one, and where that leads."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.cluster = Nodes(bounds.nodes, bounds.slow_disks)
        ids = self.cluster.ids
        self.choices = list(combinations(range(bounds.nodes), bounds.nodes // 2))
        orders = list(permutations(range(bounds.nodes))) if bounds.renaming else [tuple(range(bounds.nodes))]
        self._orders = list(enumerate(orders))  # in the p-th, position i is that of the node that was at orders[p][i]
        self._names = [{ids[old]: ids[new] for new, old in enumerate(order)} for order in orders]
        self.nodes = Numbered[Node](len(orders))
        self.messages = Numbered[Message](len(orders))
        self.bags = Numbered[tuple[int, ...]](len(orders))
        self.ghosts = Numbered[Ghost](len(orders))
        self.steps: dict[tuple[int, str, int], tuple[int, tuple[int, ...]]] = {}
        self._actions: dict[int, list[Action]] = {}
        self._fitting: set[tuple[int, int]] = set()  # pairs of nodes that were checked
        self._unnoticed: set[tuple[int, int]] = set()  # pairs of node and ghost in which there is nothing to remember

    # ---------------------------------------------------------------- numbers

    def first(self) -> World:
        """The world in which every node starts with an empty disk."""
        nodes = [self._node(self.cluster.start(node_id, Disk()))[0] for node_id in self.cluster.ids]
        return (*nodes, self._bag(()), self._ghost(Ghost()))

    def variants(self, world: World) -> list[World]:
        """This world under all changes of names, in forms: equal for worlds that are the same but for the names."""
        *nodes, bag, ghost = world
        forms, bag_forms, ghost_forms = self.nodes.forms, self.bags.forms[bag], self.ghosts.forms[ghost]
        return [(*[forms[nodes[i]][p] for i in order], bag_forms[p], ghost_forms[p]) for p, order in self._orders]

    def canonical(self, world: World) -> World:
        """A key that is equal for worlds that are the same but for the names of the nodes."""
        return min(self.variants(world))

    def _node(self, step: Step) -> tuple[int, tuple[int, ...]]:
        node, known = step.node, len(self.nodes.things)
        number = self.nodes.number(node.key({}), node, lambda p: node.key(self._names[p]))
        if number == known:
            node.fall_asleep()
        return number, tuple(map(self._message, step.messages))

    def _message(self, message: Message) -> int:
        return self.messages.number(frozen(message, {}), message, lambda p: frozen(message, self._names[p]))

    def _bag(self, bag: tuple[int, ...]) -> int:
        forms = self.messages.forms
        return self.bags.number(bag, bag, lambda p: tuple(sorted([forms[message][p] for message in bag])))

    def _ghost(self, ghost: Ghost) -> int:
        return self.ghosts.number(ghost, ghost, lambda p: ghost.renamed(self._names[p]))

    def _step(self, node: int, what: str, detail: int = -1) -> tuple[int, tuple[int, ...]]:
        key = (node, what, detail)
        known = self.steps.get(key)
        if known is None:
            given = self.messages.things[detail] if what == "message" else detail
            known = self.steps[key] = self._node(self.cluster.happens(self.nodes.things[node], what, given))
        return known

    # ---------------------------------------------------------------- actions

    def actions(self, world: World) -> Iterator[Action]:
        """What can happen in this world, within the bounds."""
        *nodes, bag, ghost = world
        may_crash = self.ghosts.things[ghost].crashes < self.bounds.crashes
        for at, node in enumerate(nodes):
            own = self._actions.get(node)
            if own is None:
                own = self._actions[node] = list(self._own_actions(self.nodes.things[node], at))
            yield from own if may_crash else [action for action in own if action.what != "crash"]
        for number in self.bags.things[bag]:
            yield Action("message", self.cluster.ids.index(self.messages.things[number].to), number)

    def _own_actions(self, node: Node, at: int) -> Iterator[Action]:
        bounds = self.bounds
        if node.pending:
            yield Action("persist", at)
        if node.leads:
            if node.commands < bounds.entries:
                yield Action("propose", at)
            if node.round < bounds.rounds:
                yield Action("beat", at)
            if bounds.resigning:
                yield Action("resign", at)
        elif node.term < bounds.terms:
            for number, voters in [(-1, ())] if bounds.pre_votes else enumerate(self.choices):
                if at not in voters:
                    yield Action("campaign", at, number)
        if bounds.crashes:
            yield from [Action("crash", at, done) for done in range(len(node.pending) + 1)]

    def after(self, world: World, action: Action) -> list[World]:
        """Where this leads: to one world for each choice of the messages that are lost. Raises `InvariantViolation`."""
        nodes, bag, ghost = list(world[:-2]), self.bags.things[world[-2]], world[-1]
        what, at, detail = action
        if what == "campaign" and detail >= 0:
            sent = self._elect(nodes, at, self.choices[detail])
            if self.nodes.things[nodes[at]].role == PreCandidate.name:
                return []  # the pre-vote was refused, and with no other on its way nothing comes of it
        else:
            nodes[at], sent = self._step(nodes[at], what, detail)
        if what == "crash":
            if nodes[at] == world[at]:
                return []  # there was nothing to lose
            ghost = self._ghost(self.ghosts.things[ghost].crashed())
        elif what == "message" and not self.bounds.repeating:
            bag = tuple(message for message in bag if message != detail)
        for node, before in zip(nodes, world, strict=False):
            if node != before:
                ghost = self._check(nodes, node, ghost)
        return [(*nodes, left, ghost) for left in self._left(bag, sent)]

    def _elect(self, nodes: list[int], at: int, voters: tuple[int, ...]) -> tuple[int, ...]:
        """A node's election timeout is over; these voters are asked for their pre-votes, and their answers arrive."""
        things = self.messages.things
        nodes[at], sent = self._step(nodes[at], "campaign")
        questions = {things[number].to: number for number in sent if isinstance(things[number], PreVote)}
        sent = tuple(number for number in sent if number not in questions.values())
        for voter in voters:
            question = questions.get(self.cluster.ids[voter])
            if question is not None:
                nodes[voter], answers = self._step(nodes[voter], "message", question)
                for answer in answers:
                    nodes[at], more = self._step(nodes[at], "message", answer)
                    sent += more
        return sent

    def _left(self, bag: tuple[int, ...], sent: tuple[int, ...]) -> list[int]:
        """The messages on their way when these were sent too: all, or any so many of them as there is room for.

        Worlds with fewer are not needed: whatever happens in one happens in the world with more, too, where what is not
        there may stay on its way until there is no room for it.
        """
        if not sent:
            return [self._bag(bag)]
        everything = sorted({*bag, *sent})
        room = self.bounds.messages
        if len(everything) <= room:
            return [self._bag(tuple(everything))]
        return [self._bag(left) for left in combinations(everything, room)]

    # ----------------------------------------------------------------- checks

    def _check(self, nodes: list[int], changed: int, ghost: int) -> int:
        """Check what holds between this node, which has changed, and the rest; returns what is remembered now."""
        things = self.nodes.things
        if (changed, ghost) not in self._unnoticed:
            now = remember([things[node] for node in nodes], things[changed], self.ghosts.things[ghost])
            before, ghost = ghost, self._ghost(now)
            if ghost == before:
                self._unnoticed.add((changed, ghost))
        for node in nodes:
            if node != changed and (changed, node) not in self._fitting:
                check_pair(things[changed], things[node])
                self._fitting.add((changed, node))
        return ghost

    # ---------------------------------------------------------------- stories

    def tell(self, world: World, action: Action) -> str:
        """What happens, as one sentence."""
        what, at, detail = action
        node_id, node = self.cluster.ids[at], self.nodes.things[world[at]]
        if what == "message":
            return f"{node_id} receives: {explain(self.messages.things[detail])}"
        if what == "campaign":
            asked = [self.cluster.ids[voter] for voter in self.choices[detail]] if detail >= 0 else []
            return f"{node_id}'s election timeout is over{'; pre-votes come from ' if asked else ''}{', '.join(asked)}"
        if what == "persist":
            write = node.pending[0]
            spans = ", ".join(f"{batch.first} to {batch.last} of term {batch.term}" for batch in write.batches)
            entries = f", entries {spans}" if spans else ""
            return f"{node_id}'s disk has written: term {write.term}, vote {write.vote}{entries}"
        if what == "crash":
            return f"{node_id} loses power when {detail} of its {len(node.pending)} writes are done, and starts again"
        return f"{node_id}{SENTENCES[what]}"


SENTENCES = {
    "propose": ", the leader, is given a command",
    "beat": ", the leader, sends heartbeats",
    "resign": ", the leader, has not heard a majority for an election timeout",
}
