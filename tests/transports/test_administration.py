"""Administration over RESP: how requests are understood, what is refused before the node hears of it, what is shown."""

from collections.abc import Sequence
from typing import Literal

import pytest

from rafty_core import Configuration, Member, PeerStatus, Status
from rafty_core.changes import Change
from rafty_core.configuration import Lease
from rafty_core.outcomes import ChangeRefused, NotLeader, OutcomeUnknown, ProposalError, TransferFailed
from rafty_core.stable import Snapshot
from rafty_transports import picture
from rafty_transports.administration import Administration
from rafty_transports.compaction import SnapshotNotTaken
from rafty_transports.exchange import Progress
from rafty_transports.interfaces import Identity, SnapshotInfo
from rafty_transports.members_view import members_in, table
from rafty_transports.progress_view import progress_of
from rafty_transports.storage import MemoryStore
from tests.transports.service_kit import Client, OneReplica, connected, serving

pytestmark = pytest.mark.anyio

THREE = Configuration(
    voters=(Member("n1", "h:1", "i1"), Member("n2", "h:2", "i2")),
    learners=(Member("n3", "h:3", "i3"),),
    removed=(Member("n9", "h:9", "i9"),),
)


class AdministeredReplica(OneReplica):
    """A node that notes what it is asked to change, and answers as it is told."""

    def __init__(self, configuration: Configuration = THREE, role: str = "leader") -> None:
        super().__init__()
        self.store = MemoryStore("n1", Configuration.of("n1"))
        self.identity: Identity = self.store.identity
        self.configuration = configuration
        self.role = role
        self.asked: list[object] = []
        self.outcome: Exception | None = None

    def status(self) -> Status:
        peers = (
            PeerStatus("n2", 5, 6, "replicate", False, 1, 10, 0.25, True),
            PeerStatus("n3", 2, 6, "snapshot", False, 0, 0, 9.0, False, 5, 3),
        )
        leader = "n1" if self.role == "leader" else "n2"
        return Status(
            "n1", self.role, 3, None, leader, 5, 4, 5, 6, 0, self.configuration,
            peers if self.role == "leader" else (), 1, 0, configuration_index=4,
        )  # fmt: skip

    async def change_membership(
        self,
        changes: Sequence[Change],
        *,
        based_on: int = 0,
        force: bool = False,
        lease: Lease | Literal["keep"] | None = "keep",
    ) -> Configuration:
        told = [(change.kind, change.member.id, change.member.address) for change in changes]
        self.asked.append((told, based_on, force, lease))
        if self.outcome is not None:
            raise self.outcome
        return self.configuration

    def hold_snapshot(self, reader: int, index: int) -> None:
        pass

    async def transfer_leadership(self, target: str | None = None) -> str:
        self.asked.append(target)
        if self.outcome is not None:
            raise self.outcome
        return target or "n2"

    async def snapshot(self) -> SnapshotInfo:
        if self.outcome is not None:
            raise self.outcome
        writer = self.store.snapshots.create(Snapshot(4, 3, self.configuration))
        writer.write(bytes(2_000_000))
        return writer.finish()


def administered(node: AdministeredReplica) -> Administration:
    return Administration(node, node.store.snapshots)


ADD = "RAFTY MEMBER ADD n4 h:4"


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (ADD, ([("add_voter", "n4", "h:4")], 4, False, "keep")),
        ("rafty member add n4 h:4 learner", ([("add_learner", "n4", "h:4")], 4, False, "keep")),
        (f"{ADD} INDEX 3 FORCE", ([("add_voter", "n4", "h:4")], 3, True, "keep")),
        (f"{ADD} FORCE LEARNER INDEX 12", ([("add_learner", "n4", "h:4")], 12, True, "keep")),
        ("RAFTY MEMBER ADD n2 h:2", ([], 4, False, "keep")),
        ("RAFTY MEMBER REMOVE n2", ([("remove", "n2", "")], 4, False, "keep")),
        ("RAFTY MEMBER REMOVE n2 n3 FORCE", ([("remove", "n2", ""), ("remove", "n3", "")], 4, True, "keep")),
        ("RAFTY MEMBER PROMOTE n3", ([("add_voter", "n3", "h:3")], 4, False, "keep")),
        ("RAFTY MEMBER DEMOTE n2", ([("add_learner", "n2", "h:2")], 4, False, "keep")),
        ("RAFTY MEMBER ADDRESS n2 h:22", ([("update", "n2", "h:22")], 4, False, "keep")),
        ("RAFTY MEMBER REPLACE n2 n4 h:4", ([("add_voter", "n4", "h:4"), ("remove", "n2", "")], 4, False, "keep")),
        ("RAFTY MEMBER REPLACE n3 n4 h:3", ([("add_learner", "n4", "h:3"), ("remove", "n3", "")], 4, False, "keep")),
        ("RAFTY LEASE 0.4 0.01", ([], 4, False, Lease(0.4, 0.01))),
        ("RAFTY LEASE OFF INDEX 4", ([], 4, False, None)),
    ],
)
async def test_change_as_the_node_is_asked_for_it(request_: str, asked: object) -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        await client.ask(request_.encode() + b"\r\n", b"+OK\r\n")
    assert node.asked == [asked]


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        ("RAFTY MEMBER", "ERR RAFTY MEMBER knows ADD, REMOVE"),
        ("RAFTY MEMBER FIRE n2", "ERR RAFTY MEMBER knows ADD, REMOVE"),
        ("RAFTY MEMBER ADD n4", "ERR RAFTY MEMBER knows ADD, REMOVE"),
        ("RAFTY MEMBER REMOVE", "ERR RAFTY MEMBER knows ADD, REMOVE"),
        ("RAFTY MEMBER ADD n4 h", "ERR an address is host:port, not 'h'"),
        ("RAFTY MEMBER ADD n4 :7", "ERR ':7' is no address that others can reach"),
        ("RAFTY MEMBER ADD n4 h:0", "ERR 'h:0' is no address that others can reach"),
        ('RAFTY MEMBER ADD "n 4" h:4', "ERR a node id has printable ASCII characters only"),
        (f"{ADD} INDEX", "ERR RAFTY MEMBER knows ADD, REMOVE"),
        (f"{ADD} INDEX x", "ERR INDEX is followed by the index of a configuration"),
        ("RAFTY MEMBER ADD n2 h:5", "REFUSED exists n2 is a member already, a voter at h:2"),
        ("RAFTY MEMBER ADD n2 h:2 LEARNER", "REFUSED exists n2 is a member already, a voter at h:2"),
        ("RAFTY MEMBER ADD n3 h:3", "REFUSED exists n3 is a member already, a learner at h:3"),
        ("RAFTY MEMBER PROMOTE n7", "REFUSED unknown n7 is no member of this cluster"),
        ("RAFTY MEMBER REPLACE n7 n4 h:4", "REFUSED unknown n7 is no member of this cluster"),
        ("RAFTY MEMBER REPLACE n2 n3 h:4", "REFUSED exists n3 is a member already"),
        ("RAFTY LEASE", "ERR RAFTY LEASE knows <seconds> <drift>, and OFF"),
        ("RAFTY LEASE 1 2", "ERR no voter can promise a lease of 1.0 s with a drift of 2.0"),
        ("RAFTY LEASE x y", "ERR could not convert string to float"),
        ("RAFTY TRANSFER n1 n2", "ERR wrong number of arguments for 'rafty|transfer' command"),
        ("RAFTY MEMBERS x", "ERR wrong number of arguments for 'rafty|members' command"),
        ("RAFTY SNAPSHOT x", "ERR wrong number of arguments for 'rafty|snapshot' command"),
        ("RAFTY BACKUP READ 1 2", "ERR RAFTY BACKUP knows READ <index> <term> <offset>"),
        ("RAFTY BACKUP READ 1 2 -3", "ERR index, term and offset are numbers of 0 or more"),
        ("RAFTY BACKUP READ 1 2 0", "ERR the snapshot of index 1 is not here any more"),
        ("RAFTY FLY", "ERR RAFTY knows STATUS, INDEX"),
    ],
)
async def test_request_without_sense_is_not_carried_out(request_: str, reply: str) -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        await client.ask(request_.encode() + b"\r\n", f"-{reply}".encode())
    assert node.asked == []


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (
            ChangeRefused("in_progress", "another change is under way"),
            b"-REFUSED in_progress another change is under way",
        ),
        (NotLeader("n1 does not lead; the leader is n2", "n2"), b"-NOTLEADER n1 does not lead; the leader is n2"),
        (OutcomeUnknown("the node stopped"), b"-UNKNOWN the node stopped (may still be applied)"),
        (TransferFailed("n2 is no voter"), b"-TRANSFERFAILED n2 is no voter"),
    ],
)
async def test_outcome_of_a_change_is_named(outcome: ProposalError, reply: bytes) -> None:
    node = AdministeredReplica()
    node.outcome = outcome
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        for request in (ADD, "RAFTY LEASE OFF", "RAFTY TRANSFER n2"):
            await client.ask(request.encode() + b"\r\n", reply + b"\r\n")


async def test_node_that_does_not_lead_names_the_leader_whatever_is_asked() -> None:
    node = AdministeredReplica(role="follower")
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        for words in ("ADD n2 h:9", "PROMOTE n7", "REMOVE n1"):
            request = f"RAFTY MEMBER {words}\r\n".encode()
            await client.ask(request, b"-NOTLEADER n1 does not lead; the leader is n2\r\n")
    assert node.asked == []


async def test_transfer_answers_who_leads() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        await client.ask(b"RAFTY TRANSFER\r\nRAFTY TRANSFER n2\r\n", b"$2\r\nn2\r\n" * 2)
    assert node.asked == [None, "n2"]


async def facts(client: Client, request: bytes) -> dict[str, str]:
    return dict(line.split(":", 1) for line in (await client.bulk(request)).split())


async def test_members_of_a_leader_and_of_a_follower() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        shown = await facts(client, b"RAFTY MEMBERS\r\n")
        assert shown == {
            "cluster_id": node.identity.cluster_id, "configuration_index": "4", "committed": "yes", "change": "none",
            "lease": "none", "id": "n1", "leader": "n1",
            "member.n1": "role=voter,address=h:1,incarnation=i1,reachable=yes,match=5,lag=1,flow=itself",
            "member.n2": "role=voter,address=h:2,incarnation=i2,reachable=yes,match=5,lag=1,flow=replicate",
            "member.n3": "role=learner,address=h:3,incarnation=i3,reachable=no,match=2,lag=4,flow=snapshot,"
            "catching_up=3",
            "removed": "n9", "snapshot.n2": "to=n2,index=5,done=1000,size=4000",
        }  # fmt: skip
        node.role = "follower"
        shown = await facts(client, b"RAFTY MEMBERS\r\n")
        assert shown["leader"] == "n2"
        assert shown["member.n2"] == "role=voter,address=h:2,incarnation=i2"


async def test_backup_in_pieces_is_what_the_store_holds() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node)) as server, connected(server) as client:
        shown = await facts(client, b"RAFTY BACKUP\r\n")
        (info,) = node.store.snapshots.infos()
        assert shown == {"index": "4", "term": "3", "size": str(info.size), "digest": info.digest}
        whole = b""
        while len(whole) < info.size:
            piece = node.store.snapshots.read(4, 3, len(whole), 1 << 20)
            await client.ask(b"RAFTY BACKUP READ 4 3 %d\r\n" % len(whole), b"$%d\r\n%b\r\n" % (len(piece), piece))
            whole += piece
        await client.ask(b"RAFTY BACKUP READ 4 3 %d\r\n" % info.size, b"$0\r\n\r\n")
        node.outcome = SnapshotNotTaken("a snapshot is being taken already; wait for it")
        assert await facts(client, b"RAFTY BACKUP\r\n") == shown  # the one that is there is as new as the state
        await client.ask(b"RAFTY SNAPSHOT\r\n", b"-ERR a snapshot is being taken already; wait for it\r\n")
    assert node.reads == [("linearizable", 0)] * 2


async def test_strangers_administer_nothing() -> None:
    node = AdministeredReplica()
    service = serving(node, administration=administered(node), password="secret")
    async with service as server, connected(server) as client:
        noauth = b"-NOAUTH Authentication required.\r\n"
        await client.ask(b"RAFTY MEMBER REMOVE n2\r\nRAFTY BACKUP\r\nRAFTY SESSION OPEN\r\n", noauth * 3)
    assert node.asked == []


JOINT = Configuration(
    voters=(Member("n1"), Member("n4")),
    outgoing=(Member("n1"), Member("n2"), Member("n3")),
    learners_next=(Member("n3"),),
    learners=(Member("n5"),),
)
CATCHING = Configuration(
    voters=(Member("n1"),), learners=(Member("n4"),), newcomers=("n4",), goal=Configuration.of("n1", "n4")
)


@pytest.mark.parametrize(
    ("configuration", "roles"),
    [
        (JOINT, {"n1": "voter", "n2": "outgoing", "n3": "learner-to-be", "n4": "voter", "n5": "learner"}),
        (CATCHING, {"n1": "voter", "n4": "voter-to-be"}),
    ],
)
def test_role_of_each_member(configuration: Configuration, roles: dict[str, str]) -> None:
    assert {member.id: picture.role_of(configuration, member.id) for member in configuration.members} == roles


def test_what_a_person_sees_of_a_change() -> None:
    node = AdministeredReplica(CATCHING)
    status = node.status()
    found = members_in(dict(picture.members_of("rafty.1", status, [Progress("n4", False, 5, 1_000_000, 4_000_000)])))
    assert progress_of(found) == "n4 has fetched 1.0 of 4.0 MB of a snapshot"
    found.transfers.clear()
    found.members["n4"] |= {"catching_up": "2", "lag": "70"}
    assert progress_of(found) == "n4 is caught up, round 2: 70 entries behind"
    assert table(found).splitlines()[0] == "cluster rafty.1, configuration 4, n1 leads, new voters are caught up"
    found = members_in(dict(picture.members_of("rafty.1", AdministeredReplica(JOINT).status())))
    assert progress_of(found) == "old and new voters decide together (configuration 4)"
