"""Processes of a benchmark, as whoever starts them sees them.

Law: *whatever is started here is ended here, in time, however the benchmark ends.*

A child is in a session of its own, so that Ctrl-C reaches the benchmark alone, which then ends its children in order:
their input is closed, which they obey; one that does not within a few seconds is killed.
"""

import contextlib
import json
import os
import select
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

ROOT = Path(__file__).resolve().parent.parent

PATIENCE = 5.0
"""Seconds that a process has to end after its input was closed."""


class BenchmarkError(Exception):
    """A benchmark cannot be run, or its figures would mean nothing; the text is one sentence that says why."""


class WrongOption(BenchmarkError):
    """What was asked for makes no sense here; nothing was measured."""


class Child:
    """A process that answers each line of JSON with one. What it logs goes to `log`, a file."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self._log = log
        self._rest = b""
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """How the process ended, negative if by a signal; None while it runs."""
        return self._process.poll()

    def tell(self, **request: Any) -> None:
        """Send a line. Raises `BenchmarkError` if the process has ended."""
        try:
            pipe(self._process.stdin).write(json.dumps(request).encode() + b"\n")
            pipe(self._process.stdin).flush()
        except OSError as error:
            raise BenchmarkError(f"{self.name} has ended: {self._last_words()}") from error

    def answer(self, seconds: float) -> dict[str, Any]:
        """The next line. Raises `BenchmarkError` if none comes within `seconds`, or the process has ended."""
        deadline = time.monotonic() + seconds
        file = pipe(self._process.stdout).fileno()
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([file], [], [], left)[0]:
                raise BenchmarkError(f"{self.name} gave no answer within {seconds:g} s: {self._last_words()}")
            chunk = os.read(file, 65536)
            if not chunk:
                raise BenchmarkError(f"{self.name} has ended: {self._last_words()}")
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        fields: dict[str, Any] = json.loads(line)
        return fields

    def ask(self, seconds: float = 10.0, **request: Any) -> dict[str, Any]:
        """Send a line and wait for the answer."""
        self.tell(**request)
        return self.answer(seconds)

    def cpu_seconds(self) -> float | None:
        """Processor time that the process has used; None where the system does not tell."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int | None:
        """Bytes of memory that the process has now (resident); None where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except OSError:
            return None
        return pages * os.sysconf("SC_PAGE_SIZE")

    def hang_up(self) -> None:
        """Ask the process to end, without waiting."""
        with contextlib.suppress(OSError):  # it may have ended already
            pipe(self._process.stdin).close()

    def end(self) -> None:
        """See that the process has ended."""
        self.hang_up()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            pipe(self._process.stdout).close()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " / ".join(lines[-3:]) or "it said nothing"


class Family:
    """Processes that end together: leaving the block ends them all, whatever happened."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def start(self, name: str, command: list[str], log: Path) -> Child:
        """Start one more."""
        child = Child(name, command, log)
        self.children.append(child)
        return child

    def cpu_seconds(self) -> list[float | None]:
        """Processor time of each."""
        return [child.cpu_seconds() for child in self.children]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for child in self.children:
            child.hang_up()
        for child in self.children:
            child.end()


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A stream that is there, since it was asked for."""
    if stream is None:
        raise RuntimeError("a process was started without pipes")
    return stream
