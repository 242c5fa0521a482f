"""Lines for people: in order, bounded, and never waited for."""

import os
import time

from rafty_transports.printing import Lines, would_block


def fill(writer: int) -> int:
    """Fill this pipe; how many bytes it took."""
    os.set_blocking(writer, False)
    size = 0
    try:
        while True:
            size += os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
        return size


def test_lines_are_written_in_order() -> None:
    reader, writer = os.pipe()
    lines = Lines(writer)
    for number in range(50):
        lines.put(f"line {number}")
    said = b""
    while said.count(b"\n") < 50:
        said += os.read(reader, 4096)
    assert said.decode().splitlines() == [f"line {number}" for number in range(50)]
    os.close(reader)
    lines.put("nobody reads this, and nothing is raised")
    assert lines.close(5.0)
    lines.put("too late")
    assert lines.dropped == 1
    os.close(writer)


def test_lines_that_nobody_reads_are_dropped_and_counted() -> None:
    reader, writer = os.pipe()
    filled = fill(writer)
    assert would_block(writer)
    lines = Lines(writer, most=10)
    lines.put("first")
    time.sleep(0.05)  # it is being written now, and waits for nobody
    for number in range(100):
        lines.put(f"line {number}")
    assert lines.dropped == 90
    got = b""
    while b"missing" not in got:
        got += os.read(reader, 65536)
    said = got[filled:].decode().splitlines()
    assert said == ["first", *(f"line {number}" for number in range(10)), said[-1]]
    assert said[-1].startswith("(90 lines are missing here")
    assert lines.close(5.0)
    assert not would_block(writer)
    os.close(reader)
    os.close(writer)
