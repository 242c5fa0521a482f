"""Processes of `rafty` that need not wait until Python has imported everything: forks of one that has.

Law: *a fork is a process as any other, but for what it finds imported.*

It has a process id, signals, exit code, environment and standard streams of its own, and nothing of the tests' memory:
it comes from a server that imports, and then forks for whoever asks. Half of what hundreds of commands and nodes cost
is imports; this is paid once. What an interpreter does by itself (a hash seed of its own, PYTHON* variables, signals
while it imports, taking apart at the end what was imported) is for tests that start one with `subprocess`: of the demo,
of signals, of the commands of the README.
"""

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

ROOT = Path(__file__).parents[2]
RAFTY = "rafty_transports"
IMPORTED = (
    "anyio._backends._asyncio",
    "anyio._backends._trio",
    "trio",
    "rafty_transports.arguments",
    "rafty_transports.cluster_commands",
    "rafty_transports.commands",
    "rafty_transports.offline",
    "rafty_transports.serve",
)
REQUEST_BYTES = 1 << 18
STATUS_BYTES = 4


class Fork:
    """One process, with what the tests use of `subprocess.Popen`: `python -m module arguments...`, in `ROOT`."""

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        stdin: IO[bytes],
        stdout: IO[bytes],
        stderr: IO[bytes],
        environment: Mapping[str, str] | None = None,
        session: bool = False,
    ) -> None:
        self.args = [sys.executable, "-m", module, *arguments]
        self.returncode: int | None = None
        self._lock = threading.Lock()
        self._status, reporter = socket.socketpair()
        asked = {
            "module": module,
            "arguments": arguments,
            "environment": dict(os.environ if environment is None else environment),
            "session": session,
        }
        with reporter:
            streams = [stdin.fileno(), stdout.fileno(), stderr.fileno(), reporter.fileno()]
            server().ask(json.dumps(asked).encode(), streams)
        self.pid = int.from_bytes(self._next_number(), "big")

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._ended_within(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
        return code

    def _ended_within(self, timeout: float | None) -> int | None:
        with self._lock:
            if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
                self.returncode = os.waitstatus_to_exitcode(int.from_bytes(self._next_number(), "big"))
                self._status.close()
            return self.returncode

    def _next_number(self) -> bytes:
        number = self._status.recv(STATUS_BYTES, socket.MSG_WAITALL)
        if not number:
            raise RuntimeError("the server that forks has ended")
        return number

    def send_signal(self, signum: int) -> None:
        """Send it this signal, if it runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it ends at this moment
                os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.send_signal(signal.SIGKILL)


def run(
    *arguments: str,
    given: bytes = b"",
    timeout: float = 30.0,
    environment: Mapping[str, str] | None = None,
    module: str = RAFTY,
) -> subprocess.CompletedProcess[bytes]:
    """Run `rafty` with these arguments to its end, as `subprocess.run` does; raises `subprocess.TimeoutExpired`."""
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        stdin.write(given)
        stdin.seek(0)
        process = Fork(module, arguments, stdin=stdin, stdout=stdout, stderr=stderr, environment=environment)
        try:
            code = process.wait(timeout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(process.args, code, stdout.read(), stderr.read())


class Server:
    """The process that forks, as those see it who ask; it ends with this one, and with it what was forked for nodes."""

    def __init__(self) -> None:
        self._asking, asked = socket.socketpair()
        self._lock = threading.Lock()
        with asked:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.end_to_end.forks"],
                stdin=asked.fileno(),
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def ask(self, request: bytes, streams: Sequence[int]) -> None:
        """Have a process forked that has these file descriptors; the last of them is told its id and its end."""
        with self._lock:
            self._asking.sendall(len(request).to_bytes(STATUS_BYTES, "big"))
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", streams))]
            self._asking.sendall(request[self._asking.sendmsg([request], rights) :])

    def close(self) -> None:
        """End it."""
        self._asking.close()
        self._process.wait()


@functools.cache
def server() -> Server:
    """The server of this process, started when it is needed first."""
    made = Server()
    atexit.register(made.close)
    return made


def serve() -> tuple[str, list[str]]:
    """Fork for those who ask until they are gone; returns in each fork, with the module and arguments to run there."""
    asking = socket.socket(fileno=os.dup(0))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    reporters: dict[int, int] = {}
    while True:
        ready, _, _ = select.select([asking.fileno(), woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            report_ends(reporters)
        if asking.fileno() in ready:
            length = asking.recv(STATUS_BYTES, socket.MSG_WAITALL)
            if not length:
                end(reporters)
            request, streams = receive(asking, int.from_bytes(length, "big"))
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                become(request, streams, others=[asking.detach(), woken, wake, *reporters.values()])
                return request["module"], request["arguments"]
            for stream in streams[:3]:
                os.close(stream)
            reporters[pid] = streams[3]
            tell(streams[3], pid)


def receive(asking: socket.socket, length: int) -> tuple[dict[str, Any], list[int]]:
    """A request, and the file descriptors that came with it."""
    text, streams, _, _ = socket.recv_fds(asking, length, 4)
    while len(text) < length:
        text += asking.recv(length - len(text))
    return json.loads(text), list(streams)


def report_ends(reporters: dict[int, int]) -> None:
    """Tell who asked for them how processes have ended."""
    while reporters:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        reporter = reporters.pop(pid)
        tell(reporter, status)
        os.close(reporter)


def tell(reporter: int, number: int) -> None:
    """Say this to who asked for a process, if somebody still listens."""
    with contextlib.suppress(OSError):
        os.write(reporter, number.to_bytes(STATUS_BYTES, "big"))


def end(reporters: Mapping[int, int]) -> NoReturn:
    """Whoever asked is gone: nothing that was forked may outlive the tests."""
    for pid in reporters:
        os.kill(pid, signal.SIGKILL)
    os._exit(0)


def become(request: dict[str, Any], streams: Sequence[int], others: Sequence[int]) -> None:
    """Have in this fork what a new process would have: its own streams, none of the server's `others`."""
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    for other in (*streams, *others):
        os.close(other)
    os.environ.clear()
    os.environ.update(request["environment"])
    if request["session"]:
        os.setsid()


def main() -> None:
    """Import, fork, and be `rafty`."""
    for name in IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    module, arguments = serve()
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            leave(end.code)
        raise


def leave(code: int) -> NoReturn:
    """End as the interpreter does, but do not take apart what was imported: that costs more than most commands."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads that are no daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
