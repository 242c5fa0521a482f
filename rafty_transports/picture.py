"""Any status value as lines of text.

Law: *each public attribute becomes one pair of name and text, or one for each key of an attribute that is a mapping.*

The service shows what the core tells about itself without knowing it: an attribute that is added there appears here.
"""

from collections.abc import Iterable, Mapping


def picture_of(status: object) -> list[tuple[str, str]]:
    """Pairs of name and text, without line ends, in the order in which the attributes were declared."""
    pairs: list[tuple[str, str]] = []
    for name, value in _attributes(status):
        if isinstance(value, Mapping):
            pairs += [(f"{name}.{key}", _text(inner)) for key, inner in value.items()]
        else:
            pairs.append((name, _text(value)))
    return [(_one_line(name), _one_line(text)) for name, text in pairs]


def _attributes(status: object) -> list[tuple[str, object]]:
    if isinstance(status, Mapping):
        return [(str(name), value) for name, value in status.items()]
    names = [name for kind in reversed(type(status).__mro__) for name in _slots(kind)]
    names += getattr(status, "__dict__", {})
    return [(name, getattr(status, name)) for name in dict.fromkeys(names) if not name.startswith("_")]


def _slots(kind: type) -> Iterable[str]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else slots


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_text(inner)}" for key, inner in value.items())
    if isinstance(value, (set, frozenset)):
        return ",".join(sorted(map(_text, value)))
    if isinstance(value, (list, tuple)):
        return ",".join(map(_text, value))
    inner = _attributes(value)
    return " ".join(f"{name}={_text(part)}" for name, part in inner) if inner else str(value)


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
