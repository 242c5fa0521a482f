"""The key-value service: what it answers, in which order, and what it says of outcomes."""

import anyio
import pytest

from rafty_core import outcomes
from rafty_core.outcomes import ProposalError
from rafty_transports.service_clients import REASONS
from tests.transports.service_kit import OneReplica, connected, encode, serving, until

pytestmark = pytest.mark.anyio

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
    ("COMMAND COUNT", ":24"),
    ("COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."),
    ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
    ("HELLO 4", "-NOPROTO unsupported protocol version"),
    ("HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
    ("HELLO 3 AUTH default", "-ERR Syntax error in HELLO option 'AUTH'"),
    ("AUTH x", "-ERR AUTH <password> called without any password configured for the default user. "
               "Are you sure your configuration is correct?"),
    ("AUTH default x", "+OK"),
    ("AUTH other x", "-WRONGPASS invalid username-password pair or user is disabled."),
    ("RAFTY", "-ERR RAFTY knows STATUS, INDEX, READ, SESSION, MEMBERS, MEMBER, TRANSFER, LEASE, SNAPSHOT and BACKUP"),
    ("QUIT", "+OK"),
]  # fmt: skip


async def test_dialogue_one_by_one_and_as_one_pipeline_says_what_redis_says() -> None:
    lines = b"".join(request.encode() + b"\r\n" for request, _ in DIALOGUE)
    answers = b"".join(reply.encode() + b"\r\n" for _, reply in DIALOGUE)
    async with serving(OneReplica()) as server, connected(server) as client:
        for request, reply in DIALOGUE:
            await client.ask(request.encode() + b"\r\n", reply.encode() + b"\r\n")
        await client.expect_end()
    async with serving(OneReplica()) as server, connected(server) as client:
        await client.ask(lines + b"PING\r\n", answers)
        await client.expect_end()


async def test_pipeline_in_one_chunk_is_one_batch_and_local_replies_stand_in_their_place() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        await client.ask(
            encode(b"SET", b"a", b"1") + encode(b"PING") + encode(b"INCR", b"a") + encode(b"NO") + encode(b"GET", b"a"),
            b"+OK\r\n+PONG\r\n:2\r\n-ERR unknown command 'NO', with args beginning with: \r\n$1\r\n2\r\n",
        )
    assert node.batches == [3]
    assert node.reads == []


async def test_long_pipeline_is_cut_into_bounded_batches() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.stream.send, encode(b"INCR", b"n") * 5000)
            await client.expect(b"".join(b":%d\r\n" % number for number in range(1, 5001)))
        assert max(node.batches) <= 1024
        await client.ask(encode(b"MGET", b"n") * 40, b"*1\r\n$4\r\n5000\r\n" * 40)


async def test_resp3_holds_from_hello_on_in_the_middle_of_a_pipeline() -> None:
    async with serving(OneReplica()) as server, connected(server) as client:
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
    async with serving(node) as server, connected(server) as client:
        await client.ask(encode(b"SET", b"a", b"1") + encode(b"PING"), reply + b"+PONG\r\n")
        await client.ask(encode(b"HELLO", b"3") + encode(b"GET", b"a"), b"%7\r\n")


async def test_status_of_a_stopped_node_is_an_error() -> None:
    node = OneReplica()
    node.answer = outcomes.Stopped("the node is not running")
    async with serving(node) as server, connected(server) as client:
        await client.ask(
            b"INFO\r\nRAFTY STATUS\r\nPING\r\n", b"-STOPPED the node is not running\r\n" * 2 + b"+PONG\r\n"
        )


async def test_password_is_asked_for_and_strangers_get_little_room() -> None:
    async with serving(OneReplica(), password="secret") as server:
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
    async with serving(OneReplica()) as server, connected(server) as client:
        await client.ask(
            encode(b"SET", b"a", b"1") + b"*1\r\n$x\r\n" + b"y" * 100_000,
            b"+OK\r\n-ERR Protocol error: invalid bulk length\r\n",
        )
        await client.expect_end()
        await until(lambda: server.connected == 0)


async def test_browser_is_hung_up_on() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        await client.stream.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nSET a 1\r\n")
        await client.expect_end()
    assert node.batches == []


async def test_status_shows_the_node_and_the_store() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        status = await client.bulk(b"RAFTY STATUS\r\n")
        empty = dict(line.split(":", 1) for line in status.split())
        await client.ask(b"SET a 1\r\n", b"+OK\r\n")
        status = await client.bulk(b"rafty status\r\n")
        shown = dict(line.split(":", 1) for line in status.split())
        refused = [name for name in shown if name.startswith("refused.clients.")]
        assert [shown.pop(name) for name in refused] == ["0"] * len(REASONS)
        assert shown == {
            "id": "n1", "role": "leader", "term": "3", "vote": "none", "leader": "n1", "commit_index": "5",
            "applied_index": "4", "durable_index": "5", "first_index": "1", "last_index": "6", "snapshot_index": "0",
            "configuration_index": "0", "fetching_snapshot": "0", "transferring_to": "none", "pending_proposals": "1",
            "pending_reads": "0", "violations": "0", "voters": "n1=127.0.0.1:7001,n2", "outgoing": "",
            "learners": "", "learners_next": "",
            "peer.n2": "reachable,match=5,next=6,flow=replicate,inflight=1,last_contact=0.250,pending_snapshot=0,"
            "catching_up=0", "snapshot.n2": "to=n2,index=5,done=1000,size=4000",
            "kv_keys": "1", "kv_commands_applied": "1", "kv_digest": node.machine.digest(),
        }  # fmt: skip
        assert empty["kv_digest"] != shown["kv_digest"]
        assert await client.bulk(b"rafty status\r\n") == status


async def test_status_in_a_pipeline_shows_what_was_written_before_it() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        await client.stream.send(encode(b"SET", b"a", b"1") + encode(b"RAFTY", b"STATUS"))
        await client.expect(b"+OK\r\n")
        assert "kv_keys:1\r\n" in await client.bulk(b"")


async def test_info_has_what_client_libraries_look_for() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        text = await client.bulk(b"INFO\r\n")
    for line in ("# Server", "redis_version:7.0.0", "loading:0", "role:master", "raft_role:leader", "db0:keys=0"):
        assert line in text


async def test_reads_alone_wait_once_for_the_node_and_leave_the_log_alone() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        await client.ask(b"SET a 1\r\n", b"+OK\r\n")
        await client.ask(
            encode(b"GET", b"a") + encode(b"PING") + encode(b"MGET", b"a", b"b") + encode(b"DBSIZE"),
            b"$1\r\n1\r\n+PONG\r\n*2\r\n$1\r\n1\r\n$-1\r\n:1\r\n",
        )
        await client.ask(encode(b"EXISTS", b"a", b"b"), b":1\r\n")
    assert node.batches == [1]
    assert node.reads == [("linearizable", 0), ("linearizable", 0)]


async def test_read_behind_a_write_in_one_pipeline_sees_it_in_every_mode() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        for number, mode in enumerate((b"LINEARIZABLE", b"LEASE", b"STALE")):
            value = b"%d" % number
            await client.ask(encode(b"RAFTY", b"READ", mode), b"+OK\r\n")
            await client.ask(
                encode(b"GET", b"b") + encode(b"SET", b"a", value) + encode(b"GET", b"a"),
                b"$-1\r\n+OK\r\n$1\r\n%b\r\n" % value,
            )
    assert node.batches == [3, 3, 1]
    assert node.reads == [("stale", 0), ("stale", 0)]


async def test_mode_of_reading_is_of_the_connection_and_holds_from_its_place_in_a_pipeline() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client, connected(server) as other:
        await client.ask(
            b"GET a\r\nREADONLY\r\nGET a\r\nREADWRITE\r\nGET a\r\n"
            b"rafty read at_least 7\r\nRAFTY READ LEASE\r\nGET a\r\n",
            b"$-1\r\n+OK\r\n$-1\r\n+OK\r\n$-1\r\n+OK\r\n+OK\r\n$-1\r\n",
        )
        await other.ask(b"GET a\r\n", b"$-1\r\n")
        await client.ask(b"RAFTY INDEX\r\n", b":4\r\n")
        usage = b"-ERR RAFTY READ knows LINEARIZABLE, LEASE, STALE and AT_LEAST <index>\r\n"
        await client.ask(b"RAFTY READ fresh\r\nRAFTY READ stale 1\r\n", usage * 2)
        await client.ask(b"RAFTY READ AT_LEAST x\r\n", b"-ERR RAFTY READ AT_LEAST needs a log index")
    assert node.reads == [("linearizable", 0), ("stale", 0), ("linearizable", 0), ("lease", 7), ("linearizable", 0)]


async def test_read_that_is_not_confirmed_says_why() -> None:
    node = OneReplica()
    node.answer = outcomes.NotLeader("the read was not confirmed in time")
    async with serving(node) as server, connected(server) as client:
        await client.ask(b"GET a\r\nPING\r\n", b"-NOTLEADER the read was not confirmed in time\r\n+PONG\r\n")


async def test_call_of_a_session_runs_once_however_often_it_comes() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client, connected(server) as other:
        await client.ask(b"RAFTY SESSION OPEN\r\n", b":1\r\n")
        first = b"RAFTY SESSION CALL 1 1 0 INCR n\r\n"
        await client.ask(first + first + b"GET n\r\n", b":1\r\n:1\r\n$1\r\n1\r\n")
        await other.ask(first, b":1\r\n")
        await other.ask(
            b"RAFTY SESSION CALL 1 2 1 SET a 1 NX GET\r\n" + first + b"GET a\r\n",
            b"$-1\r\n-STALE the answer of this call was acknowledged before, and it was not run now\r\n$1\r\n1\r\n",
        )
        await other.ask(b"RAFTY SESSION TOUCH 1 2\r\nRAFTY SESSION CLOSE 1\r\n", b"+OK\r\n+OK\r\n")
        await other.ask(b"RAFTY SESSION CALL 1 3 2 INCR n\r\nRAFTY SESSION CLOSE 1\r\n", b"-EXPIRED the session is not")
    assert node.machine.read([b"Gn"]) == [b"$1\r\n1\r\n"]


async def test_session_in_resp3_and_with_an_unknown_outcome() -> None:
    node = OneReplica()
    async with serving(node) as server, connected(server) as client:
        await client.ask(b"RAFTY SESSION OPEN\r\n", b":1\r\n")
        await client.ask(b"HELLO 3\r\n", b"%7\r\n")
        await client.received.receive_until(b"*0\r\n", 1000)
        await client.ask(b"RAFTY SESSION CALL 1 1 0 SET a 1 XX\r\n", b"_\r\n")
        node.answer = outcomes.OutcomeUnknown("time is over")
        call = b"RAFTY SESSION CALL 1 2 1 INCR n\r\n"
        await client.ask(call, b"-UNKNOWN time is over (may still be applied)\r\n")
        node.answer = None
        await client.ask(call + call, b":1\r\n:1\r\n")


@pytest.mark.parametrize(
    ("request_", "reply"),
    [
        (b"RAFTY SESSION", b"-ERR RAFTY SESSION knows OPEN"),
        (b"RAFTY SESSION OPEN 1", b"-ERR RAFTY SESSION knows OPEN"),
        (b"RAFTY SESSION CALL 1 1 0", b"-ERR RAFTY SESSION knows OPEN"),
        (b"RAFTY SESSION CALL 1 x 0 INCR n", b"-ERR session, sequence and acknowledged are numbers"),
        (b"RAFTY SESSION CALL 1 1 0 PING", b"-ERR a call of a session is a command of the store"),
        (b"RAFTY SESSION CALL 1 1 0 INCR", b"-ERR wrong number of arguments for 'incr' command"),
        (b"RAFTY SESSION CALL 1 1 1 INCR n", b"-ERR this call makes no sense"),
        (b"RAFTY SESSION CALL 9 1 0 INCR n", b"-EXPIRED the session is not known"),
        (b"RAFTY SESSION CLOSE -1", b"-ERR session, sequence and acknowledged are numbers"),
        (b"RAFTY MEMBERS", b"-ERR RAFTY knows STATUS"),
    ],
)
async def test_session_request_without_sense(request_: bytes, reply: bytes) -> None:
    async with serving(OneReplica()) as server, connected(server) as client:
        await client.ask(request_ + b"\r\n", reply)
