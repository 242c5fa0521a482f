"""The key-value service: order, outcomes, bounds and endings, against a node of one replica that lives in this file."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import anyio
import anyio.abc
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from rafty_core import outcomes
from rafty_core.outcomes import ProposalError
from rafty_transports import kv, resp
from rafty_transports.kv import KeyValueMachine
from rafty_transports.service import RespServer, ServiceError

pytestmark = pytest.mark.anyio


class OneReplica:
    """A node that is its own majority: it applies what is proposed, unless it is told to wait or to refuse."""

    def __init__(self) -> None:
        self.machine = KeyValueMachine()
        self.batches: list[int] = []
        self.answer: ProposalError | Exception | None = None
        self.raises = False
        self.gate = anyio.Event()
        self.gate.set()

    async def propose_many(self, commands: Sequence[bytes]) -> list[bytes | ProposalError]:
        self.batches.append(len(commands))
        await self.gate.wait()
        if self.answer is not None and (self.raises or not isinstance(self.answer, ProposalError)):
            raise self.answer
        if isinstance(self.answer, ProposalError):
            return [self.answer] * len(commands)
        results: list[bytes | ProposalError] = []
        results += self.machine.apply(sum(self.batches), commands)
        return results

    def status(self) -> object:
        if isinstance(self.answer, outcomes.Stopped):
            raise self.answer
        return SimpleNamespace(id="n1", role="leader", term=3, leader=None, configuration={"voters": ("n1", "n2")})


class Client:
    """A connection that compares what comes with what is expected, byte for byte."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self.stream = stream
        self.received = BufferedByteReceiveStream(stream)

    async def ask(self, request: bytes, reply: bytes) -> None:
        """Send these bytes; exactly those must come."""
        await self.stream.send(request)
        await self.expect(reply)

    async def expect(self, reply: bytes) -> None:
        with anyio.fail_after(5):
            assert await self.received.receive_exactly(len(reply)) == reply

    async def bulk(self, request: bytes) -> str:
        """Send these bytes; the bulk string that comes."""
        await self.stream.send(request)
        with anyio.fail_after(5):
            header = await self.received.receive_until(b"\r\n", 32)
            assert header.startswith(b"$")
            return (await self.received.receive_exactly(int(header[1:]) + 2)).decode()

    async def expect_end(self) -> None:
        with anyio.fail_after(5):
            try:
                rest = await self.received.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return
        pytest.fail(f"more came: {rest!r}")


@contextlib.asynccontextmanager
async def connected(server: RespServer) -> AsyncIterator[Client]:
    """A client of this server."""
    async with await anyio.connect_tcp("127.0.0.1", server.port) as stream:
        yield Client(stream)


async def until(condition: object, seconds: float = 5.0) -> None:
    """Wait until `condition()` is true."""
    assert callable(condition)
    with anyio.fail_after(seconds):
        while not condition():
            await anyio.sleep(0.005)


def encode(*arguments: bytes) -> bytes:
    """A request as libraries send it."""
    return resp.array([resp.bulk(argument) for argument in arguments])


LISTEN = "127.0.0.1:0"

DIALOGUE = [
    ("PING", "+PONG"),
    ("ping hello", "$5\r\nhello"),
    ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
    ("ECHO hello", "$5\r\nhello"),
    ("ECHO", "-ERR wrong number of arguments for 'echo' command"),
    ("GET a", "$-1"),
    ("SET a 1", "+OK"),
    ("set a 2 nx", "$-1"),
    ("SET a 2 XX GET", "$1\r\n1"),
    ("GET a", "$1\r\n2"),
    ("SET a", "-ERR wrong number of arguments for 'set' command"),
    ("SET a b NX XX", "-ERR syntax error"),
    ("SET a b FOO", "-ERR syntax error"),
    ("SET a b EX 10", "-ERR EX is not supported: keys do not expire here"),
    ("INCR a", ":3"),
    ("DECR a", ":2"),
    ("INCRBY a 10", ":12"),
    ("DECRBY a 2", ":10"),
    ("INCR a b", "-ERR wrong number of arguments for 'incr' command"),
    ("SET b x", "+OK"),
    ("INCR b", "-ERR value is not an integer or out of range"),
    ("MSET c 3 d 4", "+OK"),
    ("MSET c 3 d", "-ERR wrong number of arguments for 'mset' command"),
    ("MGET c x d", "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n4"),
    ("MGET", "-ERR wrong number of arguments for 'mget' command"),
    ("EXISTS a x a", ":2"),
    ("DEL a x", ":1"),
    ("DBSIZE", ":3"),
    ("DBSIZE x", "-ERR wrong number of arguments for 'dbsize' command"),
    ("SELECT 0", "+OK"),
    ("SELECT 1", "-ERR DB index is out of range"),
    ("SELECT x", "-ERR value is not an integer or out of range"),
    ("FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
    ("CLIENT GETNAME", "$-1"),
    ("CLIENT SETNAME me", "+OK"),
    ('CLIENT SETNAME "a b"', "-ERR Client names cannot contain spaces, newlines or special characters."),
    ("CLIENT GETNAME", "$2\r\nme"),
    ("CLIENT SETINFO LIB-NAME x", "+OK"),
    ("CLIENT ID", ":1"),
    ("CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"),
    ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
    ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
    ("CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n"),
    ("CONFIG GET nothing", "*0"),
    ("CONFIG SET save 1", "-ERR unknown subcommand 'SET'. Try CONFIG HELP."),
    ("COMMAND DOCS", "*0"),
    ("COMMAND COUNT", ":22"),
    ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
    ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
    ("HELLO 4", "-NOPROTO unsupported protocol version"),
    ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
    ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
    ("AUTH x", "-ERR AUTH <password> called without any password configured for the default user. "
               "Are you sure your configuration is correct?"),
    ("AUTH default x", "+OK"),
    ("AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."),
    ("RAFTY", "-ERR RAFTY knows one subcommand: RAFTY STATUS"),
    ("QUIT", "+OK"),
]  # fmt: skip


async def test_dialogue_one_by_one_and_as_one_pipeline_says_what_redis_says() -> None:
    lines = b"".join(request.encode() + b"\r\n" for request, _ in DIALOGUE)
    answers = b"".join(reply.encode() + b"\r\n" for _, reply in DIALOGUE)
    async with RespServer(OneReplica(), LISTEN) as server, connected(server) as client:
        for request, reply in DIALOGUE:
            await client.ask(request.encode() + b"\r\n", reply.encode() + b"\r\n")
        await client.expect_end()
    async with RespServer(OneReplica(), LISTEN) as server, connected(server) as client:
        await client.ask(lines + b"PING\r\n", answers)
        await client.expect_end()


async def test_pipeline_in_one_chunk_is_one_batch_and_local_replies_stand_in_their_place() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        await client.ask(
            encode(b"SET", b"a", b"1") + encode(b"PING") + encode(b"INCR", b"a") + encode(b"NO") + encode(b"GET", b"a"),
            b"+OK\r\n+PONG\r\n:2\r\n-ERR unknown command 'NO', with args beginning with: \r\n$1\r\n2\r\n",
        )
    assert node.batches == [3]


async def test_long_pipeline_is_cut_into_bounded_batches() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.stream.send, encode(b"INCR", b"n") * 5000)
            await client.expect(b"".join(b":%d\r\n" % number for number in range(1, 5001)))
        node.batches.clear()
        await client.ask(encode(b"MGET", b"n") * 40, b"*1\r\n$4\r\n5000\r\n" * 40)
    assert max(node.batches) <= 16


async def test_resp3_holds_from_hello_on_in_the_middle_of_a_pipeline() -> None:
    async with RespServer(OneReplica(), LISTEN) as server, connected(server) as client:
        get, mget = encode(b"GET", b"a"), encode(b"MGET", b"a", b"b")
        hello = (
            b"%7\r\n$6\r\nserver\r\n$5\r\nrafty\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n"
            b"$4\r\nrole\r\n$6\r\nmaster\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:1\r\n$7\r\nmodules\r\n*0\r\n"
        )
        await client.ask(
            get + encode(b"HELLO", b"3") + get + mget + b"CONFIG GET save\r\nCLIENT GETNAME\r\n",
            b"$-1\r\n" + hello + b"_\r\n*2\r\n_\r\n_\r\n%1\r\n$4\r\nsave\r\n$0\r\n\r\n_\r\n",
        )


@pytest.mark.parametrize(
    ("outcome", "reply"),
    [
        (outcomes.NotLeader("n2 leads, at 10.0.0.2:7000", "n2"), b"-NOTLEADER n2 leads, at 10.0.0.2:7000\r\n"),
        (outcomes.Overloaded("the log is full"), b"-OVERLOADED the log is full\r\n"),
        (outcomes.TooLarge("too large"), b"-TOOLARGE too large\r\n"),
        (outcomes.Superseded("another leader"), b"-SUPERSEDED another leader\r\n"),
        (outcomes.Stopped("the node\nstopped"), b"-STOPPED the node stopped\r\n"),
        (outcomes.NotApplied("no"), b"-NOTAPPLIED no\r\n"),
        (outcomes.OutcomeUnknown("time is over"), b"-UNKNOWN time is over (may still be applied)\r\n"),
    ],
)
@pytest.mark.parametrize("raises", [False, True])
async def test_outcome_of_a_command_without_result_is_named(outcome: ProposalError, reply: bytes, raises: bool) -> None:
    node = OneReplica()
    node.answer, node.raises = outcome, raises
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        await client.ask(encode(b"SET", b"a", b"1") + encode(b"PING"), reply + b"+PONG\r\n")
        await client.ask(encode(b"HELLO", b"3") + encode(b"GET", b"a"), b"%7\r\n")


async def test_status_of_a_stopped_node_is_an_error() -> None:
    node = OneReplica()
    node.answer = outcomes.Stopped("the node is not running")
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        await client.ask(
            b"INFO\r\nRAFTY STATUS\r\nPING\r\n", b"-STOPPED the node is not running\r\n" * 2 + b"+PONG\r\n"
        )


async def test_password_is_asked_for_and_strangers_get_little_room() -> None:
    async with RespServer(OneReplica(), LISTEN, password="secret") as server:
        async with connected(server) as client:
            noauth = b"-NOAUTH Authentication required.\r\n"
            wrong = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
            await client.ask(b"PING\r\nGET a\r\nRAFTY STATUS\r\nNO\r\n", noauth * 4)
            await client.ask(b"AUTH wrong\r\nAUTH other secret\r\nHELLO 3 AUTH default no\r\n", wrong * 3)
            await client.ask(b"HELLO 2\r\n", b"-NOAUTH HELLO must be called with the client already authenticated")
            await client.received.receive_until(b"\r\n", 1000)
            large = encode(b"SET", b"a", bytes(30_000))
            await client.ask(encode(b"AUTH", b"secret") + large + b"DBSIZE\r\n", b"+OK\r\n+OK\r\n:1\r\n")
        async with connected(server) as client:
            await client.ask(b"HELLO 3 AUTH default secret SETNAME me\r\nCLIENT GETNAME\r\n", b"%7\r\n")
            await client.received.receive_until(b"$2\r\nme\r\n", 1000)
        async with connected(server) as client:
            await client.ask(encode(b"AUTH", bytes(30_000)), b"-ERR Protocol error: invalid bulk length\r\n")
            await client.expect_end()


async def test_protocol_error_is_answered_behind_the_good_requests_and_ends_the_connection() -> None:
    async with RespServer(OneReplica(), LISTEN) as server, connected(server) as client:
        await client.ask(
            encode(b"SET", b"a", b"1") + b"*1\r\n$x\r\n" + b"y" * 100_000,
            b"+OK\r\n-ERR Protocol error: invalid bulk length\r\n",
        )
        await client.expect_end()
        await until(lambda: server.connected == 0)


async def test_browser_is_hung_up_on() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        await client.stream.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n")
        await client.expect_end()
    assert node.batches == []


async def test_key_and_value_too_large_are_refused_and_nothing_is_proposed() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server, connected(server) as client:
        key, value = bytes(kv.KEY_LIMIT + 1), bytes(kv.VALUE_LIMIT + 1)
        key_refused = b"-ERR key of 65537 bytes is larger than the limit of 65536 bytes\r\n"
        value_refused = b"-ERR value of 1048577 bytes is larger than the limit of 1048576 bytes\r\n"
        for request in (encode(b"GET", key), encode(b"SET", key, b""), encode(b"MGET", b"a", key)):
            await client.ask(request, key_refused)
        for request in (encode(b"SET", b"a", value), encode(b"MSET", b"a", b"", b"b", value)):
            await client.ask(request, value_refused)
        await client.ask(encode(b"MSET", b"a", value[1:], b"b", value[1:]), b"-ERR command of 2097171 bytes is larger")
        assert node.batches == []
        await client.received.receive_until(b"\r\n", 1000)
        await client.ask(encode(b"SET", key[1:], value[1:]), b"+OK\r\n")
        await client.ask(encode(b"GET", key[1:]), resp.bulk(value[1:]))


async def test_one_client_too_many_is_refused_and_a_place_that_is_left_is_given_again() -> None:
    async with RespServer(OneReplica(), LISTEN, connections=2) as server:
        async with connected(server) as first, connected(server) as second:
            await first.ask(b"PING\r\n", b"+PONG\r\n")
            await second.ask(b"PING\r\n", b"+PONG\r\n")
            async with connected(server) as third:
                await third.expect(b"-ERR max number of clients reached\r\n")
                await third.expect_end()
        await until(lambda: server.connected == 0)
        async with connected(server) as fourth:
            await fourth.ask(b"PING\r\n", b"+PONG\r\n")


async def test_client_that_does_not_read_is_hung_up_on() -> None:
    async with RespServer(OneReplica(), LISTEN, send_timeout=0.2) as server, connected(server) as client:
        await client.ask(encode(b"SET", b"a", bytes(kv.VALUE_LIMIT)), b"+OK\r\n")
        await client.stream.send(encode(b"GET", b"a") * 100)
        await until(lambda: server.connected == 0)


async def test_client_that_leaves_in_mid_command_leaves_nothing_behind() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server:
        node.gate = anyio.Event()
        async with connected(server) as client:
            await client.stream.send(encode(b"SET", b"a", b"1"))
            await until(lambda: node.batches == [1])
        node.gate.set()
        await until(lambda: server.connected == 0)


async def test_leaving_ends_at_once_with_clients_idle_mid_command_and_not_reading(
    caplog: pytest.LogCaptureFixture,
) -> None:
    node = OneReplica()
    async with contextlib.AsyncExitStack() as clients:
        async with RespServer(node, LISTEN, machine=node.machine) as server:
            idle, waiting, deaf = [await clients.enter_async_context(connected(server)) for _ in range(3)]
            await idle.ask(b"PING\r\n*3\r\n$3\r\nSET", b"+PONG\r\n")
            await deaf.ask(encode(b"SET", b"a", bytes(kv.VALUE_LIMIT)), b"+OK\r\n")
            await deaf.stream.send(encode(b"GET", b"a") * 100)
            await until(lambda: sum(node.batches) == 101)
            node.gate = anyio.Event()
            await waiting.stream.send(encode(b"SET", b"a", b"1"))
            await until(lambda: sum(node.batches) == 102)
            began = time.monotonic()
        assert time.monotonic() - began < 0.5
        await idle.expect_end()
        await waiting.expect_end()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_body_s_own_exception_leaves_the_block_as_itself() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with RespServer(OneReplica(), LISTEN) as server, connected(server) as client:
            await client.ask(b"PING\r\n", b"+PONG\r\n")
            raise KeyError("mine")


async def test_cancellation_from_outside_leaves_the_block() -> None:
    with anyio.move_on_after(0.05) as scope:
        async with RespServer(OneReplica(), LISTEN):
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_address_in_use_is_one_clear_sentence() -> None:
    async with RespServer(OneReplica(), LISTEN) as server:
        with pytest.raises(ServiceError) as caught:
            async with RespServer(OneReplica(), server.address):
                pytest.fail("two servers on one address")
        assert str(caught.value) == f"cannot listen for clients on {server.address}: the address is in use"
    with pytest.raises(ServiceError, match=r"^cannot listen for clients on no\.such\.host\.invalid:1: "):
        async with RespServer(OneReplica(), "no.such.host.invalid:1"):
            pytest.fail("no such host")
    with pytest.raises(ValueError, match="an address is host:port"):
        RespServer(OneReplica(), "nonsense")


async def test_address_names_the_port_that_was_taken() -> None:
    async with RespServer(OneReplica(), LISTEN) as server:
        assert server.address == f"127.0.0.1:{server.port}"
        assert server.port > 0


async def test_fault_of_the_program_costs_one_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN) as server, connected(server) as other, connected(server) as client:
        await other.ask(b"PING\r\n", b"+PONG\r\n")
        node.answer = RuntimeError("a fault")
        await client.stream.send(encode(b"GET", b"a"))
        await client.expect_end()
        node.answer = None
        await other.ask(encode(b"GET", b"a"), b"$-1\r\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "met a fault of this program" in caplog.text


async def test_status_shows_the_node_and_the_store() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN, machine=node.machine) as server, connected(server) as client:
        status = await client.bulk(b"RAFTY STATUS\r\n")
        empty = dict(line.split(":", 1) for line in status.split())
        await client.ask(b"SET a 1\r\n", b"+OK\r\n")
        status = await client.bulk(b"rafty status\r\n")
        shown = dict(line.split(":", 1) for line in status.split())
        assert shown == {
            "id": "n1", "role": "leader", "term": "3", "leader": "none", "configuration.voters": "n1,n2",
            "kv_keys": "1", "kv_commands_applied": "1", "kv_digest": node.machine.digest(),
        }  # fmt: skip
        assert empty["kv_digest"] != shown["kv_digest"]
        assert await client.bulk(b"rafty status\r\n") == status


async def test_status_in_a_pipeline_shows_what_was_written_before_it() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN, machine=node.machine) as server, connected(server) as client:
        await client.stream.send(encode(b"SET", b"a", b"1") + encode(b"RAFTY", b"STATUS"))
        await client.expect(b"+OK\r\n")
        assert "kv_keys:1\r\n" in await client.bulk(b"")


async def test_info_has_what_client_libraries_look_for() -> None:
    node = OneReplica()
    async with RespServer(node, LISTEN, machine=node.machine) as server, connected(server) as client:
        text = await client.bulk(b"INFO\r\n")
    for line in ("# Server", "redis_version:7.0.0", "loading:0", "role:master", "raft_role:leader", "db0:keys=0"):
        assert line in text
