"""Nodes that were bootstrapped with different members are different clusters, though they have one name.

{1, 2, 3} and {3, 4, 5}: each would find a majority of its own, and serve. They refuse each other and say why.
"""

import pytest

from rafty_core import Configuration
from rafty_transports.interfaces import Refused
from rafty_transports.storage.memory import MemoryStore


def test_f146_bootstrapped_differently_refuses_each_other() -> None:
    one = MemoryStore("n1", Configuration.of("n1", "n2", "n3"))
    other = MemoryStore("n4", Configuration.of("n3", "n4", "n5"))
    assert one.identity.cluster_id != other.identity.cluster_id
    with pytest.raises(Refused, match=r"n1,n2,n3.*n3,n4,n5|n3,n4,n5.*n1,n2,n3"):
        one.meet(other.identity)


def test_f146_the_order_in_which_members_are_named_makes_no_difference() -> None:
    one = MemoryStore("n1", Configuration.of("n1", "n2", "n3"))
    other = MemoryStore("n2", Configuration.of("n3", "n2", "n1"))
    assert one.identity.cluster_id == other.identity.cluster_id
    one.meet(other.identity)
