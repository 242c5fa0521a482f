"""Fault F141: the voter's configuration does not name the candidate, and so the voter refuses it.

B lags with {A, B, C}; the cluster is {B, D, E} by now and E is down: D needs B's vote, and B has never heard of D. D's
handshake is right, and that is enough: B hears it and can answer. Likewise a node that is named no more, but by no
committed removal, is heard: it may be the leader who takes the change back.
"""

import pytest

from rafty_core.configuration import Member
from rafty_core.messages import AppendEntries, RequestVote, RequestVoteResponse
from rafty_transports.interfaces import Refused
from tests.transports.connections import NOWHERE, connect_as, identity, messages_of, node, reachable, until

pytestmark = pytest.mark.anyio


async def test_a_candidate_that_the_voter_does_not_know_gets_its_vote() -> None:
    async with reachable("B") as voter, reachable("D") as candidate:
        voter.set_members([Member("A", NOWHERE), Member("B"), Member("C", NOWHERE)], [])
        candidate.set_members([Member("B", voter.address), Member("D"), Member("E", NOWHERE)], [])
        candidate.send(RequestVote("D", "B", 9, 100, 8))
        assert await messages_of(voter, 1) == [RequestVote("D", "B", 9, 100, 8)]
        voter.send(RequestVoteResponse("B", "D", 9, True))
        assert await messages_of(candidate, 1) == [RequestVoteResponse("B", "D", 9, True)]
        assert voter.peers()["D"].guest


async def test_a_voter_that_restarted_is_answered_at_its_new_address() -> None:
    async with reachable("B") as voter:
        for boot in (1, 2):
            async with reachable("D", {"B": voter.address}, boot=boot) as candidate:
                candidate.send(RequestVote("D", "B", 9, 100, boot))
                assert await messages_of(voter, 1) == [RequestVote("D", "B", 9, 100, boot)]
                voter.send(RequestVoteResponse("B", "D", 9, True))
                assert await messages_of(candidate, 1) == [RequestVoteResponse("B", "D", 9, True)]
            await until(lambda: not voter.peers()["D"].accepted)


async def test_a_member_that_is_named_no_more_is_heard_unless_its_removal_is_committed() -> None:
    async with reachable("B") as behind, reachable("A") as leader:
        behind.set_members([Member("A", leader.address), Member("B")], [])
        leader.set_members([Member("A"), Member("B", behind.address)], [])
        await until(lambda: behind.peers()["A"].accepted)
        behind.set_members([Member("B"), Member("C", NOWHERE)], [])  # appended, not committed, and taken back by A
        before = behind._peers["A"].accepted
        behind._peers["A"].end()
        await until(lambda: behind._peers["A"].accepted not in (None, before) and leader.peers()["B"].connected)
        leader.send(AppendEntries("A", "B", 9, 0, 0, 0))
        assert await messages_of(behind, 1) == [AppendEntries("A", "B", 9, 0, 0, 0)]


async def test_a_stranger_of_another_cluster_is_no_guest() -> None:
    async with node("B", {}) as voter:
        with pytest.raises(Refused, match="D to cluster bank"):
            await connect_as(voter.address, identity("D", cluster_id="bank.1"), "B")
        async with await connect_as(voter.address, identity("E"), "B"):
            await until(lambda: list(voter.peers()) == ["E"])
