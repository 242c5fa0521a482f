"""All that an object holds, for tests that demand that nothing changed."""

from typing import Any


def contents(thing: Any) -> Any:
    """All that an object holds, as plain values that compare."""
    if isinstance(thing, (str, bytes, int, float, bool, type(None), type)):
        return thing
    if isinstance(thing, dict):
        return {key: contents(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple, set, frozenset)) or type(thing).__name__ == "deque":
        return [contents(value) for value in thing]
    slots = [name for cls in type(thing).__mro__ for name in getattr(cls, "__slots__", ())]
    names = [*slots, *getattr(thing, "__dict__", {})]
    return type(thing).__name__, {name: contents(getattr(thing, name)) for name in names}
