"""The shell commands of the README do what it says, one after the other, on ports that are free here."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rafty_transports.demo_cluster import free_ports

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTIONS = (
    "## Run a cluster",
    "### Encryption, and who may do what",
    "### Members come and go",
    "### Snapshots, backup, and the loss of a majority",
)
PATIENCE = 20.0


def block_of(section: str) -> str:
    """The shell block of a section."""
    match = re.search(re.escape(section) + r"\n.*?```sh\n(.*?)```", README, re.DOTALL)
    assert match is not None, f"the README has no commands under {section!r}"
    return match[1]


def on_free_ports(script: str) -> str:
    """The same commands, with other ports; and without what needs a shell's environment or a client of Redis."""
    ports = sorted({one or other for one, other in re.findall(r"127\.0\.0\.1:(\d+)|-p (\d+)", script)})
    free = dict(zip(ports, map(str, free_ports(len(ports))), strict=True))
    script = re.sub(rf"\b({'|'.join(ports)})\b", lambda found: free[found[0]], script)
    lines = [line for line in script.splitlines() if not line.startswith((". .venv", "redis-cli"))]
    return "\n".join(lines) + "\n"


class Shell:
    """A shell in a directory of its own, in which lines are typed; what they leave running is ended with it."""

    def __init__(self, directory: Path) -> None:
        rafty = f'rafty() {{ {shlex.quote(sys.executable)} -m rafty_transports "$@"; }}\n'
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self._shell = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._type(rafty)

    def _type(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def run(self, line: str) -> tuple[int, str]:
        """The exit code and output of this line."""
        self._type(f'{line}\necho; echo "@@$?"\n' if line.endswith("&") else f'{line}; echo "@@$?"\n')
        said: list[str] = []
        assert self._shell.stdout is not None
        while True:
            read = self._shell.stdout.readline()
            assert read, f"the shell ended: {said}"
            if read.startswith("@@"):
                return int(read[2:]), "".join(said)
            said.append(read)

    def run_until_it_succeeds(self, line: str) -> str:
        """Nodes take a moment to start: a command that changed nothing is given again, as a person would."""
        deadline = time.monotonic() + PATIENCE
        while True:
            code, said = self.run(line)
            if code == 0:
                return said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)

    def end(self) -> None:
        """End the shell and everything that it has started."""
        os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.communicate()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(tmp_path)
    yield opened
    opened.end()


def test_the_commands_of_the_readme_run_as_they_stand(shell: Shell, tmp_path: Path) -> None:
    script = on_free_ports("".join(map(block_of, SECTIONS)))
    said = {line: shell.run_until_it_succeeds(line) for line in script.splitlines()}
    texts = "".join(said.values())
    assert "hello" in texts
    assert "hello, encrypted" in said[next(line for line in said if line.startswith("rafty get $T"))]
    assert "n4 leads" in texts
    assert "is node r1 of the new cluster" in texts
    assert "given up for lost" in texts
    members = next(text for line, text in said.items() if line.startswith("rafty members"))
    assert members.count("voter") == 4
    assert (tmp_path / "backup.rafty").stat().st_size > 0
