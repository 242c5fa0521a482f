"""A slice of the campaigns of tests/transports/fuzz, whether they can fail, and a real node that hears such things."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import rafty_core.raft
from rafty_core.messages import MESSAGE_TYPES, Heartbeat
from rafty_core.node_invariants import state_of
from rafty_core.violation import Violation
from rafty_transports.codec import KEEP_ALIVE, DecodeError, decode, encode
from tests.transports.connections import closed_by_peer, connect, connect_as, heartbeat, identity, messages_of, node
from tests.transports.fuzz import wire
from tests.transports.fuzz.campaign import BLOCK, Campaign, Failure, main
from tests.transports.fuzz.frames import damaged, mend, noise
from tests.transports.fuzz.mutations import mutated, real
from tests.transports.fuzz.picture import picture_of
from tests.transports.fuzz.revival import revive
from tests.transports.fuzz.sentences import handshake_input
from tests.transports.fuzz.structure import made
from tests.transports.fuzz.subject import Subject
from tests.transports.fuzz.traffic import recording

LONG = 7 * BLOCK
"""Where a block of one long life begins."""


def test_fuzz_slice_of_a_campaign_breaks_nothing_and_reaches_everything() -> None:
    real()
    campaign = Campaign(0)
    campaign.measured(0, 300)
    for first in (BLOCK, LONG):
        campaign.block(first)
    assert campaign.inputs == 300 + 2 * BLOCK
    reached = {outcome for source, outcome in campaign.counts if source in ("traffic", "structure")}
    assert reached >= {f"{kind.__name__} {end}" for kind in MESSAGE_TYPES for end in ("taken", "refused")}
    assert campaign.counts["lives", "back"] > 0
    assert campaign.counts["lies", "AppendEntries refused"] > 0
    for source in ("handshake", "requests"):
        assert {outcome for of, outcome in campaign.counts if of == source} > {"refused"}


def test_fuzz_same_seed_gives_the_same_inputs_and_ends_in_every_process() -> None:
    campaign, other = Campaign(3), Campaign(4)
    campaign.block(0, 300)
    other.block(0, 300)
    command = [sys.executable, "-m", "tests.transports.fuzz", "--inputs", "300", "--seed", "3"]
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONHASHSEED": "5", "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert f"digest {campaign.digest:08x}" in done.stdout
    assert f"{other.digest:08x}" not in done.stdout


def _forget_the_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rafty_core.raft, "check_message", lambda *_: None)


def _change_and_refuse(patch: pytest.MonkeyPatch) -> None:
    def on_heartbeat(state: Any, message: Heartbeat) -> None:
        state.heard_leader = state.now + 1
        raise Violation("this came too late")

    for pair in [pair for pair in rafty_core.raft.TABLE if pair[1] is Heartbeat]:
        patch.setitem(rafty_core.raft.TABLE, pair, on_heartbeat)


def _stumble_over_bytes(patch: pytest.MonkeyPatch) -> None:
    def stumble(frame: bytes) -> object:
        if frame[5] == 7:
            raise KeyError("a kind that nobody thought of")
        return decode(frame)

    patch.setattr(wire, "decode", stumble)


@pytest.mark.parametrize("fault", [_forget_the_check, _change_and_refuse, _stumble_over_bytes])
def test_fuzz_finds_a_fault_and_tells_how_to_find_it_again(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fault(monkeypatch)
    told = []
    with pytest.raises(Failure) as caught:
        for first in range(0, 8 * BLOCK, BLOCK):
            Campaign(11).block(first)
    told.append(str(caught.value))
    again = re.search(r"--seed 11 --first (\d+) --inputs (\d+)$", told[0])
    assert again is not None
    with pytest.raises(Failure) as caught:
        Campaign(11).block(int(again[1]), int(again[2]))
    assert str(caught.value) == told[0]
    assert re.search(r"^bytes: [0-9a-f]*$", told[0], re.MULTILINE)


def test_fuzz_command_prints_a_failure_and_says_so_by_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--inputs", "50", "--seed", "11"]) == 0
    assert "nothing broke" in capsys.readouterr().out
    _stumble_over_bytes(monkeypatch)
    assert main(["--inputs", "900", "--seed", "11", "--seconds", "60"]) == 1
    shown = capsys.readouterr().err
    assert "KeyError: 'a kind that nobody thought of'" in shown
    assert "again: python -m tests.transports.fuzz --seed 11 --first 0" in shown


def test_fuzz_node_that_heard_nothing_comes_back_in_every_moment() -> None:
    for moment in recording().moments:
        subject = Subject(moment)
        member = state_of(subject.raft).configuration.member(moment.node_id)
        assert (revive(subject), subject.raft.status().violations) == ("back" if _at_rest(subject) else "believed", 0)
        assert member is not None or moment.node_id == "n5"


def _at_rest(subject: Subject) -> bool:
    states = [state_of(driven.raft) for driven in subject.fellows.nodes.values()]
    return all(state.configuration == states[0].configuration and state.configuration.at_rest for state in states)


def test_fuzz_traffic_has_every_class_of_message() -> None:
    kinds = {type(decode(frame[4:])) for frame in recording().frames}
    assert kinds >= set(MESSAGE_TYPES)


def test_fuzz_mended_frames_get_past_the_crc() -> None:
    frames = recording().frames
    reasons = []
    for seed in range(300):
        chance = random.Random(seed)
        data = mend(damaged(chance, frames[seed % len(frames)], frames))
        if len(data) >= 16 and data[8] == 1:
            try:
                decode(data[4:])
            except DecodeError as error:
                reasons.append(str(error))
    assert len(reasons) > 100
    assert not any("does not match its CRC" in reason and "body" not in reason for reason in reasons)


@pytest.mark.anyio
async def test_fuzz_node_that_listens_still_hears_its_peers() -> None:
    """Strangers say sentences, and a peer frames, that were made up; then the peer is heard as if nothing had been."""
    chance = random.Random(1)
    picture = picture_of(Subject(recording().moments[5]).raft)
    async with node("n1", {}) as one:
        for _ in range(25):
            async with await connect(one.address) as stream:
                await stream.send(handshake_input(chance))
                await stream.send_eof()
                await closed_by_peer(stream)
        makers: list[Callable[[], bytes]] = [
            partial(noise, chance),
            partial(mutated, chance, picture),
            partial(made, chance, picture),
        ]
        for make in makers:
            stream = await connect_as(one.address, identity("n2"), "n1")
            async with stream:
                try:
                    for _ in range(40):
                        await stream.send(KEEP_ALIVE + make())
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    continue
        async with await connect_as(one.address, identity("n2"), "n1") as stream:
            await stream.send(b"".join(encode(heartbeat("n2", "n1", 77))))
            heard = [message async for message in _until(one, 77)]
        assert heard[-1] == heartbeat("n2", "n1", 77)
        assert all(message.sender == "n2" and message.to == "n1" for message in heard)


async def _until(transport: Any, number: int) -> Any:
    while True:
        for message in await messages_of(transport, 1):
            yield message
            if message == heartbeat("n2", "n1", number):
                return
