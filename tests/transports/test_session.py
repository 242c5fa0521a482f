"""A session over a real node, with what lies between them at its worst."""

from collections.abc import Sequence

import anyio
import pytest

from rafty_core import NotApplied, NotLeader, OutcomeUnknown, Overloaded, Stopped, TooLarge
from rafty_core.outcomes import SessionExpired
from rafty_core.sessions import CALL, CLOSE, OPEN, TOUCH, Sessions, encode_clock, encode_close
from rafty_transports.session import Session
from tests.transports.nodes import Recorder, until
from tests.transports.session_kit import Lossy, Outcomes, Scripted, Way, setting

pytestmark = pytest.mark.anyio

SECOND = 1_000_000


def no_fates(session: Session) -> bool:
    """Whether nothing is left of calls that ended."""
    return session._acknowledged == session._last_sequence and not session._resolved


async def test_commands_are_run_and_the_session_is_closed_at_the_end() -> None:
    async with setting() as on:
        async with on.node.session() as session:
            assert await session.propose(b"one") == b"did one"
            assert await session.propose(b"\xff\x01O") == b"did \xff\x01O"
            assert (on.machine.open_sessions, session.number) == (1, 2)
        assert on.applied == [b"one", b"\xff\x01O"]
        assert on.machine.open_sessions == 0
        with pytest.raises(SessionExpired):
            await session.propose(b"late")


@pytest.mark.parametrize("seed", range(2))
async def test_calls_at_once_over_a_lossy_way_are_each_run_exactly_once(seed: int) -> None:
    results: dict[bytes, bytes] = {}
    async with setting(Sessions(Recorder(), max_kept_answers=5)) as on, anyio.create_task_group() as late:
        way = Lossy(on.propose_many, seed, late)

        async def client(session: Session, name: int) -> None:
            for number in range(5):
                command = b"%d.%d" % (name, number)
                results[command] = await session.propose(command)

        with anyio.fail_after(20):
            async with Session(way) as session, anyio.create_task_group() as tasks:
                for name in range(6):
                    tasks.start_soon(client, session, name)
            assert no_fates(session)
    assert sorted(on.applied) == sorted(results)
    assert all(result == b"did " + command for command, result in results.items())


async def test_a_retry_has_the_number_of_the_first_try() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "refused", "unanswered", "lost", "unanswered")
        async with Session(way) as session:
            assert await session.propose(b"x") == b"did x"
            assert await session.propose(b"y") == b"did y"
        assert [int.from_bytes(call[11:19], "big") for call in way.calls] == [1, 1, 1, 1, 1, 2]
        assert on.applied == [b"x", b"y"]


async def test_a_call_that_is_given_up_is_unknown_and_its_late_copy_is_not_run() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "stuck")
        async with Session(way) as session:
            with pytest.raises(OutcomeUnknown, match=r"given up after 0\.05 s; no answer came"):
                await session.propose(b"given up", timeout=0.05)
            assert await session.propose(b"next") == b"did next"
            await on.propose(*way.stuck)
            assert no_fates(session)
        assert on.applied == [b"next"]


async def test_a_call_that_nobody_accepted_in_time_was_certainly_not_run() -> None:
    async with setting() as on, Session(Scripted(on.propose_many, *["refused"] * 100), timeout=0.1) as session:
        with pytest.raises(NotLeader, match="nobody accepted it"):
            await session.propose(b"x")


async def test_a_call_with_one_try_in_doubt_is_unknown_whatever_the_others_say() -> None:
    async with setting() as on, Session(Scripted(on.propose_many, "lost", *["refused"] * 100)) as session:
        with pytest.raises(OutcomeUnknown, match="given up after"):
            await session.propose(b"x", timeout=0.1)


async def test_a_cancelled_call_does_not_hold_up_the_session() -> None:
    async with setting(Sessions(Recorder(), max_kept_answers=2)) as on:
        way = Scripted(on.propose_many, "stuck")
        async with Session(way) as session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(session.propose, b"cancelled")
                await until(lambda: bool(way.stuck))
                tasks.cancel_scope.cancel()
            for number in range(5):
                await session.propose(b"%d" % number)
            await on.propose(*way.stuck)
        assert on.applied == [b"0", b"1", b"2", b"3", b"4"]


async def test_more_calls_than_answers_are_kept_wait_for_their_turn() -> None:
    async with setting(Sessions(Recorder(), max_kept_answers=2)) as on:
        way = Way(on.propose_many)
        async with Session(way) as session, anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(session.propose, b"%d" % number)
        assert len(way.calls) == 20  # none was refused and tried again
        assert len(on.applied) == 20


async def test_a_call_that_does_not_get_its_turn_in_time_is_overloaded() -> None:
    async with setting(Sessions(Recorder(), max_kept_answers=1)) as on:
        way = Scripted(on.propose_many, "stuck")
        async with Session(way) as session, anyio.create_task_group() as tasks:
            tasks.start_soon(session.propose, b"stuck")
            await until(lambda: bool(way.stuck))
            with pytest.raises(Overloaded, match="as many calls"):
                await session.propose(b"x", timeout=0.05)
            tasks.cancel_scope.cancel()
        assert on.applied == []


async def test_answers_that_fill_the_room_in_bytes_never_block_the_oldest_call() -> None:
    async with setting(Sessions(Recorder(), max_kept_bytes=10)) as on:
        way = Scripted(on.propose_many, "lost")
        with anyio.fail_after(10):
            async with Session(way) as session, anyio.create_task_group() as tasks:
                for number in range(6):
                    tasks.start_soon(session.propose, b"%d" % number + bytes(20))
        assert len(on.applied) == 6


# ---------------------------------------------------------------- the end of a session


async def test_an_expired_session_is_told_from_a_call_in_doubt() -> None:
    async with setting() as on:
        async with Session(on.propose_many) as session:
            await session.propose(b"before")
            await on.propose(encode_close(session.number))
            with pytest.raises(SessionExpired, match="open another one"):
                await session.propose(b"never")
            assert session.expired
        way = Scripted(on.propose_many, "unanswered")
        async with Session(way) as session:
            way.fates.append("lost")
            way.proposed.clear()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(unknown, session, b"doubt")
                await until(lambda: on.applied[-1:] == [b"doubt"])
                await on.propose(encode_close(session.number))
            before = len(way.proposed)
            with pytest.raises(SessionExpired):
                await session.propose(b"never")
            assert len(way.proposed) == before
        assert on.applied == [b"before", b"doubt"]


async def unknown(session: Session, command: bytes) -> None:
    """Nobody can tell what became of this call."""
    with pytest.raises(OutcomeUnknown, match="an earlier try may have been applied"):
        await session.propose(command)


async def test_a_node_that_stops_ends_its_calls_with_the_truth() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "lost")
        ended = anyio.Event()

        async def stopped_in_doubt() -> None:
            async with Session(way) as session:
                way.propose_many = nowhere
                await unknown(session, b"x")
                with pytest.raises(Stopped):
                    await session.propose(b"y")
            ended.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stopped_in_doubt)
            with anyio.fail_after(5):
                await ended.wait()


async def nowhere(commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
    """What a node says that was stopped."""
    return [Stopped("the node is not running")] * len(commands)


async def test_a_command_that_never_fits_is_refused_at_once() -> None:
    async with setting() as on, Session(on.propose_many) as session:
        with pytest.raises(TooLarge):
            await session.propose(bytes(5 * 1024 * 1024))
        with pytest.raises(TypeError, match="bytes"):
            await session.propose("text")  # type: ignore[arg-type]
        assert await session.propose(b"x") == b"did x"
        assert no_fates(session)


async def test_the_bodys_own_exception_leaves_as_itself_and_the_session_is_closed() -> None:
    async with setting() as on:
        with pytest.raises(ZeroDivisionError):
            async with Session(on.propose_many):
                _ = 1 / 0
        assert on.machine.open_sessions == 0


async def test_a_cancelled_body_closes_the_session_too() -> None:
    async with setting() as on:
        with anyio.move_on_after(0.05) as scope:
            async with Session(on.propose_many):
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert on.machine.open_sessions == 0


async def test_leaving_ends_though_nobody_answers() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "stuck", only=CLOSE)
        with anyio.fail_after(5):
            async with Session(way) as session:
                await session.propose(b"x")
        assert way.stuck == [encode_close(session.number)]


async def test_leaving_never_raises_what_the_closing_meets(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
        raise OSError("no way")

    async with setting() as on:
        way = Way(on.propose_many)
        async with Session(way):
            way.propose_many = broken
    assert "no way" in caplog.text


# ---------------------------------------------------------------- opening


async def test_an_opening_without_an_answer_is_repeated() -> None:
    async with setting() as on:
        way = Scripted(on.propose_many, "lost", "refused", "unanswered", only=OPEN)
        async with Session(way) as session:
            assert way.proposed == [OPEN] * 4
            assert on.machine.open_sessions == 2  # the unanswered one expires
            assert await session.propose(b"x") == b"did x"


async def test_too_many_sessions_are_refused() -> None:
    async with setting(Sessions(Recorder(), max_sessions=1)) as on, Session(on.propose_many):
        with pytest.raises(Overloaded, match="as many sessions are open"):
            async with Session(on.propose_many):
                pass


async def test_an_opening_that_takes_too_long_has_run_nothing() -> None:
    async with setting() as on:
        with pytest.raises(NotApplied, match=r"no session was opened within 0\.1 s; nobody accepted it"):
            async with Session(Scripted(on.propose_many, *["refused"] * 99, only=OPEN), timeout=0.1):
                pass
        with pytest.raises(Stopped):
            async with Session(nowhere):
                pass


async def test_a_machine_without_sessions_is_named() -> None:
    async def plain_machine(commands: Sequence[bytes], *, timeout: float | None = None) -> Outcomes:
        return Recorder().apply(1, commands)

    with pytest.raises(TypeError, match=r"wrap it in rafty_core\.sessions\.Sessions"):
        async with Session(plain_machine):
            pass


async def test_a_session_is_entered_once_and_used_inside() -> None:
    async with setting() as on:
        session = Session(on.propose_many)
        with pytest.raises(RuntimeError, match="inside"):
            await session.propose(b"x")
        with pytest.raises(RuntimeError, match="never entered"):
            await session.__aexit__(None, None, None)
        async with session:
            with pytest.raises(RuntimeError, match="entered once"):
                await session.__aenter__()


# ---------------------------------------------------------------- idle sessions


async def test_an_idle_session_is_kept_alive_while_others_move_the_clock() -> None:
    async with setting(Sessions(Recorder(), expiry_seconds=0.3)) as on:
        way = Scripted(on.propose_many, "refused", only=TOUCH)
        async with Session(way) as session:
            for now in range(1, 4):
                seen = len(touches(way))
                await until(lambda: len(touches(way)) >= seen + 2)  # noqa: B023
                await on.propose(encode_clock(now * SECOND))
            assert await session.propose(b"still here") == b"did still here"
        assert on.applied == [b"still here"]


async def test_a_session_that_is_used_is_not_touched() -> None:
    async with setting(Sessions(Recorder(), expiry_seconds=3.0)) as on:
        way = Way(on.propose_many)
        async with Session(way) as session:
            end = anyio.current_time() + 1.2
            while anyio.current_time() < end:
                await session.propose(b"x")
                await anyio.sleep(0.05)
        assert touches(way) == []


async def test_an_idle_session_that_expired_knows_it() -> None:
    async with setting(Sessions(Recorder(), expiry_seconds=0.3)) as on:
        way = Way(on.propose_many)
        async with Session(way) as session:
            await on.propose(encode_clock(SECOND), encode_clock(2 * SECOND))
            await until(lambda: session.expired)
            with pytest.raises(SessionExpired):
                await session.propose(b"x")
        assert not [command for command in way.proposed if command[:3] in (CALL, CLOSE)]


def touches(way: Way) -> list[bytes]:
    """The keep-alives among what was proposed."""
    return [command for command in way.proposed if command[:3] == TOUCH]
