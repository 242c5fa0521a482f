"""The clients of the demonstration: they write all the time, remember what they were told, and read it back.

Law: *a write counts as acknowledged when its OK has come, as unknown when it may have happened; nothing is guessed.*

Each key is written once and its value follows from it, so that whatever is read back is either right, absent or wrong.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from rafty_transports.client import Client, HungUp, Reply, ReplyError, Unreachable, encode_request
from rafty_transports.commands import NOT_APPLIED, TOO_MANY_CLIENTS
from rafty_transports.exits import CommandFailed

PIPELINE = 32
"""Writes that one client has under way."""

CLIENTS_PER_NODE = 4

PATIENCE = 1.0
"""Seconds that a client waits for the outcomes of its writes before it takes them for unknown."""

KEYS_AT_ONCE = 256
READERS = 4


@dataclass
class Ledger:
    """What became of the writes. Times are those of `anyio.current_time`."""

    token: str = field(default_factory=lambda: secrets.token_hex(4))
    acknowledged: list[bytes] = field(default_factory=list)
    unknown: list[bytes] = field(default_factory=list)
    refused: int = 0
    last: float = 0.0
    longest_silence: float = 0.0

    def value(self, key: bytes) -> bytes:
        """What is written under this key, in this run and no other."""
        return b"%b of run %b" % (key, self.token.encode())

    def watch(self) -> None:
        """Measure the longest time without an acknowledgement from now on."""
        self.last, self.longest_silence = anyio.current_time(), 0.0

    def note(self, keys: Sequence[bytes], replies: Sequence[Reply]) -> bool:
        """Note what came back for these keys, in order; whether all were acknowledged. Raises `CommandFailed`."""
        before = len(self.acknowledged)
        for key, reply in zip(keys, replies, strict=True):
            if reply == b"OK":
                self.acknowledged.append(key)
            elif not isinstance(reply, ReplyError):
                raise CommandFailed(f"a write was answered with {reply!r:.80}, which is no answer to a write")
            elif reply.code == "UNKNOWN":
                self.unknown.append(key)
            elif reply.code in NOT_APPLIED or str(reply) == TOO_MANY_CLIENTS:
                self.refused += 1
            else:
                raise CommandFailed(f"a write was refused: {reply}")
        if len(self.acknowledged) > before:
            now = anyio.current_time()
            self.longest_silence = max(self.longest_silence, now - self.last)
            self.last = now
        return len(self.acknowledged) - before == len(keys)


async def write_on(ledger: Ledger, number: int, nodes: Sequence[str], stopped: anyio.Event) -> None:
    """Write as client `number` until `stopped` is set: to one node, and to the next when that one does not serve."""
    turn = number
    written = 0
    while not stopped.is_set():
        try:
            async with await Client.connect(nodes[turn % len(nodes)], timeout=PATIENCE) as client:
                served = True
                while served and not stopped.is_set():
                    keys = [b"demo:%d:%d" % (number, written + offset) for offset in range(PIPELINE)]
                    written += PIPELINE
                    served = await _write(ledger, client, keys)
        except (Unreachable, HungUp):
            pass
        turn += 1
        await anyio.sleep(0.02)


async def _write(ledger: Ledger, client: Client, keys: Sequence[bytes]) -> bool:
    data = b"".join([encode_request((b"SET", key, ledger.value(key))) for key in keys])
    replies: list[Reply] | None = None
    try:
        with anyio.move_on_after(PATIENCE):
            replies = await client.ask_encoded(data, len(keys))
    finally:
        if replies is None:
            ledger.unknown += keys
    if replies is None:
        raise HungUp(f"{client.address} did not answer in time")
    return ledger.note(keys, replies)


@dataclass
class Found:
    """What was read back through one node. `wrong` counts values that nobody wrote under that key."""

    missing: list[bytes] = field(default_factory=list)
    wrong: list[bytes] = field(default_factory=list)
    of_unknown: int = 0
    pairs: list[tuple[bytes, bytes]] = field(default_factory=list)


async def read_back(ledger: Ledger, address: str) -> Found:
    """Read every write that was acknowledged, and those whose outcome is unknown, through the node at this address.

    Raises `CommandFailed` if the node does not answer.
    """
    found = Found()
    certain = len(ledger.acknowledged)
    keys = ledger.acknowledged + ledger.unknown
    try:
        async with await Client.connect(address) as client:
            for start in range(0, len(keys), KEYS_AT_ONCE * READERS):
                parts = [
                    keys[at : at + KEYS_AT_ONCE]
                    for at in range(start, min(start + KEYS_AT_ONCE * READERS, len(keys)), KEYS_AT_ONCE)
                ]
                with anyio.fail_after(10.0):
                    replies = await client.ask(*[[b"MGET", *part] for part in parts])
                at = start
                for part, reply in zip(parts, replies, strict=True):
                    _compare(ledger, part, reply, certain - at, found)
                    at += len(part)
    except (Unreachable, HungUp, TimeoutError) as error:
        raise CommandFailed(f"the writes could not be read back through {address}: {error or 'no answer'}") from None
    return found


def _compare(ledger: Ledger, keys: Sequence[bytes], reply: Reply, certain: int, found: Found) -> None:
    """Compare what one MGET answered with what was written; the first `certain` of the keys were acknowledged."""
    if not isinstance(reply, list):
        raise CommandFailed(f"the writes could not be read back: {reply!r:.200}")
    for position, (key, value) in enumerate(zip(keys, reply, strict=True)):
        if value is None:
            if position < certain:
                found.missing.append(key)
            continue
        if value != ledger.value(key):
            found.wrong.append(key)
        elif position >= certain:
            found.of_unknown += 1
        if isinstance(value, bytes):
            found.pairs.append((key, value))
