"""The check of histories (invariant I17): what can be ordered, what cannot, and what is given up."""

from rafty_core.simulation.linearizability import UNKNOWN, Operation, check
from rafty_core.simulation.registers import RegisterModel

INFINITY = float("inf")
MODEL = RegisterModel()


def done(called: float, returned: float, request: bytes, result: object = UNKNOWN, key: str = "k") -> Operation:
    return Operation(key, request, called, returned, result, certain=True)


def open_since(called: float, request: bytes, returned: float = INFINITY) -> Operation:
    return Operation("k", request, called, returned)


def fails(*history: Operation) -> bool:
    verdict = check(history, MODEL)
    assert verdict.not_judged == 0
    return verdict.explanation is not None


def test_linearizability_nothing_and_one_after_the_other() -> None:
    assert not fails()
    assert not fails(done(1, 2, b"get k", b""), done(3, 4, b"set k a", b""), done(5, 6, b"get k", b"a"))


def test_linearizability_stale_read() -> None:
    assert fails(done(1, 2, b"set k a", b""), done(3, 4, b"set k b", b"a"), done(5, 6, b"get k", b"a"))
    assert not fails(done(1, 2, b"set k a", b""), done(3, 6, b"set k b", b"a"), done(4, 5, b"get k", b"a"))


def test_linearizability_reads_that_go_back() -> None:
    write = done(1, 9, b"set k a", b"")
    assert not fails(write, done(2, 3, b"get k", b""), done(4, 5, b"get k", b"a"))
    assert fails(write, done(2, 3, b"get k", b"a"), done(4, 5, b"get k", b""))


def test_linearizability_lost_update() -> None:
    assert fails(done(1, 2, b"append k a", b"a"), done(3, 4, b"append k b", b"b"))
    assert fails(done(1, 4, b"cas k  a", b""), done(2, 3, b"cas k  b", b""))
    assert not fails(done(1, 4, b"cas k  a", b"b"), done(2, 3, b"cas k  b", b""))


def test_linearizability_value_never_written() -> None:
    assert fails(done(1, 2, b"set k a", b""), done(3, 4, b"get k", b"c"))


def test_linearizability_append_applied_twice() -> None:
    once = done(1, 2, b"append k a", b"a")
    assert fails(once, done(3, 4, b"get k", b"aa"))
    assert not fails(once, open_since(1, b"append k a"), done(3, 4, b"get k", b"aa"))


def test_linearizability_unknown_outcome_may_have_taken_effect_or_not() -> None:
    unknown = open_since(1, b"set k a")
    assert not fails(unknown, done(3, 4, b"get k", b"a"))
    assert not fails(unknown, done(3, 4, b"get k", b""))
    assert not fails(unknown, done(3, 4, b"get k", b""), done(5, 6, b"get k", b"a"))
    assert fails(unknown, done(3, 4, b"get k", b"a"), done(5, 6, b"get k", b""))
    assert fails(done(1, 2, b"get k", b"a"), open_since(3, b"set k a"))


def test_linearizability_unknown_outcome_that_ends_takes_no_effect_later() -> None:
    given_up = open_since(1, b"set k a", returned=4)
    assert not fails(given_up, done(2, 3, b"get k", b""), done(5, 6, b"get k", b"a"))
    assert fails(given_up, done(5, 6, b"get k", b""), done(7, 8, b"get k", b"a"))


def test_linearizability_unknown_result_fits_anything() -> None:
    assert not fails(done(1, 2, b"append k a"), done(3, 4, b"get k", b"a"))
    assert fails(done(1, 2, b"append k a"), done(3, 4, b"get k", b""))


def test_linearizability_keys_are_independent_and_the_bad_one_is_named() -> None:
    good = [done(1, 2, b"set a x", b"", "a"), done(3, 4, b"get a", b"x", "a")]
    bad = [done(1, 2, b"set b x", b"", "b"), done(3, 4, b"get b", b"", "b"), done(5, 6, b"get b", b"x", "b")]
    verdict = check([*good, *bad], MODEL)
    assert verdict.explanation is not None
    assert verdict.explanation.startswith("key b: nothing explains [3 - 4]  b'get b' -> b''")
    assert "[5 - 6]" not in verdict.explanation  # the shortest beginning that fails does without it


def test_linearizability_too_many_orders_are_given_up() -> None:
    history = [open_since(1, b"append k %d" % number) for number in range(12)]
    verdict = check([*history, done(2, 3, b"get k", b"none of these")], MODEL, 500)
    assert verdict == (None, 0, 1)


def test_linearizability_many_operations_in_little_time() -> None:
    history, value = [], b""
    for number in range(0, 400, 2):
        value += b"%d;" % number
        history.append(done(number, number + 3, b"append k %d;" % number, value))
    assert check(history, MODEL, 1000) == (None, 1, 0)
