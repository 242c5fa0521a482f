"""The side that dials: how long it waits, between attempts and for each, and what it says of a peer that is away."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from rafty_core.configuration import Member
from rafty_core.events import PeerUnreachable
from rafty_transports.certs import make
from rafty_transports.dialing import Dialer
from rafty_transports.links import Limits
from rafty_transports.peers import Peer
from rafty_transports.roster import Roster
from rafty_transports.security import Credentials
from rafty_transports.tcp import TcpTransport
from rafty_transports.websocket_transport import WebSocketTransport
from rafty_transports.wires import CannotReach
from tests.transports.connections import (
    ANYWHERE,
    NOWHERE,
    admission,
    admit_all,
    connect,
    heartbeat,
    identity,
    node,
    until,
)

pytestmark = pytest.mark.anyio

Opening = Callable[[], Awaitable[ByteStream]]


async def nobody() -> ByteStream:
    """What an opening does when nobody is there."""
    raise CannotReach("nobody is there")


class Dialing:
    """A dialer of n1, which dials n2 with `opening`; `times` are those of its attempts."""

    def __init__(self, limits: Limits, opening: Opening = nobody, address: str = NOWHERE) -> None:
        self.opening = opening
        self.times: list[float] = []
        self.reports = 0
        self.roster = Roster(identity("n1"), limits, lambda _: None)
        self.roster.name("n2", address)
        self.peer = self.roster.peers["n2"]
        self.dialer = Dialer(
            *(identity("n1"), self.roster, admission(), limits, self._open),
            report=self._report,
            removed=lambda _: None,
        )

    def _report(self, _: Peer) -> None:
        self.reports += 1

    def _open(self, _address: str, _peer: str) -> AbstractAsyncContextManager[ByteStream]:
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[ByteStream]:
        self.times.append(anyio.current_time())
        stream = await self.opening()
        try:
            yield stream
        finally:
            await anyio.aclose_forcefully(stream)

    @property
    def pauses(self) -> list[float]:
        """Seconds between one attempt and the next."""
        return [after - before for before, after in itertools.pairwise(self.times)]

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Inside, n2 is dialed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.dialer.keep_connected, self.peer)
            yield
            tasks.cancel_scope.cancel()


async def test_pauses_between_attempts_double_up_to_a_limit() -> None:
    dialing = Dialing(Limits(backoff_first=0.02, backoff_last=0.16))
    async with dialing.going():
        await until(lambda: len(dialing.times) == 10, 3.0)  # without a limit it would take 5 seconds and more
    for pause, most in zip(dialing.pauses, (0.02, 0.04, 0.08, *[0.16] * 6), strict=True):
        assert pause >= 0.5 * most
    assert dialing.peer.trouble == "nobody is there"


async def test_pauses_are_drawn_by_chance() -> None:
    """A pause is at least what was drawn, and the machine may make it longer: one that is short enough must come."""
    dialing = Dialing(Limits(backoff_first=0.03, backoff_last=0.03))
    async with dialing.going():
        await until(lambda: min(dialing.pauses, default=1.0) < 0.029)


async def test_a_connection_that_was_there_makes_the_next_pause_short_again() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        dialing = Dialing(Limits(backoff_first=0.02, backoff_last=60.0))
        async with dialing.going():
            await until(lambda: len(dialing.times) == 6)
            dialing.opening = lambda: connect(two.address)
            await until(lambda: dialing.peer.outbox.connected)
            two.set_peer("n1", NOWHERE)
            dialing.opening = nobody
            two._peers["n1"].end()
            await until(lambda: not dialing.peer.outbox.connected)
            ended, attempts = anyio.current_time(), len(dialing.times)
            await until(lambda: len(dialing.times) > attempts)
            assert dialing.times[attempts] - ended < 0.6  # it would be 0.64 at least


async def test_where_no_address_is_known_nothing_is_tried_until_there_is_one() -> None:
    dialing = Dialing(Limits(backoff_first=0.001, backoff_last=0.001), address="")
    async with dialing.going():
        await until(lambda: dialing.peer.trouble)
        await anyio.sleep(0.05)  # fifty times the pause
        assert len(dialing.times) == 1
        dialing.peer.tell(NOWHERE)
        await until(lambda: len(dialing.times) > 3)


async def test_an_attempt_takes_a_bounded_time() -> None:
    async def hanging() -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError

    dialing = Dialing(Limits(handshake=0.05, backoff_first=0.01, backoff_last=0.01), hanging)
    async with dialing.going():
        await until(lambda: len(dialing.times) == 2, 3.0)
        assert dialing.peer.trouble == f"{NOWHERE} did not begin within 0.15 s"
        assert dialing.pauses[0] >= 0.15
        with anyio.fail_after(3.0), pytest.raises(OSError, match=f"nobody answers at {NOWHERE}"):
            await dialing.dialer.identify("n2", NOWHERE)


async def test_what_bounds_an_attempt_does_not_end_a_connection() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        dialing = Dialing(Limits(handshake=0.1, keep_alive=0.05), lambda: connect(two.address))
        async with dialing.going():
            await until(lambda: two.peers()["n1"].accepted)
            await anyio.sleep(0.4)  # longer than the three handshakes that an attempt may take
            assert dialing.peer.outbox.connected
            assert len(dialing.times) == 1


async def test_what_waits_for_a_connection_that_is_lost_is_dropped_and_reported() -> None:
    async with node("n2", {"n1": NOWHERE}) as two:
        dialing = Dialing(Limits(backoff_first=30.0, backoff_last=30.0), lambda: connect(two.address))
        async with dialing.going():
            await until(lambda: dialing.peer.outbox.connected)
            two._peers["n1"].end()
            await until(lambda: not dialing.peer.outbox.connected)
            assert dialing.reports == 1
            assert dialing.peer.outbox.empty


async def test_messages_to_nobody_are_counted_and_said_of_each_once() -> None:
    async with node("n1", {}) as one:
        for number in range(3000):
            one.send(heartbeat("n1", f"x{number // 2}"))
        assert one.unaddressed == 3000
        assert len(one._inbox._items) == len(one._unknown) == 1000  # of more of them there is no need to know
        one._inbox._items.clear()
        one.set_peer("x1", NOWHERE)
        one._roster.forget(one._peers["x1"])
        one.send(heartbeat("n1", "x1"))
        assert one._inbox._items == [PeerUnreachable("x1")]  # for it was somebody in the meantime


async def test_a_transport_that_is_closed_may_still_be_told_of_members() -> None:
    async with node("n1", {}) as one:
        pass
    one.set_members([Member("n1"), Member("n2", NOWHERE)], [])
    one.send(heartbeat("n1", "n2"))


def certificate(directory: Path) -> Credentials:
    """Credentials of n1."""
    make(directory / "certificates", ["n1"], 1)
    return Credentials.from_files(*(directory / "certificates" / name for name in ("n1.pem", "n1-key.pem", "ca.pem")))


@pytest.mark.parametrize("made", [TcpTransport, WebSocketTransport])
async def test_a_node_speaks_as_its_certificate_wants_it_or_not_at_all(
    made: type[TcpTransport | WebSocketTransport], tmp_path: Path
) -> None:
    secured, me = certificate(tmp_path), identity("n1")
    for credentials, wrong, words in (
        (None, ("tls://127.0.0.1:0", "wss://127.0.0.1:0"), "is encrypted, and this node has no certificate"),
        (secured, ("tcp://127.0.0.1:0", "ws://127.0.0.1:0"), "is plain text, and this node has a certificate"),
    ):
        for address in wrong:
            with pytest.raises(ValueError, match=words):
                made(me, {}, address, admit=admit_all, credentials=credentials)
            with pytest.raises(ValueError, match=words):
                made(me, {"n2": address}, ANYWHERE, admit=admit_all, credentials=credentials)
            async with made(me, {}, ANYWHERE, admit=admit_all, credentials=credentials) as one:
                one.set_members([Member("n1"), Member("n2", address)], [])  # of a configuration, so no error
                # An address from before there were certificates is dialed all the same, and by TLS.
                trouble = words if credentials is None else "cannot connect to 127.0.0.1:0"
                await until(lambda one=one, trouble=trouble: trouble in (one.peers()["n2"].trouble or ""))  # type: ignore[misc]
                assert not one.peers()["n2"].connected
                with pytest.raises(OSError, match=words):  # while what is to be a new member's address is refused
                    await one.identify("n3", address)


async def test_a_host_that_is_no_name_is_trouble_and_no_error() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), Member("n2", f"{'ä' * 70}.example:7000")], [])
        await until(lambda: "cannot connect to" in (one.peers()["n2"].trouble or ""))


async def test_who_dials_itself_is_told_so() -> None:
    async with node("n1", {}) as one:
        one.set_members([Member("n1"), Member("n2", one.address)], [])
        await until(lambda: one.peers()["n2"].refusal)
        assert "n1 dialed 'n2' and reached n1: an address is wrong" in (one.peers()["n2"].refusal or "")
        assert not one.peers()["n2"].connected
