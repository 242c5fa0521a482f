"""What is below the handshake, as the transport uses it: under which word it counts whom, and its words on closing."""

import struct
from pathlib import Path
from zlib import crc32

import anyio
import msgpack
import pytest
from anyio.abc import SocketStream

from rafty_transports.addresses import parse_address
from rafty_transports.certs import make
from rafty_transports.codec import VERSION
from rafty_transports.links import Limits
from rafty_transports.network import NetworkTransport
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from rafty_transports.websocket_transport import WebSocketTransport
from rafty_transports.wires import Wires
from tests.transports.connections import ANYWHERE, QUICK, admit_all, closed_by_peer, connect, identity, until
from tests.transports.websocket_kit import BINARY, close_frame, frame, request

pytestmark = pytest.mark.anyio


def credentials(directory: Path, node_id: str) -> Credentials:
    """Credentials of this node, of the authority of this directory."""
    if not directory.exists():
        make(directory, ["n1", "n2"], 1)
    return Credentials.from_files(*(directory / name for name in (f"{node_id}.pem", f"{node_id}-key.pem", "ca.pem")))


def sentence(fields: object) -> bytes:
    """What is said in a handshake."""
    body: bytes = msgpack.packb(fields)
    return struct.pack(">4sHI", b"rfty", len(body), crc32(body)) + body


def hello(cluster_id: str) -> bytes:
    """The Hello of n2 to n1."""
    mine = identity("n2", cluster_id=cluster_id)
    names = [mine.cluster_id, mine.node_id, mine.incarnation, mine.boot, mine.bootstrap]
    return sentence([1, VERSION, VERSION, 0, *names, "n1"])


async def counted(transport: NetworkTransport, reason: str) -> None:
    """Wait until there was a refusal, which must be the only one, for this reason."""
    await until(lambda: transport.refusals.total)
    assert {word: count for word, count in transport.refusals.items() if count} == {reason: 1}


async def test_who_hangs_up_in_the_middle_has_spoken_no_tls(tmp_path: Path) -> None:
    one = TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, credentials=credentials(tmp_path / "all", "n1"))
    async with one:
        async with await connect(one.address) as stream:
            await stream.send(b"\x16\x03\x01\x02\x00\x01")
        await counted(one, "tls")


async def test_a_certificate_of_another_authority_proves_nothing(tmp_path: Path) -> None:
    ours, theirs = credentials(tmp_path / "ours", "n1"), credentials(tmp_path / "theirs", "n2")
    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, credentials=ours) as one:
        with pytest.raises(Exception, match="not signed by the authority"):
            async with Wires(Limits(), theirs, ()).dialed(parse_address(one.address, "tls"), "n1"):
                pass
        await counted(one, "certificate")


async def test_who_does_not_accept_the_certificate_of_this_node_is_counted(tmp_path: Path) -> None:
    mine, other = credentials(tmp_path / "all", "n1"), credentials(tmp_path / "all", "n2")
    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, credentials=mine) as one:
        with pytest.raises(Exception, match="has a certificate for n1, not for n3"):
            async with Wires(Limits(), other, ()).dialed(parse_address(one.address, "tls"), "n3"):
                pass
        await counted(one, "certificate")


async def web(transport: NetworkTransport, *said: bytes) -> SocketStream:
    """A connection by WebSocket, on which each of these was said in a message of its own."""
    stream = await connect(parse_address(transport.address).socket)
    await stream.send(request() + b"".join(frame(BINARY, data) for data in said))
    return stream


async def closing(stream: SocketStream) -> tuple[int, str]:
    """Code and reason with which a connection by WebSocket is closed."""
    said = await closed_by_peer(stream)
    await stream.aclose()
    ended = close_frame(said.partition(b"\r\n\r\n")[2])
    assert ended is not None
    return ended


async def test_who_is_refused_over_websocket_is_told_by_its_close_frame() -> None:
    async with WebSocketTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, limits=QUICK) as one:
        code, reason = await closing(await web(one, hello("bank.7")))
        assert code == 1008
        assert reason.startswith("n1 belongs to cluster shop.0123")
        await counted(one, "cluster")


async def test_who_breaks_the_protocol_over_websocket_is_told_by_its_close_frame() -> None:
    async with WebSocketTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, limits=QUICK) as one:
        code, reason = await closing(await web(one, hello("shop.0123"), sentence([3]), bytes(40)))
        assert code == 1002
        assert "announces 0 bytes" in reason
        await counted(one, "frame")


async def test_no_socket_is_left_open_on_either_side() -> None:
    async with TcpTransport(identity("n1"), {}, ANYWHERE, admit=admit_all, limits=QUICK) as one:
        wires = Wires(QUICK, None, ())
        with pytest.raises(KeyError):
            async with wires.dialed(parse_address(one.address), "n1") as stream:
                raise KeyError
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(b"x")
        await until(lambda: one.connections == 0)
