"""The HTTP with which a WebSocket begins: what is refused, in which words, and that little of it is stored."""

import json
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as foreign_client
from websockets.typing import Origin, Subprotocol

from rafty_transports.handshake import HandshakeFailed, answer, dial
from rafty_transports.interfaces import Refused
from rafty_transports.websocket import WebSocketRefused, WebSocketStream, accept_websocket, dial_websocket
from tests.transports.connections import admission, closed_by_peer, identity, until
from tests.transports.websocket_kit import KEY, bare, dialed, echo, elsewhere, request, serving

pytestmark = pytest.mark.anyio

REFUSED: list[tuple[bytes, int, str]] = [
    (request("GET / HTTP/1.1"), 404, "only a node of rafty at /rafty"),
    (request("GET /rafty/x?y HTTP/1.1"), 404, "only a node of rafty at /rafty"),
    (request(Origin="https://evil.example"), 403, "web pages of https://evil.example may not connect"),
    (request(Origin=""), 403, "may not connect"),
    (request(Sec_WebSocket_Protocol=None), 400, "the only subprotocol spoken here is rafty.v1"),
    (request(Sec_WebSocket_Protocol="chat, rafty.v2"), 400, "the only subprotocol spoken here is rafty.v1"),
    (request(Upgrade=None), 426, "only WebSocket is spoken here"),
    (request(Upgrade="h2c"), 426, "only WebSocket is spoken here"),
    (request(Connection="keep-alive"), 426, "only WebSocket is spoken here"),
    (request(Sec_WebSocket_Version="8"), 426, "only version 13"),
    (request(Sec_WebSocket_Version=None), 426, "only version 13"),
    (request(Sec_WebSocket_Key=None), 400, "Sec-WebSocket-Key"),
    (request(Sec_WebSocket_Key="c2hvcnQ="), 400, "Sec-WebSocket-Key"),
    (request(Sec_WebSocket_Key="no base 64, no!!"), 400, "Sec-WebSocket-Key"),
    (request(Sec_WebSocket_Key=f"{KEY}\r\nSec-WebSocket-Key: {KEY}"), 400, "Sec-WebSocket-Key"),
    (request(Host=None), 400, "names a host and has no body"),
    (request(Content_Length="5"), 400, "names a host and has no body"),
    (request(Transfer_Encoding="chunked"), 400, "names a host and has no body"),
    (request("POST /rafty HTTP/1.1"), 400, "only GET of HTTP/1.1"),
    (request("GET /rafty HTTP/1.0"), 400, "only GET of HTTP/1.1"),
    (request("GET"), 400, "this is no HTTP request"),
    (request("GET /rafty HTTP/1.1\r\n folded"), 400, "this is no HTTP request"),
    (request(Name="bare\nline: feed"), 400, "this is no HTTP request"),
    (request(Name="\x00"), 400, "this is no HTTP request"),
    (request(Name="ü"), 400, "this is no HTTP request"),
    (b"GET /" + b"x" * 9000, 431, "longer than 8192 bytes"),
    (request(Name="x" * 9000), 431, "longer than 8192 bytes"),
    (b"rfty\x00\x01", 400, "dial this node as ws://"),
    (b"\x16\x03\x01\x02\x00\x01", 400, "this is TLS"),
    (b"\xff\x00", 400, "this is no HTTP"),
    (b"\r\n\r\n", 400, "this is no HTTP"),
]


@pytest.mark.parametrize(("said", "status", "words"), REFUSED)
async def test_a_request_that_is_refused_is_told_why(said: bytes, status: int, words: str) -> None:
    failures: list[Exception] = []
    async with serving(echo, failures) as port:
        async with bare(port, said) as stream:
            answer = await closed_by_peer(stream)
        await until(lambda: failures)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode())
    assert words in body.decode()
    assert b"Upgrade: websocket" in head or status != 426
    refusal = failures[0]
    assert isinstance(refusal, WebSocketRefused)
    assert (str(refusal), refusal.status) == (body.decode().strip(), status)


async def test_whoever_is_refused_and_does_not_hang_up_is_hung_up_on() -> None:
    failures: list[Exception] = []
    async with serving(echo, failures) as port, bare(port, request("GET / HTTP/1.1")) as stream:
        assert await closed_by_peer(stream)
        await until(lambda: failures)


@pytest.mark.parametrize(
    "said",
    [
        request(),
        request("GET /rafty?x=y HTTP/1.1"),
        request(Connection="keep-alive, UPGRADE", Upgrade="WebSocket"),
        request(Sec_WebSocket_Protocol="chat, rafty.v1"),
        request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
        request(Origin="https://console.example"),
        request(Host="[::1]:80", Cookie="a=b; c=d", Content_Length="0"),
        request(Name="x" * 7000),
    ],
)
async def test_a_request_that_is_accepted(said: bytes) -> None:
    async with serving(echo, origins=["https://console.example"]) as port, bare(port, said) as stream:
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += await stream.receive()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: rafty.v1" in answer.lower()
        assert b"extensions" not in answer.lower()
        await stream.send(b"\x88\x80\x00\x00\x00\x00")  # close


class Counting(ByteStream):
    """A stream that counts what is read from it."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.read = 0

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self.stream.receive(max_bytes)
        self.read += len(data)
        return data

    async def send(self, item: bytes) -> None:
        await self.stream.send(item)

    async def send_eof(self) -> None:
        raise anyio.BrokenResourceError  # what is read while lingering does not count

    async def aclose(self) -> None:
        await self.stream.aclose()


@asynccontextmanager
async def listening(serve: Callable[[SocketStream], Any]) -> AsyncIterator[int]:
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield listener.extra(SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("dialing", [True, False])
async def test_no_more_of_the_head_than_its_limit_is_read(dialing: bool) -> None:
    read: list[int] = []

    async def serve(stream: SocketStream) -> None:
        counting = Counting(stream)
        block = dial_websocket(counting, "n1") if dialing else accept_websocket(counting)
        with pytest.raises(HandshakeFailed, match="longer than 8192 bytes"):
            async with block:
                pass
        read.append(counting.read)

    async with listening(serve) as port, bare(port, b"HTTP/1.1 101 " + b"x" * 1000) as stream:
        with pytest.raises((anyio.BrokenResourceError, anyio.EndOfStream)):
            for _ in range(1024):
                await stream.send(b"y" * 65536)
        await until(lambda: read)
    assert read == [8192]


async def test_a_request_that_never_ends_is_cancelled_by_the_caller() -> None:
    ended = anyio.Event()

    async def serve(stream: SocketStream) -> None:
        with anyio.move_on_after(0.1) as limit:
            async with accept_websocket(stream):
                pass
        assert limit.cancelled_caught
        ended.set()

    async with listening(serve) as port, bare(port, b"GET /rafty HTT") as stream:
        assert await closed_by_peer(stream) == b""
        await ended.wait()


AGREED = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": "",
    "Sec-WebSocket-Protocol": "rafty.v1",
}


def response(line: str = "HTTP/1.1 101 Switching Protocols", body: str = "", **changes: str | None) -> bytes:
    fields = {**AGREED, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return ("\r\n".join([line, *lines, "", ""]) + body).encode()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (response("HTTP/1.1 503 Too busy", "come later", Content_Length="10"), r"503 Too busy \(come later\)$"),
        (response("HTTP/1.1 503 Too busy", "x" * 9999, Content_Length="9999"), r"503 Too busy \(x{512}\)$"),
        (response("HTTP/1.1 200 OK", Content_Length="x"), "refused: 200 OK$"),
        (response("HTTP/1.0 403 No"), "refused: 403 No$"),
        (response(), "no consent to WebSocket"),
        (response(Sec_WebSocket_Protocol=None), "not to rafty.v1"),
        (response(Sec_WebSocket_Protocol="chat"), "not to rafty.v1"),
        (response(Sec_WebSocket_Extensions="permessage-deflate"), "extension that nobody offered"),
        (response(Connection=None), "no consent to WebSocket"),
        (response("HTTP/1.1 101 Ok\r\nnonsense"), "is no HTTP"),
        (b"HTTP/1.1 200 OK\r\nName: " + b"x" * 9000, "longer than 8192 bytes"),
        (b"rfty\x00\x01\x00", "no web server"),
        (b"SSH-2.0-OpenSSH", "no web server"),
        (b"HTTP/1.1 101 Swi", "ended the connection"),
        (b"", "ended the connection"),
    ],
)
async def test_an_answer_that_is_no_consent_becomes_one_sentence(said: bytes, words: str) -> None:
    async def serve(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            if said:
                await stream.send(said)
            await stream.send_eof()
            await closed_by_peer(stream)

    async with listening(serve) as port:
        with anyio.fail_after(5), pytest.raises(HandshakeFailed, match=words) as caught:
            async with dialed(port):
                pass
    assert "\n" not in str(caught.value)


async def test_who_dials_hears_the_sentence_of_who_refuses() -> None:
    async with serving(echo, [], path="/elsewhere") as port:
        with pytest.raises(HandshakeFailed, match=r"404 Not Found \(there is nothing at this path.*/elsewhere\)"):
            async with dialed(port):
                pass


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("n1\r\nEvil: x", "/rafty"),
        ("n 1", "/rafty"),
        ("", "/rafty"),
        ("n1..example", "/rafty"),
        ("n" * 64, "/rafty"),
        ("n1", "rafty"),
        ("n1", "/ü"),
    ],
)
async def test_what_cannot_stand_in_a_request_is_refused_before_it_is_said(host: str, path: str) -> None:
    async with serving(echo, []) as port:
        with pytest.raises(ValueError, match="cannot be asked for over HTTP"):
            async with dial_websocket(await anyio.connect_tcp("127.0.0.1", port), host, path):
                pass


async def test_a_web_page_is_refused_unless_its_origin_is_known(anyio_backend: str) -> None:
    def browser(port: int, origin: str) -> None:
        protocols = [Subprotocol("rafty.v1")]
        with foreign_client(f"ws://127.0.0.1:{port}/rafty", subprotocols=protocols, origin=Origin(origin)) as client:
            client.send(b"hello")
            assert client.recv() == b"hello"

    failures: list[Exception] = []
    with elsewhere(anyio_backend, echo, failures, origins={"https://console.example"}) as port:
        await anyio.to_thread.run_sync(browser, port, "https://console.example")
        with pytest.raises(InvalidStatus) as caught:
            await anyio.to_thread.run_sync(browser, port, "https://evil.example")
        with anyio.fail_after(5):
            while not failures:  # the browser hears it a little before the server is done with it
                await anyio.sleep(0.01)
    assert caught.value.response.status_code == 403
    assert [type(failure) for failure in failures] == [WebSocketRefused]


async def meet(web: ByteStream) -> None:
    """The accepting side of rafty's own handshake; whoever is refused hears it in the close frame too."""
    try:
        await answer(web, identity("n1"), lambda _: None, admission())
    except Refused as refusal:
        assert isinstance(web, WebSocketStream)
        web.closing(1008, str(refusal))
        raise


async def test_the_handshake_of_rafty_runs_over_it() -> None:
    async with serving(meet) as port, dialed(port) as web:
        assert (await dial(web, identity("n2"), "n1", admission())).node_id == "n1"


NODE_CLIENT = """
const WebSocket = require("ws");
const socket = new WebSocket(process.argv[1], "rafty.v1");
const told = { protocol: null, extensions: null, code: null, reason: null };
socket.on("open", () => {
  told.protocol = socket.protocol; told.extensions = socket.extensions;
  socket.send(Buffer.from("this is no Hello of rafty, and long enough to be looked at"));
});
socket.on("message", () => {});
socket.on("error", (error) => { told.error = error.message; });
socket.on("close", (code, reason) => {
  told.code = code; told.reason = reason.toString(); console.log(JSON.stringify(told));
});
"""


@pytest.fixture
def node_modules() -> Path:
    """Where npm installed ws; RAFTY_NODE_MODULES says it."""
    path = Path(os.environ.get("RAFTY_NODE_MODULES", "node_modules"))
    if shutil.which("node") is None or not (path / "ws").is_dir():
        pytest.skip("node or its package ws is not installed (RAFTY_NODE_MODULES names the folder of packages)")
    return path.resolve()


async def test_a_client_of_another_language_hears_why_it_is_refused(anyio_backend: str, node_modules: Path) -> None:
    environment = {**os.environ, "NODE_PATH": str(node_modules)}

    def node(port: int) -> Any:
        command = ["node", "-e", NODE_CLIENT, f"ws://127.0.0.1:{port}/rafty"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, check=True)
        return json.loads(done.stdout)

    failures: list[Exception] = []
    with elsewhere(anyio_backend, meet, failures) as port:
        told = await anyio.to_thread.run_sync(node, port)
    assert told["reason"].startswith("the dialing node does not speak the protocol of rafty")
    assert (told["protocol"], told["extensions"], told["code"]) == ("rafty.v1", "", 1008)
    assert isinstance(failures[0], Refused)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    path = tmp_path_factory.mktemp("tls") / "n1.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=n1", "-addext", "subjectAltName=DNS:n1", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


async def test_it_runs_over_tls_and_closes_as_quickly(certificate: Path) -> None:
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    server.load_cert_chain(certificate)
    client.load_verify_locations(certificate)
    ended = anyio.Event()

    async def serve(socket: SocketStream) -> None:
        stream = await TLSStream.wrap(socket, server_side=True, ssl_context=server)
        async with accept_websocket(stream) as web:
            await echo(web)
        ended.set()

    async with listening(serve) as port:
        socket = await anyio.connect_tcp("127.0.0.1", port)
        stream = await TLSStream.wrap(socket, hostname="n1", ssl_context=client)
        async with dial_websocket(stream, "n1") as web:
            await web.send(b"secret")
            assert await web.receive() == b"secret"
            start = anyio.current_time()
        await ended.wait()
        assert anyio.current_time() - start < 0.4
