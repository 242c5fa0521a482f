"""Counters of refusals: a fixed set of reasons, in their order."""

import pytest

from rafty_transports.refusals import Refusals


def test_every_reason_is_shown_in_order_also_those_that_never_occurred() -> None:
    refusals = Refusals(("slow", "denied", "protocol"))
    refusals.count("protocol")
    refusals.count("slow")
    refusals.count("protocol")
    assert refusals.items() == [("slow", 1), ("denied", 0), ("protocol", 2)]


def test_reason_that_was_not_named_is_a_mistake_and_becomes_no_key() -> None:
    refusals = Refusals(("slow",))
    with pytest.raises(ValueError, match=r"'GET / HTTP/1\.1' is no reason for a refusal here"):
        refusals.count("GET / HTTP/1.1")
    assert refusals.items() == [("slow", 0)]


def test_list_is_a_copy() -> None:
    refusals = Refusals(("slow",))
    refusals.items().clear()
    assert refusals.items() == [("slow", 0)]
