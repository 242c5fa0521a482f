"""The store that ships with rafty is the same on every node, whatever Python's hashes are there.

Two processes with different `PYTHONHASHSEED` apply the same commands: their answers, their images and their digests are
equal to the byte.
"""

import os
import subprocess
import sys

SCRIPT = """
import hashlib, io
from rafty_core.sessions import Sessions, plain
from rafty_transports import kv

machine = kv.KeyValueMachine()
sessions = Sessions(machine)
commands = [kv.encode_set(b"key %d" % (n * 7919 % 1000), b"%d" % n) for n in range(2000)]
commands += [kv.encode_incr(b"counter"), kv.encode_keys(kv.DEL, [b"key 1", b"key 2", b"absent"])]
commands += [kv.encode_keys(kv.MGET, [b"key 3", b"counter", b"key 1"]), b"\\xfe\\xff", b"no command"]
answers = sessions.apply(1, plain(commands))
image = io.BytesIO()
sessions.snapshot()(image)
print(hashlib.sha256(b"".join(answers)).hexdigest(), hashlib.sha256(image.getvalue()).hexdigest(), machine.digest())
"""


def test_f102_answers_image_and_digest_do_not_depend_on_hashes() -> None:
    seen = set()
    for seed in ("0", "1", "4711"):
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        seen.add(ran.stdout)
    assert len(seen) == 1
