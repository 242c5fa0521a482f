"""R190: a signal asks a node to end gently, and nothing ends it when that takes too long.

On asyncio the deadline was computed where no task runs, which raised: each node that was asked to end logged an error,
and one whose gentle end hung would have hung for ever.
"""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys
import anyio
from rafty_transports.signals import Gently, run_until_signal

gently = Gently(0.3)

async def main():
    with anyio.CancelScope() as gently.scope:
        print("ready", flush=True)
        await anyio.sleep_forever()
    print("asked", flush=True)
    await anyio.sleep_forever()  # a gentle end that hangs

run_until_signal(main, what="a node", backend=sys.argv[1], gently=gently)
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop"])
def test_gentle_end_that_hangs_is_cut_short(backend: str) -> None:
    command = [sys.executable, "-c", PROGRAM, backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            said, complaints = process.communicate(timeout=15)
        finally:
            process.kill()
    assert said == "asked\n"
    assert "Exception" not in complaints
    assert process.returncode == -signal.SIGTERM
    assert time.monotonic() - began < 10
