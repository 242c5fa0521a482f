"""A campaign: so many inputs, one after the other, and an end at the first that breaks something.

Law: *a failure is a seed, a number and some bytes, and the same seed gives it again.*

    python -m tests.transports.fuzz [--inputs 1000000] [--seed 0] [--seconds N] [--first N]

Inputs come in blocks of `BLOCK`. A block has ten lives of a core, or one long one; nothing of it is left for the next,
so that the block of a failure alone (`--first`) gives it again. Memory is looked at twice: tracemalloc measures one
block in a hundred, and at the end the process must not have grown by more than `MOST_GROWTH` since it was warm.
"""

import argparse
import random
import resource
import time
import traceback
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from zlib import crc32

from tests.transports.fuzz.frames import noise
from tests.transports.fuzz.mutations import mutated, real
from tests.transports.fuzz.revival import revive
from tests.transports.fuzz.sentences import handshake_input, hear_handshake, hear_requests, request_input
from tests.transports.fuzz.structure import made
from tests.transports.fuzz.subject import Subject
from tests.transports.fuzz.traffic import recording
from tests.transports.fuzz.wire import Broken, check_splitter, read

BLOCK = 1000
LIFE = 100
REVIVED = 4
"""One life in so many is put back among its fellows at its end; all long ones are."""

TRACED = 100
"""One block in so many is measured by tracemalloc."""

MOST_SECONDS = 20.0
"""Seconds of the processor that a life may take; a life of a thousand inputs takes a fifth of one, or one if traced."""

MOST_TRACED = 16 * 1024 * 1024
"""Bytes that a block may have allocated at its peak, beyond what there was before it."""

MOST_GROWTH = 64 * 1024 * 1024
"""Bytes by which the greatest resident size may grow over a campaign, from the moment when it was warm."""


class Failure(Exception):
    """An input broke something; the text has all that is needed to have it again."""


class Campaign:
    """Runs blocks of inputs. `counts` are of (source, outcome); `digest` is equal for equal campaigns."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.counts: Counter[tuple[str, str]] = Counter()
        self.inputs = self.digest = 0
        self.traced = 0
        """The greatest peak of a measured block, in bytes."""

    def block(self, first: int, count: int = BLOCK) -> None:
        """Run the inputs of the block that begins at `first`, or the first `count` of them. Raises `Failure`."""
        length = BLOCK if first // BLOCK % 8 == 7 else LIFE
        for begin in range(first, first + count, length):
            self._life(begin, min(length, first + count - begin), long=length == BLOCK)

    def measured(self, first: int, count: int = BLOCK) -> None:
        """The same, and its memory is measured. Raises `Failure`, too if it takes more than it may."""
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            self.block(first, count)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
        self.traced = max(self.traced, peak)
        if peak > MOST_TRACED:
            raise Failure(f"the inputs from {first} on with seed {self.seed} take {peak} bytes, above {MOST_TRACED}")

    def _life(self, begin: int, count: int, long: bool) -> None:
        chance = random.Random(self.seed * 2**40 + begin)
        subject = Subject(chance.choice(recording().moments))
        data = b""
        done, begun = self.inputs, time.process_time()
        try:
            for _ in range(count):
                source, data = self._input(chance, subject)
                outcome = self._try(chance, source, subject, data)
                self.counts[source, outcome] += 1
                self.digest = crc32(outcome.encode(), crc32(data, self.digest))
                self.inputs += 1
            subject.end()
            self.counts["lives", "from {} to {}".format(*subject.roles)] += 1
            if time.process_time() - begun > MOST_SECONDS:
                raise Broken(f"this life took more than {MOST_SECONDS:g} s of the processor")
            if long or begin // LIFE % REVIVED == 0:
                self.counts["lives", revive(subject)] += 1
        except Exception as error:
            raise Failure(self._story(subject, begin + min(self.inputs - done, count - 1), data)) from error

    def _story(self, subject: Subject, number: int, data: bytes) -> str:
        block = number - number % BLOCK
        return (
            f"input {number} of seed {self.seed} breaks a {subject.moment.name} ({subject.moment.node_id})\n"
            f"bytes: {data.hex()}\n"
            f"again: python -m tests.transports.fuzz --seed {self.seed} --first {block} --inputs {number - block + 1}"
        )

    def _input(self, chance: random.Random, subject: Subject) -> tuple[str, bytes]:
        draw = chance.random()
        if draw < 0.9:
            source, make = MESSAGES[int(draw / 0.3)]
            return source, make(chance, subject)
        if draw < 0.92:
            return "lies", subject.lie(chance)
        return ("handshake", handshake_input(chance)) if draw < 0.96 else ("requests", request_input(chance))

    def _try(self, chance: random.Random, source: str, subject: Subject, data: bytes) -> str:
        if source == "handshake":
            return hear_handshake(chance, data)
        if source == "requests":
            return hear_requests(chance, data)
        if source == "lies":
            told = read(data[4:])
            return "none to be found" if told is None else f"{type(told).__name__} {subject.hear_lie(chance, told)}"
        frames = check_splitter(chance, data) or [data[4:]]
        outcome = "no message"
        for frame in frames:
            message = read(frame)
            if message is not None:
                outcome = f"{type(message).__name__} {subject.hear(chance, message)}"
        return outcome


MESSAGES: Sequence[tuple[str, Callable[[random.Random, Subject], bytes]]] = (
    ("bytes", lambda chance, _: noise(chance)),
    ("traffic", lambda chance, subject: mutated(chance, subject.picture)),
    ("structure", lambda chance, subject: made(chance, subject.picture)),
)
"""The three sources of messages."""


def run(seed: int, first: int, inputs: int, seconds: float) -> Campaign:
    """Run a campaign of so many inputs from `first` on, or of so many seconds if that is over before.

    Raises `Failure` at the first input that breaks something, and if the process has grown too much.
    """
    campaign = Campaign(seed)
    real()
    until = time.monotonic() + seconds
    first -= first % BLOCK
    campaign.measured(first, min(BLOCK, inputs))
    warm = 0
    for begin in range(first + BLOCK, first + inputs, BLOCK):
        if time.monotonic() > until:
            break
        run_block = campaign.measured if begin // BLOCK % TRACED == 0 else campaign.block
        run_block(begin, min(BLOCK, first + inputs - begin))
        if campaign.inputs >= 20 * BLOCK and not warm:
            warm = resident()
    if warm and resident() - warm > MOST_GROWTH:
        raise Failure(f"the process grew from {warm} to {resident()} bytes")
    return campaign


def resident() -> int:
    """The greatest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def report(campaign: Campaign, seconds: float) -> None:
    """Print what was done, by source and outcome."""
    print(f"{campaign.inputs} inputs of seed {campaign.seed} in {seconds:.1f} CPU s: nothing broke")
    print(f"{campaign.inputs / max(seconds, 1e-9):.0f} inputs per CPU s; digest {campaign.digest:08x}")
    print(f"memory: {resident() // 2**20} MiB resident at most, {campaign.traced // 2**10} KiB in a measured block")
    for (source, outcome), count in sorted(campaign.counts.items()):
        print(f"{count:9} {source:10} {outcome}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. 0: nothing broke; 1: something did, and it was printed."""
    parser = argparse.ArgumentParser(prog="python -m tests.transports.fuzz", description="tell nodes what was made up")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many inputs (default 1000000)")
    parser.add_argument("--seed", type=int, default=0, help="what all inputs follow from (default 0)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the end, if it comes before")
    parser.add_argument("--first", type=int, default=0, help="number of the first input; cut to a whole block")
    chosen = parser.parse_args(arguments)
    begun = time.process_time()
    try:
        campaign = run(chosen.seed, chosen.first, chosen.inputs, chosen.seconds)
    except Failure as failure:
        traceback.print_exception(failure)
        return 1
    report(campaign, time.process_time() - begun)
    return 0
