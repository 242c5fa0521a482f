"""Clients of Redis, unchanged, against a cluster of three; and Redis itself as the judge of every reply."""

import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from rafty_core import Config, Configuration
from rafty_transports import resp
from rafty_transports.administration import Administration
from rafty_transports.kv import KeyValueMachine
from rafty_transports.memory import MemoryNetwork
from rafty_transports.node import Node
from rafty_transports.service import RespServer
from rafty_transports.storage.memory import MemoryStore
from tests.end_to_end.cluster import Cluster

redis = pytest.importorskip("redis", reason="the Redis client for Python is not installed")
hiredis = pytest.importorskip("hiredis", reason="the RESP parser of the Redis client is not installed")

IDS = ("n1", "n2", "n3")
CONFIG = Config(id="any", election_timeout=0.3, heartbeat_interval=0.03)


@contextlib.asynccontextmanager
async def cluster(**options: Any) -> AsyncIterator[list[RespServer]]:
    """Three nodes over an in-memory network, each with a service of its own; the leader's comes first.

    `options` are those of `RespServer`.
    """
    network = MemoryNetwork()
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for node_id in IDS:
            machine = KeyValueMachine()
            store = MemoryStore(node_id, Configuration.of(*IDS))
            node = await stack.enter_async_context(Node(store, network.transport(node_id), machine, config=CONFIG))
            administration = Administration(node, store.snapshots)
            server = RespServer(node, "127.0.0.1:0", machine=machine, administration=administration, **options)
            servers.append(await stack.enter_async_context(server))
        with anyio.fail_after(10):
            while not all(_status(server).leader for server in servers):
                await anyio.sleep(0.01)
        yield sorted(servers, key=lambda server: _status(server).role != "leader")


def _status(server: RespServer) -> Any:
    return server.node.status()


def tool(name: str) -> str:
    """The path of a program, or the test is skipped."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


async def run(*command: str, input: bytes = b"") -> str:
    """What this program prints, without its errors."""
    with anyio.fail_after(30):
        done = await anyio.run_process(command, input=input, check=False)
    return done.stdout.decode()


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("at", [0, 1], ids=["leader", "follower"])
async def test_library_of_python_at_the_leader_and_at_a_follower(protocol: int, at: int) -> None:
    def use(port: int) -> None:
        with redis.Redis(port=port, protocol=protocol, socket_timeout=10, client_name="me") as client:
            assert client.ping() is True
            assert client.get("a") is None
            assert client.set("a", b"\x00\r\n") is True
            assert client.set("a", 1, nx=True) is None
            assert client.get("a") == b"\x00\r\n"
            assert client.set("a", 1, xx=True, get=True) == b"\x00\r\n"
            assert client.incr("a") == 2
            assert client.mset({"b": 3, "c": 4}) is True
            assert client.mget("a", "x", "c") == [b"2", None, b"4"]
            assert client.exists("a", "b", "x") == 2
            assert client.delete("a", "x") == 1
            assert client.dbsize() == 2
            assert client.echo("hello") == b"hello"
            assert client.client_getname() in ("me", b"me")
            assert client.config_get("save") == {"save": ""}
            assert client.info()["redis_mode"] == "standalone"
            assert client.execute_command("RAFTY STATUS")
            client.set("t", "text")
            with pytest.raises(redis.ResponseError, match="value is not an integer or out of range"):
                client.incr("t")
            with pytest.raises(redis.ResponseError, match="unknown command"):
                client.execute_command("LPUSH", "l", "1")

    async with cluster() as servers:
        await anyio.to_thread.run_sync(use, servers[at].port)


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", [2, 3])
async def test_pipeline_of_a_thousand_commands_keeps_its_order(protocol: int) -> None:
    def use(port: int) -> list[Any]:
        with redis.Redis(port=port, protocol=protocol, socket_timeout=10) as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(500):
                pipeline.incr("n")
                pipeline.get(f"absent {number}")
            return list(pipeline.execute())

    async with cluster() as servers:
        replies = await anyio.to_thread.run_sync(use, servers[0].port)
    assert replies == [reply for number in range(1, 501) for reply in (number, None)]


@pytest.mark.anyio
async def test_all_nodes_come_to_the_same_digest() -> None:
    def write(port: int) -> None:
        with redis.Redis(port=port, socket_timeout=10) as client:
            pipeline = client.pipeline(transaction=False)
            for number in range(300):
                pipeline.set(f"key {number % 50}", number)
            pipeline.execute()

    async with cluster() as servers:
        async with anyio.create_task_group() as tasks:
            for server in servers:
                tasks.start_soon(anyio.to_thread.run_sync, write, server.port)
        machines = [server.machine for server in servers if server.machine is not None]
        with anyio.fail_after(5):
            while not all(machine.commands_applied == 900 for machine in machines):
                await anyio.sleep(0.01)
        assert len({machine.digest() for machine in machines}) == 1


@pytest.mark.anyio
async def test_password_is_asked_of_the_library_of_python() -> None:
    def use(port: int) -> None:
        with redis.Redis(port=port, password="secret", socket_timeout=10) as client:
            assert client.set("a", 1) is True
        with (
            redis.Redis(port=port, password="wrong", socket_timeout=10, retry=None) as client,
            pytest.raises(redis.AuthenticationError),
        ):
            client.ping()
        stranger = redis.Redis(port=port, socket_timeout=10, retry=None)
        with stranger as client, pytest.raises(redis.AuthenticationError):
            client.ping()

    async with cluster(password="secret") as servers:
        await anyio.to_thread.run_sync(use, servers[0].port)


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", [2, 3])
async def test_user_admin_of_the_library_of_python(protocol: int) -> None:
    def use(port: int) -> None:
        options = {"port": port, "protocol": protocol, "socket_timeout": 10, "retry": None}
        with redis.Redis(username="default", password="secret", **options) as client:
            assert client.set("a", 1) is True
            assert client.info()["refused.clients.no_permission"] == 0
            for command in ("RAFTY SNAPSHOT", "RAFTY BACKUP", "RAFTY TRANSFER", "RAFTY MEMBER REMOVE n3"):
                with pytest.raises(redis.exceptions.NoPermissionError, match="AUTH admin <password>"):
                    client.execute_command(*command.split())
            assert client.info()["refused.clients.no_permission"] == 4
        with redis.Redis(username="admin", password="master", **options) as client:
            assert b"index:" in client.execute_command("RAFTY", "SNAPSHOT")
            assert client.get("a") == b"1"
        wrong = redis.Redis(username="admin", password="secret", **options)
        with wrong as client, pytest.raises(redis.AuthenticationError):
            client.ping()

    async with cluster(password="secret", admin_password="master") as servers:
        await anyio.to_thread.run_sync(use, servers[0].port)


@pytest.mark.anyio
async def test_redis_cli_and_redis_benchmark_with_a_password_and_as_administrator() -> None:
    cli, benchmark = tool("redis-cli"), tool("redis-benchmark")
    async with cluster(password="secret", admin_password="master") as servers:
        port = str(servers[0].port)
        assert await run(cli, "-p", port, "SET", "a", "1") == "NOAUTH Authentication required.\n\n"
        secret = (cli, "-p", port, "--no-auth-warning", "-a", "secret")
        admin = (cli, "-p", port, "--no-auth-warning", "--user", "admin", "--pass", "master")
        assert await run(*secret, "SET", "a", "1") == "OK\n"
        assert (await run(*secret, "RAFTY", "SNAPSHOT")).startswith("NOPERM this user has no permissions")
        assert "index:" in await run(*admin, "RAFTY", "SNAPSHOT")
        assert await run(*admin, "-3", "GET", "a") == "1\n"
        options = ("-n", "500", "-c", "5", "-P", "16", "-q", "-t", "set,get")
        for who in (("-a", "secret"), ("--user", "admin", "-a", "master")):
            printed = await run(benchmark, "-p", port, *who, *options)
            assert "SET: " in printed
            assert "GET: " in printed
            assert "rror" not in printed


@pytest.mark.anyio
@pytest.mark.parametrize("clients", [False, True], ids=["server", "mutual"])
async def test_clients_of_redis_over_tls(tmp_path: Path, clients: bool) -> None:
    cli, benchmark = tool("redis-cli"), tool("redis-benchmark")
    certificates = pytest.importorskip("tests.transports.client_certificates", reason="cryptography is not installed")
    authority = certificates.Authority(tmp_path)
    certificate, key = map(str, authority.sign("client"))

    def use(port: int) -> None:
        options = {"ssl_certfile": certificate, "ssl_keyfile": key} if clients else {}
        for protocol in (2, 3):
            with redis.Redis(
                port=port, protocol=protocol, socket_timeout=10, password="secret", ssl=True,
                ssl_ca_certs=str(authority.certificate), **options,
            ) as client:  # fmt: skip
                assert client.set("a", bytes(500_000)) is True
                pipeline = client.pipeline(transaction=False)
                for _ in range(20):
                    pipeline.get("a")
                assert pipeline.execute() == [bytes(500_000)] * 20

    context = authority.server_context("localhost", "127.0.0.1", clients=clients)
    async with cluster(password="secret", tls=context) as servers:
        port = str(servers[0].port)
        await anyio.to_thread.run_sync(use, servers[0].port)
        tls = (
            "--tls",
            "--cacert",
            str(authority.certificate),
            *(("--cert", certificate, "--key", key) if clients else ()),
        )
        who = ("-a", "secret", *tls)
        assert await run(cli, "-p", port, "--no-auth-warning", *who, "SET", "b", "2") == "OK\n"
        assert await run(cli, "-p", port, "--no-auth-warning", *who, "-3", "GET", "b") == "2\n"
        printed = await run(benchmark, "-p", port, *who, "-n", "500", "-c", "5", "-P", "16", "-q", "-t", "set,get")
        assert "SET: " in printed
        assert "rror" not in printed
        assert await run(cli, "-p", port, "-a", "secret", "GET", "b") != "2\n"


@pytest.mark.anyio
async def test_redis_cli_by_arguments_and_by_lines() -> None:
    cli = tool("redis-cli")
    async with cluster() as servers:
        port = str(servers[0].port)
        assert await run(cli, "-p", port, "SET", "a", "1") == "OK\n"
        assert await run(cli, "-p", port, "INCR", "a") == "2\n"
        assert await run(cli, "-3", "-p", port, "GET", "x") == "\n"
        lines = b'SET b "two words"\nGET b\nHELLO 3\nGET x\nRAFTY STATUS\nNONSENSE\n'
        printed = await run(cli, "-p", port, input=lines)
        assert printed.startswith("OK\ntwo words\n")
        assert "role:leader" in printed
        assert "ERR unknown command 'NONSENSE'" in printed


@pytest.mark.anyio
async def test_redis_benchmark_runs_without_complaint() -> None:
    benchmark = tool("redis-benchmark")
    async with cluster() as servers:
        options = ("-n", "2000", "-c", "10", "-P", "16", "-q", "-t", "ping,set,get,incr,mset")
        printed = await run(benchmark, "-p", str(servers[0].port), *options)
    for name in ("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"):
        assert f"{name}: " in printed
    assert "rror" not in printed
    assert "WARNING" not in printed


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_library_of_python_and_redis_benchmark_against_three_processes(backend: str, tmp_path: Path) -> None:
    """`rafty serve` on TCP and the disk: what a user starts is what the other tests here build."""
    benchmark = tool("redis-benchmark")
    with Cluster(3, tmp_path, backends=(backend,)) as nodes:
        port = int(nodes.wait_for_leader().client.rpartition(":")[2])
        for protocol in (2, 3):
            with redis.Redis(port=port, protocol=protocol, socket_timeout=10) as client:
                assert client.set("a", protocol) is True
                assert client.mget("a", "x") == [b"%d" % protocol, None]
                assert client.incr("a") == protocol + 1
        options = ("-p", str(port), "-n", "2000", "-c", "10", "-P", "16", "-q", "-t", "set,get")
        printed = subprocess.run((benchmark, *options), capture_output=True, timeout=60, check=True).stdout.decode()
        assert "rror" not in printed
        assert nodes.wait_until_equal()["kv_keys"] == "2"


# Requests to which Redis and rafty must give the same reply, in this order on one connection.
ALIKE: list[bytes] = [
    *(line.strip().encode() for line in """
        PING; PING x; PING a b; ECHO x; ECHO; GET a; SET a 1; SET a 2 NX; SET a 2 XX; SET a 3 GET; SET new 3 NX GET
        SET gone 3 XX GET; SET a b NX XX; SET a b NONSENSE; SET a; GET; GET a b; INCR a; INCR a b; DECR a; INCRBY a 10
        INCRBY a; INCRBY a x; INCRBY a 9223372036854775808; DECRBY a 3; DECRBY a -9223372036854775808; DECRBY a x
        SET n 9223372036854775807; INCR n; INCRBY n 1; DECRBY n -1; SET n " 1"; INCR n; SET n -0; INCR n; SET n 01
        INCR n; SET n -9223372036854775808; DECR n; INCR n; MSET x 1 y 2; MSET x; MSET x 1 y; MGET x nil y; MGET
        EXISTS x x nil; EXISTS; DEL x x nil; DEL; DBSIZE; DBSIZE x; SELECT 0; SELECT 99; SELECT x; SELECT
        NONSENSE; NONSENSE a b; CLIENT; CLIENT NONSENSE; CLIENT SETNAME; CLIENT SETNAME me; CLIENT GETNAME
        CLIENT GETNAME x; CONFIG GET; CONFIG NONSENSE; CONFIG GET save; COMMAND NONSENSE; HELLO x; HELLO 4
        HELLO 3 NONSENSE; HELLO 3 AUTH a; HELLO 3 AUTH a b; AUTH x; AUTH a b; AUTH default x; AUTH a b c
        hello 2 setname; echo "\\x41\\n\\q"; echo 'it\\'s'; get nil
    """.replace(";", "\n").strip().splitlines()),
    b"   ",
    b"*1\r\n$4\r\nPING",
    b"*0\r\n*2\r\n$4\r\nECHO\r\n$0\r\n",
]  # fmt: skip

# The first bytes of connections that Redis and rafty must end with the same words.
ENDED_ALIKE = [
    b"*x\r\n", b"*1\r\nx\r\n", b"*1\r\n$x\r\n", b"*1\r\n$-1\r\n", b'GET "a\r\n', b"*9999999999\r\n", b"QUIT\r\n",
    b"PING\r\n*1\r\n$999999999999\r\n",
]  # fmt: skip


@pytest.fixture
def judge() -> Iterator[int]:
    """The port of a Redis server that keeps nothing."""
    server = tool("redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", "/tmp")
    process = subprocess.Popen((server, *options), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


async def _connect(port: int) -> anyio.abc.SocketStream:
    with anyio.fail_after(10):
        while True:
            try:
                return await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.02)


async def _reply(stream: anyio.abc.SocketStream, request: bytes) -> bytes:
    """The bytes of one reply; a PING behind the request marks its end."""
    mark = b"$11\r\nend of this\r\n"
    await stream.send(request + b"\r\n" + resp.array([resp.bulk(b"PING"), resp.bulk(b"end of this")]))
    received = b""
    with anyio.fail_after(10):
        while not received.endswith(mark):
            received += await stream.receive()
    return received.removesuffix(mark)


@pytest.mark.anyio
@pytest.mark.parametrize("protocol", [b"", b"HELLO 3"], ids=["RESP2", "RESP3"])
async def test_replies_are_those_of_redis_byte_for_byte(judge: int, protocol: bytes) -> None:
    async with cluster() as servers, await _connect(judge) as theirs, await _connect(servers[0].port) as ours:
        for stream in (theirs, ours):
            await _reply(stream, protocol)
        for request in ALIKE:
            expected = await _reply(theirs, request)
            assert await _reply(ours, request) == expected, request


@pytest.mark.anyio
async def test_connections_end_with_the_words_of_redis(judge: int) -> None:
    async def words(port: int, opening: bytes) -> bytes:
        received = b""
        async with await _connect(port) as stream:
            await stream.send(opening)
            with anyio.fail_after(10), contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                while True:
                    received += await stream.receive()
        return received

    async with cluster() as servers:
        for opening in ENDED_ALIKE:
            assert await words(servers[0].port, opening) == await words(judge, opening), opening
