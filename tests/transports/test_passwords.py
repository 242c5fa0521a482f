"""Who AUTH proves a client to be, and what administration is kept for."""

import time

import anyio
import pytest

from rafty_transports.passwords import ADMIN, DEFAULT, LONGEST_DELAY, Passwords, delay_after
from rafty_transports.service_clients import ClientLimits
from tests.transports.service_kit import OneReplica, connected, counted, encode, serving
from tests.transports.test_administration import AdministeredReplica, administered

WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"
BOTH = {"password": "secret", "admin_password": "master"}


@pytest.mark.parametrize(
    ("passwords", "name", "password", "user"),
    [
        (Passwords(), b"default", b"anything", DEFAULT),
        (Passwords(), b"admin", b"anything", None),
        (Passwords("secret"), b"default", b"secret", DEFAULT),
        (Passwords("secret"), b"default", b"secret ", None),
        (Passwords("secret"), b"default", b"", None),
        (Passwords("secret"), b"admin", b"secret", None),
        (Passwords("secret", "master"), b"admin", b"master", ADMIN),
        (Passwords("secret", "master"), b"admin", b"secret", None),
        (Passwords("secret", "master"), b"default", b"master", None),
        (Passwords(None, "master"), b"default", b"anything", DEFAULT),
        (Passwords("secret", "master"), b"Admin", b"master", None),
        (Passwords("p\u00e4ss"), b"default", "p\u00e4ss".encode(), DEFAULT),
        (Passwords("p\udcff"), b"default", b"p\xff", DEFAULT),
    ],
)
def test_user_that_a_password_proves(passwords: Passwords, name: bytes, password: bytes, user: str | None) -> None:
    assert passwords.user(name, password) == user


def test_empty_and_equal_passwords_are_refused() -> None:
    for empty in (("", None), (None, "")):
        with pytest.raises(ValueError, match="a password is empty; give one that has characters, or none"):
            Passwords(*empty)
    with pytest.raises(ValueError, match="the password for administration is that of all clients"):
        Passwords("secret", "secret")


def test_each_wrong_password_costs_more_than_the_one_before_up_to_a_limit() -> None:
    delays = [delay_after(wrong) for wrong in range(1, 8)]
    assert delays == sorted(set(delays))
    assert delay_after(10**9) == LONGEST_DELAY


@pytest.mark.anyio
@pytest.mark.parametrize(
    "command",
    ["MEMBER REMOVE n3", "member add n4 h:4", "TRANSFER n2", "transfer", "LEASE OFF", "SNAPSHOT", "BACKUP",
     "BACKUP READ 1 1 0", "MEMBER", "BACKUP NONSENSE"],
)  # fmt: skip
async def test_what_changes_the_cluster_or_carries_it_away_is_for_the_administrator(command: str) -> None:
    node = AdministeredReplica()
    word = command.partition(" ")[0].lower()
    refused = (
        f"-NOPERM this user has no permissions to run the 'rafty|{word}' command: it is for the user admin; AUTH admin "
        "<password>\r\n"
    ).encode()
    async with serving(node, administration=administered(node), **BOTH) as server, connected(server) as client:
        await client.ask(b"AUTH secret\r\n", b"+OK\r\n")
        await client.ask(f"RAFTY {command}\r\n".encode(), refused)
        assert node.asked == []
        assert counted(server) == {"no_permission": 1}
        await client.ask(b"AUTH admin master\r\n", b"+OK\r\n")
        await client.stream.send(f"RAFTY {command}\r\n".encode())
        assert not (await client.received.receive_until(b"\r\n", 1000)).startswith(b"-NOPERM")


@pytest.mark.anyio
async def test_administrator_may_read_and_write_and_the_others_may_look_at_the_members() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node), **BOTH) as server:
        async with connected(server) as client:
            await client.ask(b"AUTH default secret\r\n", b"+OK\r\n")
            assert "cluster_id:" in await client.bulk(b"RAFTY MEMBERS\r\n")
            assert "role:" in await client.bulk(b"RAFTY STATUS\r\n")
        async with connected(server) as client:
            await client.ask(b"AUTH admin master\r\nSET a 1\r\nGET a\r\n", b"+OK\r\n+OK\r\n$1\r\n1\r\n")
            await client.ask(b"RAFTY LEASE OFF\r\n", b"+OK\r\n")
            await client.ask(b"AUTH secret\r\nRAFTY LEASE OFF\r\n", b"+OK\r\n-NOPERM this user")
        async with connected(server) as client:
            await client.ask(b"HELLO 2 AUTH admin master\r\n", b"*14\r\n")
            await client.received.receive_until(b"*0\r\n", 1000)
            await client.ask(b"RAFTY LEASE OFF\r\n", b"+OK\r\n")


@pytest.mark.anyio
async def test_administration_apart_from_data_that_needs_no_password() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node), admin_password="master") as server:
        async with connected(server) as client:
            await client.ask(b"SET a 1\r\nRAFTY LEASE OFF\r\n", b"+OK\r\n-NOPERM this user")
            await client.received.receive_until(b"\r\n", 1000)
            await client.ask(b"AUTH master\r\n", b"-ERR AUTH <password> called without any password configured")
            await client.received.receive_until(b"\r\n", 1000)
            await client.ask(b"AUTH admin wrong\r\n", WRONG)
            await client.ask(b"AUTH admin master\r\nRAFTY LEASE OFF\r\n", b"+OK\r\n+OK\r\n")


@pytest.mark.anyio
async def test_without_a_password_for_administration_all_who_write_may_administer() -> None:
    node = AdministeredReplica()
    async with serving(node, administration=administered(node), password="secret") as server:
        async with connected(server) as client:
            await client.ask(b"RAFTY LEASE OFF\r\n", b"-NOAUTH Authentication required.\r\n")
            await client.ask(b"AUTH admin secret\r\n", WRONG)
            await client.ask(b"AUTH secret\r\nRAFTY LEASE OFF\r\n", b"+OK\r\n+OK\r\n")


@pytest.mark.anyio
@pytest.mark.parametrize("guess", [b"AUTH wrong", b"AUTH admin wrong", b"HELLO 3 AUTH default wrong"])
async def test_wrong_passwords_cost_time_and_at_last_the_connection(guess: bytes) -> None:
    limits = ClientLimits(wrong_passwords=3)
    async with serving(OneReplica(), limits=limits, **BOTH) as server:
        async with connected(server) as client, connected(server) as other:
            began = time.monotonic()
            await client.stream.send((guess + b"\r\n") * 10)
            await other.ask(b"AUTH secret\r\nPING\r\n", b"+OK\r\n+PONG\r\n")
            assert server.connected == 2  # nobody else has to wait
            await client.expect(WRONG * 3)
            assert time.monotonic() - began >= delay_after(1) + delay_after(2) + delay_after(3)
            await client.expect_end()
            await other.ask(b"PING\r\n", b"+PONG\r\n")
        assert counted(server) == {"wrong_password": 3}


@pytest.mark.anyio
async def test_right_password_costs_no_time_behind_a_wrong_one_and_a_wrong_one_leaves_the_user() -> None:
    async with serving(OneReplica(), **BOTH) as server, connected(server) as client:
        await client.ask(b"AUTH wrong\r\nAUTH secret\r\nAUTH admin wrong\r\nPING\r\n", WRONG + b"+OK\r\n")
        await client.expect(WRONG + b"+PONG\r\n")
        await client.ask(encode(b"AUTH", b"admin", b"\xff\x00"), WRONG)


@pytest.mark.anyio
async def test_client_that_leaves_while_it_waits_for_the_answer_leaves_nothing_behind() -> None:
    async with serving(OneReplica(), **BOTH) as server:
        async with connected(server) as client:
            await client.stream.send(b"AUTH wrong\r\n" * 4)
        with anyio.fail_after(2):
            while server.connected:
                await anyio.sleep(0.005)
