"""What an administrator asks a running node over RESP: members, transfer, snapshot, backup, lease.

Law: *what is refused changes nothing and says why; what is answered is done.*

    RAFTY MEMBERS                                           who the members are, and what this node knows of them
    RAFTY MEMBER ADD id host:port [LEARNER]                 a new voter (caught up as a learner first), or a learner
    RAFTY MEMBER REMOVE id [id ...]                         gone for ever; may return with an empty data directory
    RAFTY MEMBER PROMOTE id | DEMOTE id                     a learner becomes a voter, or a voter a learner
    RAFTY MEMBER REPLACE old new host:port                  both in one change
    RAFTY MEMBER ADDRESS id host:port                       the same member, elsewhere
    RAFTY TRANSFER [id]                                     hands leadership over; answers who leads then
    RAFTY LEASE seconds drift | OFF                         what voters promise for RAFTY READ LEASE
    RAFTY SNAPSHOT                                          takes a snapshot and compacts the log
    RAFTY BACKUP                                            a snapshot that is fetched in pieces; answers what it is
    RAFTY BACKUP READ index term offset                     a piece of it; empty behind its end

Behind MEMBER and LEASE may stand INDEX n (the change is refused unless the configuration in force is that of this
index, as MEMBERS tells it) and FORCE (though too few voters are heard). A change is answered when it is committed;
meanwhile MEMBERS on another connection shows how far it is. Only the leader takes MEMBER, LEASE and TRANSFER; another
node answers NOTLEADER and names it, and nothing has changed. REFUSED is followed by the reason in one word, then in a
sentence. Where the service has a password for administration, all but MEMBERS is for the user admin, and another one is
answered NOPERM.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from rafty_core.changes import Change, Kind
from rafty_core.configuration import Configuration, Lease, Member, check_node_id
from rafty_core.outcomes import ChangeRefused, NotLeader
from rafty_core.status import Status
from rafty_transports import kv, picture, resp
from rafty_transports.addresses import parse_address
from rafty_transports.compaction import SnapshotNotTaken
from rafty_transports.conversation import Conversation
from rafty_transports.exchange import Progress
from rafty_transports.interfaces import Identity, SnapshotInfo, SnapshotStore
from rafty_transports.kv_commands import Refusal, wrong_number
from rafty_transports.storage.errors import StoreError
from rafty_transports.threads import run_in_daemon

PIECE = 1024 * 1024
"""Bytes of a backup that are answered at once."""


class AdministeredNode(Protocol):
    """What administration needs of a node; `rafty_transports.node.Node` has it."""

    identity: Identity

    def status(self) -> Status:
        """See `Node.status`."""
        ...

    def transfers(self) -> list[Progress]:
        """See `Node.transfers`."""
        ...

    async def read(self, mode: Literal["linearizable", "lease", "stale"] = ..., *, at_least: int = ...) -> int:
        """See `Node.read`."""
        ...

    async def change_membership(
        self,
        changes: Sequence[Change],
        *,
        based_on: int = ...,
        force: bool = ...,
        lease: Lease | Literal["keep"] | None,
    ) -> Configuration:
        """See `Node.change_membership`."""
        ...

    async def transfer_leadership(self, target: str | None = ...) -> str:
        """See `Node.transfer_leadership`."""
        ...

    async def snapshot(self) -> SnapshotInfo:
        """See `Node.snapshot`."""
        ...

    def hold_snapshot(self, reader: int, index: int) -> None:
        """See `Node.hold_snapshot`."""
        ...


@dataclass(slots=True)
class _Options:
    """What stood behind the arguments of a change."""

    learner: bool = False
    force: bool = False
    based_on: int = 0


class Administration:
    """Answers the requests above for one node; `snapshots` is where the node keeps its snapshots."""

    def __init__(self, node: AdministeredNode, snapshots: SnapshotStore) -> None:
        self.node = node
        self._snapshots = snapshots
        self._table: dict[bytes, Callable[[list[bytes], Conversation], Awaitable[bytes]]] = {
            b"MEMBERS": self._members,
            b"MEMBER": self._member,
            b"TRANSFER": self._transfer,
            b"LEASE": self._lease,
            b"SNAPSHOT": self._snapshot,
            b"BACKUP": self._backup,
        }

    async def answer(self, request: list[bytes], conversation: Conversation) -> bytes | None:
        """The reply to RAFTY with these words behind it; None if that is not for here.

        Raises `Refusal`, or a `ProposalError` that says what became of a change.
        """
        handler = self._table.get(request[1].upper()) if len(request) > 1 else None
        return None if handler is None else await handler(request[2:], conversation)

    async def _members(self, words: list[bytes], conversation: Conversation) -> bytes:
        if words:
            raise wrong_number("rafty|members")
        pairs = picture.members_of(self.node.identity.cluster_id, self.node.status(), self.node.transfers())
        return resp.bulk(picture.lines(pairs).encode())

    # ------------------------------------------------------------ membership

    async def _member(self, words: list[bytes], conversation: Conversation) -> bytes:
        self._check_leads()
        options = _Options()
        words = _take_options(words, options)
        verb = words[0].upper() if words else b""
        ids = [_node_id(word) for word in (words[1:2] if verb in (b"ADD", b"ADDRESS") else words[1:])]
        if verb == b"ADD" and len(words) == 3:
            changes = self._adding(Member(ids[0], _address(words[2])), options)
        elif verb == b"ADDRESS" and len(words) == 3:
            changes = [Change("update", Member(ids[0], _address(words[2])))]
        elif verb == b"REMOVE" and len(words) > 1:
            changes = [Change("remove", Member(node_id)) for node_id in ids]
        elif verb in (b"PROMOTE", b"DEMOTE") and len(words) == 2:
            changes = [Change("add_voter" if verb == b"PROMOTE" else "add_learner", self._there(ids[0]))]
        elif verb == b"REPLACE" and len(words) == 4:
            changes = self._replacing(ids[0], Member(ids[1], _address(words[3])))
        else:
            raise Refusal(
                "ERR RAFTY MEMBER knows ADD, REMOVE, PROMOTE, DEMOTE, REPLACE and ADDRESS, each with what it needs"
            )
        return await self._change(changes, options, "keep")

    def _check_leads(self) -> None:
        """What a node that does not lead knows of the members may be old, and so it says nothing of them."""
        status = self.node.status()
        if status.role != "leader":
            text = f"{status.id} does not lead; the leader is {status.leader or 'not known'}"
            raise NotLeader(text, status.leader)

    async def _change(
        self, changes: Sequence[Change], options: _Options, lease: Lease | Literal["keep"] | None
    ) -> bytes:
        # What was looked at to make the change must still be in force when it is taken.
        based_on = options.based_on or self.node.status().configuration_index
        await self.node.change_membership(changes, based_on=based_on, force=options.force, lease=lease)
        return resp.OK

    def _adding(self, member: Member, options: _Options) -> list[Change]:
        """A member that is there as it is wanted changes nothing, so that the request may be repeated."""
        configuration = self.node.status().configuration
        there = configuration.member(member.id)
        wanted = "learner" if options.learner else "voter"
        if there is not None and configuration.at_rest:
            role = picture.role_of(configuration, member.id)
            if role != wanted or there.address != member.address:
                raise ChangeRefused(
                    "exists", f"{member.id} is a member already, a {role} at {there.address or 'no address'}"
                )
            return []
        kind: Kind = "add_learner" if options.learner else "add_voter"
        return [Change(kind, member)]

    def _there(self, node_id: str) -> Member:
        member = self.node.status().configuration.member(node_id)
        if member is None:
            raise ChangeRefused("unknown", f"{node_id} is no member of this cluster")
        return member

    def _replacing(self, old: str, new: Member) -> list[Change]:
        self._there(old)
        configuration = self.node.status().configuration
        if configuration.member(new.id) is not None:
            raise ChangeRefused("exists", f"{new.id} is a member already; replace {old} by a new one, or remove it")
        kind: Kind = "add_voter" if old in configuration.voter_ids else "add_learner"
        return [Change(kind, new), Change("remove", Member(old))]

    async def _lease(self, words: list[bytes], conversation: Conversation) -> bytes:
        options = _Options()
        words = _take_options(words, options, 1)
        if len(words) == 1 and words[0].upper() == b"OFF":
            return await self._change([], options, None)
        if len(words) != 2:
            raise Refusal("ERR RAFTY LEASE knows <seconds> <drift>, and OFF")
        try:
            lease = Lease(float(words[0]), float(words[1]))
        except ValueError as error:
            raise Refusal(f"ERR {error}; give seconds, and the drift of clocks as a fraction such as 0.01") from None
        return await self._change([], options, lease)

    async def _transfer(self, words: list[bytes], conversation: Conversation) -> bytes:
        if len(words) > 1:
            raise wrong_number("rafty|transfer")
        leader = await self.node.transfer_leadership(_node_id(words[0]) if words else None)
        return resp.bulk(leader.encode())

    # ------------------------------------------------------------- snapshots

    async def _snapshot(self, words: list[bytes], conversation: Conversation) -> bytes:
        if words:
            raise wrong_number("rafty|snapshot")
        return _described(await self._taken())

    async def _backup(self, words: list[bytes], conversation: Conversation) -> bytes:
        if words:
            return await self._piece(words, conversation)
        applied = await self.node.read(conversation.read_mode, at_least=conversation.at_least)
        newest = next(iter(await run_in_daemon(self._snapshots.infos)), None)
        if newest is None or newest.snapshot.index < applied:
            newest = await self._taken()
        self.node.hold_snapshot(id(conversation), newest.snapshot.index)
        return _described(newest)

    async def _taken(self) -> SnapshotInfo:
        if self.node.status().applied_index == 0:
            raise Refusal("ERR nothing has been applied here yet, so that there is nothing to take a snapshot of")
        try:
            return await self.node.snapshot()
        except SnapshotNotTaken as error:
            raise Refusal(f"ERR {error}") from None

    async def _piece(self, words: list[bytes], conversation: Conversation) -> bytes:
        numbers = [kv.parse_integer(word) for word in words[1:]]
        if words[0].upper() != b"READ" or len(numbers) != 3:
            raise Refusal("ERR RAFTY BACKUP knows READ <index> <term> <offset>, or nothing behind it")
        index, term, offset = numbers
        if index is None or term is None or offset is None or offset < 0:
            raise Refusal("ERR index, term and offset are numbers of 0 or more")
        try:
            data = await run_in_daemon(self._snapshots.read, index, term, offset, PIECE)
        except LookupError:
            raise Refusal(f"ERR the snapshot of index {index} is not here any more; begin the backup again") from None
        except (OSError, StoreError) as error:
            raise Refusal(f"ERR the snapshot of index {index} cannot be read: {error}") from None
        self.node.hold_snapshot(id(conversation), index)
        return resp.bulk(data)


def _described(info: SnapshotInfo) -> bytes:
    snapshot = info.snapshot
    pairs = [("index", snapshot.index), ("term", snapshot.term), ("size", info.size), ("digest", info.digest)]
    return resp.bulk(picture.lines([(name, str(value)) for name, value in pairs]).encode())


def _take_options(words: list[bytes], options: _Options, first: int = 2) -> list[bytes]:
    """The words that are no options, which stand at `first` or behind; LEARNER, FORCE and INDEX n are noted."""
    rest = words[:first]
    position = first
    while position < len(words):
        word = words[position].upper()
        if word == b"LEARNER" and rest[0].upper() == b"ADD":
            options.learner = True
        elif word == b"FORCE":
            options.force = True
        elif word == b"INDEX" and position + 1 < len(words):
            position += 1
            index = kv.parse_integer(words[position])
            if index is None or index < 1:
                raise Refusal("ERR INDEX is followed by the index of a configuration, as RAFTY MEMBERS tells it")
            options.based_on = index
        else:
            rest.append(words[position])
        position += 1
    return rest


def _node_id(word: bytes) -> str:
    try:
        node_id = word.decode("ascii", "backslashreplace")
        check_node_id(node_id)
    except ValueError as error:
        raise Refusal(f"ERR {error}") from None
    return node_id


def _address(word: bytes) -> str:
    address = word.decode("ascii", "backslashreplace")
    try:
        parts = parse_address(address)
    except ValueError as error:
        raise Refusal(f"ERR {error}") from None
    if not parts.host or not parts.port:
        raise Refusal(f"ERR {address!r:.100} is no address that others can reach: give host:port")
    return address
