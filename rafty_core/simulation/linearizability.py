"""Whether a history of operations could have come from one copy of the data (Wing and Gong; Lowe).

Law: *there is an order of all operations in which each takes effect between its call and its return, and every result
is what the data says at that point* (invariant I17).

The search goes through the orders depth first, and never twice through the same set of operations that led to the same
state. Keys are independent of each other, and so each has a search of its own. An operation whose outcome is unknown
may be put anywhere behind its call, or be left out. One that surely was not carried out is no part of a history.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

MOST_CONFIGURATIONS = 20_000
"""After so many pairs of a set of operations and a state a key is given up: it is not judged."""


class Unknown:
    """What is not known; told without an address of this process, so that the same seed gives the same trace (I23)."""

    def __repr__(self) -> str:
        return "unknown"


UNKNOWN = Unknown()
"""The result of an operation whose result is not known."""


class Model(Protocol):
    """What one key does, written as a function."""

    @property
    def initial(self) -> Hashable:
        """The state at the beginning."""
        ...

    def apply(self, state: Any, request: Any, /) -> tuple[Hashable, object]:
        """The state after this request, and its result."""
        ...


@dataclass(slots=True, eq=False)
class Operation:
    """One operation of one client on one key. Times are of any kind that can be compared.

    called, returned  between these it took effect. An outcome that stays unknown returns never, or at the time from
                      which on it certainly takes no effect any more
    certain           whether it was carried out for sure; otherwise it was, or was not
    """

    key: str
    request: Any
    called: float
    returned: float = float("inf")
    result: object = UNKNOWN
    certain: bool = False
    client: str = ""

    def __str__(self) -> str:
        until = "..." if self.returned == float("inf") else f"{self.returned:g}"
        result = "?" if self.result is UNKNOWN else f"{self.result!r:.120}"
        return f"[{self.called:g} - {until}] {self.client} {self.request!r:.120} -> {result}"


class Verdict(NamedTuple):
    """What a check has found. `explanation` is None unless some key's history cannot be ordered."""

    explanation: str | None
    judged: int
    not_judged: int


def check(history: Iterable[Operation], model: Model, most: int = MOST_CONFIGURATIONS) -> Verdict:
    """Look for an order of the operations of each key. A key whose search takes more than `most` configurations is
    counted as not judged, and never as failed."""
    by_key: dict[str, list[Operation]] = {}
    for operation in history:
        by_key.setdefault(operation.key, []).append(operation)
    judged = not_judged = 0
    for key, operations in by_key.items():
        search = _Search(operations, model, most)
        if search.found:
            judged += 1
        elif search.gave_up:
            not_judged += 1
        else:
            return Verdict(f"key {key}: {_explain(operations, model, most)}", judged + 1, not_judged)
    return Verdict(None, judged, not_judged)


def _until(operations: Iterable[Operation], time: float) -> list[Operation]:
    """What was known at this time: operations that returned later were open."""
    return [
        operation if operation.returned <= time else replace(operation, returned=float("inf"), certain=False)
        for operation in operations
        if operation.called <= time
    ]


def _explain(operations: list[Operation], model: Model, most: int) -> str:
    """The shortest beginning of the history that cannot be ordered, and how far an order gets."""
    returns = sorted(operation.returned for operation in operations if operation.returned < float("inf"))
    low, high = 0, len(returns) - 1  # a beginning of what can be ordered can be ordered
    while low < high:
        middle = (low + high) // 2
        search = _Search(_until(operations, returns[middle]), model, most)
        low, high = (middle + 1, high) if search.found or search.gave_up else (low, middle)
    search = _Search(_until(operations, returns[low]), model, most)
    last = [operation for operation in operations if operation.returned == returns[low]]
    ordered = [search.operations[number] for number in search.longest]
    left = [operation for operation in search.operations if operation.certain and operation not in ordered]
    lines = [f"nothing explains {last[0]}", "the longest order ends with"]
    lines += [f"  {operation}" for operation in ordered[-5:]]
    lines += [f"state {search.state!r:.200}, and behind it must come", *(f"  {operation}" for operation in left[:5])]
    return "\n  ".join(lines)


class _Frame(NamedTuple):
    """An order that was begun: which operations are in it or can be no more, the state, and what may come next."""

    done: int
    latest: float
    choices: Iterator[tuple[int, Any]]


class _Search:
    """One search, done when it is made. `longest` is the order that got furthest, `state` the state behind it."""

    def __init__(self, operations: Iterable[Operation], model: Model, most: int) -> None:
        self.operations = sorted(operations, key=lambda operation: operation.called)
        self.found = self.gave_up = False
        self.longest: list[int] = []
        self.state: Any = model.initial
        self._model = model
        self._run(most)

    def _run(self, most: int) -> None:
        required = sum(1 << number for number, operation in enumerate(self.operations) if operation.certain)
        furthest, visited = -1, set()
        order: list[int] = []
        done, latest, state = 0, -float("inf"), self._model.initial
        frames: list[_Frame] = []
        while True:
            reached = (done & required).bit_count()
            if reached > furthest:
                furthest, self.longest, self.state = reached, list(order), state
            if done & required == required:
                self.found = True
                return
            if (done, state) not in visited:
                visited.add((done, state))
                frames.append(self._frame(done, latest, state))
            elif order:
                order.pop()
            if len(visited) > most:
                self.gave_up = True
                return
            chosen = None
            while frames and (chosen := next(frames[-1].choices, None)) is None:
                frames.pop()
                if order:
                    order.pop()
            if chosen is None:
                return
            number, state = chosen
            order.append(number)
            done = frames[-1].done | 1 << number
            latest = max(frames[-1].latest, self.operations[number].called)

    def _frame(self, done: int, latest: float, state: Any) -> _Frame:
        """What may come next. An operation must not come behind one that was called after it returned."""
        bound = soft = float("inf")
        certain, open_ = [], []
        for number, operation in enumerate(self.operations):
            if done >> number & 1:
                continue
            if operation.called > bound:
                break
            if not operation.certain and operation.returned < latest:
                done |= 1 << number  # it is too late for it
                continue
            after, result = self._model.apply(state, operation.request)
            fits = operation.result is UNKNOWN or result == operation.result
            if operation.certain:
                bound = min(bound, operation.returned)
                if fits and after == state and operation.called < soft:
                    return _Frame(done, latest, iter([(number, after)]))  # no order is lost by putting it here
                if fits:
                    certain.append((number, after))
            else:
                soft = min(soft, operation.returned)
                if fits and after != state:
                    open_.append((number, after))
        return _Frame(done, latest, iter(certain + open_))
