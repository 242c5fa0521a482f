"""Open proposals: requests that are new, and what an applied entry decides."""

import pytest

from rafty_core.configuration import Configuration
from rafty_core.log import Log
from rafty_core.pending import MOST_BEHIND, MOST_ORIGINS, Accepted, JustApplied, Origin, Proposals

MEMBERS = Configuration.of("A", "B", "C")


def test_request_is_new_once() -> None:
    proposals = Proposals()
    assert proposals.admit(Origin("B", 1, 5), MEMBERS)
    assert not proposals.admit(Origin("B", 1, 5), MEMBERS)
    assert proposals.admit(Origin("B", 1, 3), MEMBERS)
    assert proposals.admit(Origin("C", 1, 5), MEMBERS)


def test_new_life_of_a_node_starts_anew_and_ends_the_old() -> None:
    proposals = Proposals()
    assert proposals.admit(Origin("B", 1, 5), MEMBERS)
    assert proposals.admit(Origin("B", 2, 5), MEMBERS)
    assert not proposals.admit(Origin("B", 1, 6), MEMBERS)


def test_request_far_behind_the_newest_is_not_new() -> None:
    proposals = Proposals()
    assert proposals.admit(Origin("B", 1, MOST_BEHIND + 10), MEMBERS)
    assert not proposals.admit(Origin("B", 1, 10), MEMBERS)
    assert proposals.admit(Origin("B", 1, 11), MEMBERS)


def test_memory_of_requests_is_bounded() -> None:
    proposals = Proposals()
    for sequence in range(1, 3 * MOST_BEHIND):
        assert proposals.admit(Origin("B", 1, sequence), MEMBERS)
    assert len(proposals.windows["B"].seen) <= 2 * MOST_BEHIND
    for number in range(MOST_ORIGINS - 1):
        assert proposals.admit(Origin(f"n{number}", 1, 1), MEMBERS)
    assert not proposals.admit(Origin("one-more", 1, 1), MEMBERS)


def decided(terms: list[int], applied: JustApplied, *accepted: Accepted) -> list[tuple[int, bool, int, list[bytes]]]:
    log = Log()
    for term in terms:
        log.append(term, [b"\x01"])
    proposals = Proposals()
    proposals.accepted.extend(accepted)
    return [(one.first, whole, one.applied, one.results) for one, whole in proposals.decided_by(applied, log)]


def proposal(first: int, last: int, term: int) -> Accepted:
    return Accepted(first, last, term, first, None)


RESULTS = [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("terms", "accepted", "expected"),
    [
        ([1, 1, 1], proposal(1, 3, 1), [(1, True, 3, RESULTS)]),
        ([1, 1, 1], proposal(2, 3, 1), [(2, True, 2, RESULTS[1:])]),
        ([1, 1, 1], proposal(3, 4, 1), []),
        ([1, 1, 1], proposal(4, 4, 1), []),
        ([1, 2, 2], proposal(1, 3, 1), [(1, False, 1, RESULTS[:1])]),
        ([2, 2, 2], proposal(1, 3, 1), [(1, False, 0, [])]),
        ([2, 2, 2], proposal(4, 5, 1), [(4, False, 0, [])]),
    ],
)
def test_applied_entries_decide_by_index_and_term(
    terms: list[int], accepted: Accepted, expected: list[tuple[int, bool, int, list[bytes]]]
) -> None:
    assert decided(terms, JustApplied(1, 3, RESULTS), accepted) == expected


def test_results_of_commands_skip_the_entries_of_raft() -> None:
    log = Log()
    log.append(1, [b"\x00", b"\x01a", b"\x01b"])
    proposals = Proposals()
    proposals.accepted.append(proposal(2, 3, 1))
    ((one, whole),) = proposals.decided_by(JustApplied(1, 3, [b"A", b"B"]), log)
    assert (whole, one.results) == (True, [b"A", b"B"])
