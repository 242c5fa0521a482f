"""Conformance kits: what the three seams promise, as tests for those who implement them.

Law: *an implementation is right if the kit cannot break it; the error names the rule and what was seen.*

    check_transport       a `Transport`, or a `MembersTransport`
    check_log_store       a `LogStore` with its `SnapshotStore`
    check_state_machine   a `StateMachine`, with `snapshot`, `restore` and `applied_index` if it has them

They need no test framework, only what rafty needs. Read the docstring of each for its rules, then the functions in its
table `RULES`: `transport`, `log_store`, `state_machine`.
"""

from rafty_transports.testing.conformance import ConformanceError
from rafty_transports.testing.log_store import check_log_store
from rafty_transports.testing.state_machine import check_state_machine
from rafty_transports.testing.transport import check_transport

__all__ = ["ConformanceError", "check_log_store", "check_state_machine", "check_transport"]
