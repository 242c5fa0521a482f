"""Python can switch `assert` off; what keeps data safe must not be an `assert`.

The same wrong calls and broken messages are made in a Python that runs with -O.
"""

import ast
import subprocess
import sys
from pathlib import Path

import rafty_core

SCRIPT = """
import sys
from rafty_core import Batch, Config, Configuration, Heartbeat, Applied, Persisted, Raft, Snapshot, Stable
from rafty_core.log import Log
from rafty_core.progress import Inflights

class Half:
    def random(self):
        return 0.5

def refused(call, *arguments):
    try:
        call(*arguments)
    except ValueError:
        return
    sys.exit(f"{call} took {arguments}")

log = Log()
log.append(1, [b"\\x01a", b"\\x01b"])
refused(log.commit_to, 3)
log.commit_to(2)
refused(log.replace_from, Batch(2, 2, [b"\\x01c"]))
refused(log.append, 0, [b"\\x01d"])
refused(Inflights(0, 0).add, 1, 1)
stable = Stable(3, None, Snapshot(0, 0, Configuration.of("A", "B")), [Batch(1, 2, [b"\\x01a"])])
raft = Raft(Config(id="B"), stable, random=Half(), now=1.0)
refused(raft.step, 0.5)
refused(raft.step, 1.0, Persisted(1))
refused(raft.step, 1.0, Applied(1))
raft.step(1.0, Heartbeat("A", "B", 3, 0, 1))
raft.step(1.0, Heartbeat("C", "B", 3, 0, 1), Heartbeat("A", "B", 3, 9, 2), Heartbeat("A", "B", 2**70, 0, 3))
if raft.status().violations != 3 or raft.status().commit_index != 0:
    sys.exit("broken messages were obeyed")
if __debug__:
    sys.exit("this Python is not optimised")
"""


def test_wrong_calls_and_broken_messages_are_refused_without_asserts() -> None:
    root = Path(rafty_core.__file__).parents[1]
    ended = subprocess.run(
        [sys.executable, "-O", "-c", SCRIPT], cwd=root, capture_output=True, text=True, check=False, timeout=30
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_core_contains_no_assert() -> None:
    for path in Path(rafty_core.__file__).parent.glob("*.py"):
        found = [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Assert)]
        assert found == [], path.name
