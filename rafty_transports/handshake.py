"""A connection begins with names: both sides say who they are, and neither counts a message before both agree.

Law: *whoever refuses says why in one sentence, and both sides know the sentence.*

A connection carries messages one way, from the node that dialed. It says `Hello` (magic, protocol versions, cluster,
itself, whom it believes to have reached, and where itself is reached); the other answers `Welcome` (itself, and the
highest version that both speak) or `Refusal`; the dialing node looks at the answer and says `Begin`, or refuses in its
turn, or says `Farewell` if it only wanted to know who is there. The format of `Hello` is fixed for ever: whatever a
later version adds stands behind the fields of today and is ignored.

What is compared: the cluster id (nodes bootstrapped differently are different clusters), the group, the node id that
was meant, whether the peer was removed; and `admit` compares, durably, incarnation and boot (fault F130). A store that
fails inside `admit` is not the peer's fault: its error leaves as it is. A refusal of a node that a committed
configuration removed carries a code beside its sentence, so that a program too can tell: here that is
`RemovedFromCluster`, and it is always said of this node itself (fault F66).
"""

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias
from zlib import crc32

import anyio
import msgpack
from anyio.abc import ByteStream

from rafty_core.configuration import check_node_id
from rafty_core.entries import LARGEST
from rafty_transports.codec import VERSION
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.packing import DecodeError
from rafty_transports.threads import NoThread, OneEach

ENDED: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
"""How a stream says that it is over."""

MAGIC: Final = b"rfty"
"""The first bytes of everything said in a handshake."""

HELLO_LIMIT: Final = 4096
"""Limit in bytes on anything said in a handshake."""

TEXT_LIMIT: Final = 1000
"""The initial configuration and reasons are cut to this many characters: they are words for people."""

INCARNATION_LIMIT: Final = 64
"""Limit in characters on an incarnation, which is kept for ever of whoever is met."""

STORED_AT_ONCE: Final = 16
"""So many peers are stored at the same time, at most; one after the other, if the disk is one."""

HANDSHAKE_SECONDS: Final = 5.0
"""A connection that has not agreed after this many seconds is closed, on both sides."""

Admit: TypeAlias = Callable[[Identity], None]
"""Stores durably that this peer was met, or raises `Refused`. Blocking: it is called in a thread of its own."""

REMOVED: Final = "removed"
"""The code of a refusal that says: a committed configuration removed you, and you never return as you are."""

BOTH_THE_SAME: Final = "start both with certificates, or both without"
"""What to do when one side speaks TLS and the other one does not."""

Check: TypeAlias = Callable[[Identity], None]
"""Raises `Refused` for a peer that must not be heard, `RemovedFromCluster` for one that must be told so."""

_HELLO, _WELCOME, _BEGIN, _REFUSAL, _FAREWELL = 1, 2, 3, 4, 5
_PREFIX = struct.Struct(">4sHI")
_TLS = (b"\x16\x03", b"\x15\x03")  # how a handshake of TLS begins, and how an alert does
_GROUP = 0
_LINGER_SECONDS = 0.5


class HandshakeFailed(Exception):
    """The connection ended, or kept silent, before both sides agreed; the text is one sentence.

    `reason` is a word for counting, as that of `Refused`.
    """

    def __init__(self, text: str, reason: str = "silent") -> None:
        super().__init__(text)
        self.reason = reason


class OnlyAsked(HandshakeFailed):
    """The dialing node wanted to know who is here, and nothing else."""


def all_pass(_: Identity) -> None:
    """The `Check` that refuses nobody."""


async def dial(
    stream: ByteStream,
    mine: Identity,
    peer: str,
    admission: "Admission",
    *,
    check: Check = all_pass,
    seconds: float = HANDSHAKE_SECONDS,
) -> Identity:
    """Open a connection that this node dialed in order to reach `peer`; return who answered.

    Raises `Refused` with the reason if either side refuses, `RemovedFromCluster` if the other side says that this node
    was removed, `HandshakeFailed` if the other side ends the connection, keeps silent for `seconds`, or is no node of
    rafty. Does not close `stream`.
    """
    refused: Refused | None = None
    with anyio.move_on_after(seconds):
        reply = await _greet(stream, mine, peer)
        try:
            theirs = _check_welcome(reply, mine, peer)
            check(theirs)
            await admission.ask(theirs)
            check(theirs)  # the members may have changed while the disk was waited for (R217)
            await _send(stream, [_BEGIN])
            return theirs
        except Refused as refusal:
            refused = Refused(str(refusal), refusal.reason)
            await refuse(stream, refusal)
    if refused is not None:
        raise refused
    raise HandshakeFailed(f"{peer} did not finish the handshake within {seconds:g} s")


async def identify(stream: ByteStream, mine: Identity, peer: str, *, seconds: float = HANDSHAKE_SECONDS) -> Identity:
    """Ask on a connection that this node dialed who is there: it must be `peer`, of this cluster. Nobody is admitted.

    Raises as `dial` does. Does not close `stream`.
    """
    with anyio.move_on_after(seconds):
        theirs = _check_welcome(await _greet(stream, mine, peer), mine, peer)
        await _send(stream, [_FAREWELL])
        return theirs
    raise HandshakeFailed(f"{peer} did not finish the handshake within {seconds:g} s")


async def _greet(stream: ByteStream, mine: Identity, peer: str) -> list[Any]:
    await _send(stream, _hello(mine, peer))
    reply = await _Reader(stream).read(f"the node that was dialed as {peer}")
    if reply[0] == _REFUSAL:
        raise _refusal(reply)
    return reply


async def answer(
    stream: ByteStream,
    mine: Identity,
    check: Check,
    admission: "Admission",
    *,
    seconds: float = HANDSHAKE_SECONDS,
) -> tuple[Identity, bytes]:
    """Open a connection that this node accepted; return who dialed, and what came in behind the handshake.

    `check` is asked first. Raises as `dial` does, and `OnlyAsked`; the `peer` of a `RefusedPeer` is the id that the
    dialing node gave itself, or None.
    """
    peer: str | None = None
    refused: RefusedPeer | None = None
    with anyio.move_on_after(seconds):
        reader = _Reader(stream)
        try:
            hello = await reader.read("the dialing node")
            _check_versions(hello)
            theirs = _identity(hello, 4, address=10)
            peer = theirs.node_id
            _check_hello(hello, theirs, mine)
            check(theirs)
            await admission.ask(theirs)
        except Refused as refusal:
            refused = RefusedPeer(str(refusal), peer, refusal.reason)
            await refuse(stream, refusal)
        else:
            await _send(stream, [_WELCOME, VERSION, *_names(mine), mine.address[:TEXT_LIMIT]])
            _check_begin(await reader.read(f"{peer}"), peer)
            return theirs, reader.rest
    if refused is not None:
        raise refused
    raise HandshakeFailed(f"{peer or 'a connection'} did not finish the handshake within {seconds:g} s")


def _check_begin(begin: list[Any], peer: str) -> None:
    if begin[0] == _REFUSAL:
        refusal = _refusal(begin)
        raise refusal if isinstance(refusal, RemovedFromCluster) else RefusedPeer(str(refusal), peer)
    if begin[0] == _FAREWELL:
        raise OnlyAsked(f"{peer} asked who is here")
    if begin[0] != _BEGIN:
        raise HandshakeFailed(f"{peer} broke the handshake: it did not begin", "protocol")


class Admission:
    """Asks `admit` without waiting for the disk longer than the handshake does.

    A store that hangs must keep neither the transport from closing nor the process from ending: its thread is left
    behind then, one for each peer at most, and `STORED_AT_ONCE` in all, for strangers have any names they like (R209).
    """

    def __init__(self, admit: Admit) -> None:
        self._admit = admit
        self._threads = OneEach(STORED_AT_ONCE)

    async def ask(self, peer: Identity) -> None:
        """Return once this peer is durably met. Raises what `admit` raises, and `Refused` if it cannot be called."""
        try:
            await self._threads.run(peer.node_id, self._admit, peer)
        except NoThread as error:
            raise Refused(f"{peer.node_id} is not met now: {error}") from error


class RefusedPeer(Refused):
    """A dialing node was refused, or refused this one; `peer` is the id that it gave itself, None if it gave none."""

    def __init__(self, text: str, peer: str | None, reason: str = "other") -> None:
        super().__init__(text, reason)
        self.peer = peer


def difference(one: str, other: str) -> str:
    """What two initial configurations in words ("n1,n2,n3") do not have in common, as the end of a sentence."""
    ours, theirs = ({name.strip() for name in words.split(",") if name.strip()} for words in (one, other))
    parts = [f"only one has {name}" for name in sorted(ours - theirs)]
    parts += [f"only the other has {name}" for name in sorted(theirs - ours)]
    return f"one was bootstrapped with {one}, the other with {other}" + "".join(f"; {part}" for part in parts)


def _names(identity: Identity) -> list[Any]:
    fields = [identity.cluster_id, identity.node_id, identity.incarnation, identity.boot]
    return [*fields, identity.bootstrap[:TEXT_LIMIT]]


def _hello(mine: Identity, peer: str) -> list[Any]:
    return [_HELLO, VERSION, VERSION, _GROUP, *_names(mine), peer, mine.address[:TEXT_LIMIT]]


def _check_versions(hello: list[Any]) -> None:
    if hello[0] != _HELLO or len(hello) < 10 or any(type(value) is not int for value in hello[1:4]):
        raise Refused("this is no Hello of rafty: its fields are not those of one", "protocol")
    lowest, highest, group = hello[1:4]
    if not lowest <= VERSION <= highest:
        raise Refused(
            f"no common protocol version: the dialing node speaks {lowest} to {highest}, the other only {VERSION}; "
            "upgrade the older",
            "version",
        )
    if group != _GROUP:
        raise Refused(f"the dialing node asks for Raft group {group:d}, and there is only group {_GROUP}", "version")


def _check_hello(hello: list[Any], theirs: Identity, mine: Identity) -> None:
    _check_cluster(theirs, mine)
    meant = _text(hello, 9)
    if meant != mine.node_id:
        raise Refused(f"{theirs.node_id} dialed {meant!r:.80} and reached {mine.node_id}: an address is wrong", "name")


def _check_welcome(reply: list[Any], mine: Identity, peer: str) -> Identity:
    if reply[0] != _WELCOME or len(reply) < 7:
        raise Refused(f"what answers at the address of {peer} broke the handshake: it neither welcomes nor refuses")
    if reply[1] != VERSION:
        raise Refused(f"{peer} chose protocol version {reply[1]!r:.20}, and {mine.node_id} speaks only {VERSION}")
    theirs = _identity(reply, 2, address=7)
    _check_cluster(mine, theirs)
    if theirs.node_id != peer:
        raise Refused(f"{mine.node_id} dialed {peer} and reached {theirs.node_id}: an address is wrong")
    return theirs


def _check_cluster(one: Identity, other: Identity) -> None:
    if one.cluster_id == other.cluster_id:
        return
    one, other = sorted((one, other), key=lambda identity: identity.node_id)  # the same sentence in both directions
    text = f"{one.node_id} belongs to cluster {one.cluster_id}, {other.node_id} to cluster {other.cluster_id}"
    same_name = one.cluster_id.rpartition(".")[0] == other.cluster_id.rpartition(".")[0]
    if same_name and one.bootstrap and other.bootstrap and one.bootstrap != other.bootstrap:  # who joined has none
        text += f": {difference(one.bootstrap, other.bootstrap)}"
    raise Refused(text, "cluster")


def _identity(fields: list[Any], start: int, address: int) -> Identity:
    """Who a peer says that it is, in the fields from `start` on; and where it is reached, in the field `address`."""
    cluster_id, node_id, incarnation, boot, bootstrap = fields[start : start + 5]
    reached = fields[address] if len(fields) > address else ""
    try:
        check_node_id(node_id)
    except ValueError as error:
        raise Refused(f"a peer gives itself no legal name: {error}", "name") from error
    texts = (cluster_id, incarnation, bootstrap, reached)
    if not all(type(text) is str and len(text) <= TEXT_LIMIT and text.isprintable() for text in texts):
        raise Refused(
            f"{node_id} gives a cluster id, an incarnation, an address or a configuration that is no text", "protocol"
        )
    if len(incarnation) > INCARNATION_LIMIT:
        raise Refused(f"{node_id} gives an incarnation of more than {INCARNATION_LIMIT} characters", "protocol")
    if type(boot) is not int or not 0 <= boot <= LARGEST:
        raise Refused(f"{node_id} gives a boot that is no number: {boot!r:.40}", "protocol")
    return Identity(cluster_id, node_id, incarnation, boot, bootstrap, reached)


def _text(fields: list[Any], position: int) -> str:
    text = fields[position] if len(fields) > position else None
    return printable(text[:TEXT_LIMIT]) if isinstance(text, str) else "refused, without a readable reason"


def printable(text: str) -> str:
    """`text`, which somebody else wrote, for a line of a log or of a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


async def _send(stream: ByteStream, fields: list[Any]) -> None:
    body: bytes = msgpack.packb(fields, unicode_errors="replace")
    try:
        await stream.send(_PREFIX.pack(MAGIC, len(body), crc32(body)) + body)
    except ENDED as error:
        raise HandshakeFailed("the other side ended the connection during the handshake") from error


def _refusal(fields: list[Any]) -> Refused:
    if len(fields) > 2 and fields[2] == REMOVED:
        return RemovedFromCluster(_text(fields, 1))
    return Refused(_text(fields, 1))


async def refuse(stream: ByteStream, refusal: Refused) -> None:
    """Say why, and wait a moment for the other side to hang up: a reset would destroy the reason on its way."""
    with anyio.move_on_after(_LINGER_SECONDS):
        try:
            code = [REMOVED] if isinstance(refusal, RemovedFromCluster) else []
            await _send(stream, [_REFUSAL, str(refusal)[:TEXT_LIMIT], *code])
            for _ in range(64):
                await stream.receive(1024)
        except (HandshakeFailed, *ENDED):
            return


class _Reader:
    """Reads what is said in a handshake, one sentence at a time; `rest` is what came in behind it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.rest = b""

    async def read(self, who: str) -> list[Any]:
        """The next sentence, as a non-empty list. `Refused` if it is none of this protocol."""
        await self._fill(len(MAGIC), who)
        if self.rest.startswith(_TLS):
            raise Refused(f"{who} speaks TLS, and the other side plain text; {BOTH_THE_SAME}", "tls")
        if self.rest[: len(MAGIC)] != MAGIC:
            raise Refused(f"{who} does not speak the protocol of rafty: it begins with {self.rest[:8]!r}", "protocol")
        await self._fill(_PREFIX.size, who)
        _, length, crc = _PREFIX.unpack_from(self.rest)
        if length > HELLO_LIMIT:
            raise Refused(
                f"{who} announces {length} bytes in the handshake, and {HELLO_LIMIT} is the limit", "protocol"
            )
        end = _PREFIX.size + length
        await self._fill(end, who)
        body, self.rest = self.rest[_PREFIX.size : end], self.rest[end:]
        try:
            return _fields(body, crc)
        except DecodeError as error:
            raise Refused(f"{who} breaks the handshake: {error}", "protocol") from error

    async def _fill(self, count: int, who: str) -> None:
        while len(self.rest) < count:
            try:
                self.rest += await self._stream.receive(HELLO_LIMIT)
            except ENDED as error:
                raise HandshakeFailed(f"{who} ended the connection during the handshake") from error


def _fields(body: bytes, crc: int) -> list[Any]:
    if crc32(body) != crc:
        raise DecodeError("a CRC is wrong")
    try:
        fields = msgpack.unpackb(
            body, max_array_len=32, max_map_len=0, max_ext_len=0, max_bin_len=0, max_str_len=len(body)
        )
    except Exception as error:  # whatever the library raises, the answer is the same (fault F132)
        raise DecodeError(f"this is no list: {error}") from error
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise DecodeError("this is no list that begins with a number")
    return fields
