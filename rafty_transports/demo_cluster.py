"""Real nodes as processes on this machine: started, killed, started again, and never left behind.

Law: *no node outlives the program that started it, however that program ends.*

Each is `rafty serve` as a person would start it, with its log in a file. Leaving the `with` block kills what still
runs; if this program is killed itself, the operating system kills the nodes (`--die-with-parent`).
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"

QUIET_PORTS = (10_000, 32_000)
"""Ports that the operating system gives to nobody who does not ask: a node that was killed finds its own free again."""

_given: deque[int] = deque(maxlen=100)
"""The ports that were given last: far fewer than there are."""


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listens now, and that were not given lately. Not promised: that nobody else takes one."""
    ports: list[int] = []
    probes: list[socket.socket] = []
    try:
        while len(ports) < count:
            probe = socket.socket()
            probes.append(probe)
            port = random.randrange(*QUIET_PORTS)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            if port not in _given:  # by a node that does not run yet, or was killed
                ports.append(port)
                _given.append(port)
    finally:
        for probe in probes:
            probe.close()
    return ports


class NodeProcess:
    """One node: `rafty serve` with these arguments behind `--id`, and its log.

    `expected` is whether it should be running now, so that a watcher can tell a death from a kill.
    """

    def __init__(self, node_id: str, client: str, arguments: list[str], log: Path) -> None:
        self.id = node_id
        self.client = client
        self.arguments = arguments
        self.log = log
        self.expected = False
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; call this in the main thread, with whose end Linux ends the node."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("start a node in the main thread: on Linux it is killed when its starting thread ends")
        command = [sys.executable, "-m", "rafty_transports", "serve", "--id", self.id, *self.arguments]
        paths = [str(Path(__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for this program, which ends the nodes itself
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.expected = True

    @property
    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended, as `subprocess` tells it; None while it runs, and before its first start."""
        return self.process.poll() if self.process is not None else None

    def send_signal(self, signum: int) -> None:
        """Send it this signal, if it runs."""
        if self.process is not None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """Kill it as a power failure would, and wait until it is gone."""
        self.expected = False
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self, timeout: float = 5.0) -> int | None:
        """Ask it to end, and kill it if it does not within `timeout` seconds; return how it ended."""
        self.expected = False
        if self.process is None:
            return None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def tail(self, lines: int = 8) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:]) or "(its log is empty)"


class LocalCluster:
    """Nodes n1, n2, ... on loopback, with their data and logs in `directory`; killed when the `with` block is left.

    `options` are further arguments of `rafty serve`, in which "{id}" stands for the id of the node; `backends` are
    given to the nodes in turn, and so are `schemes`: what is spoken at the address of the node ("": TCP).
    """

    def __init__(
        self,
        size: int,
        directory: Path,
        *,
        backends: tuple[str, ...] = ("asyncio",),
        schemes: tuple[str, ...] = ("",),
        options: tuple[str, ...] = (),
        parent: int | None = None,
    ) -> None:
        ids = [f"n{number}" for number in range(1, size + 1)]
        ports = free_ports(2 * size)
        spoken = [schemes[number % len(schemes)] for number in range(size)]
        where = [f"{scheme}{LOOPBACK}:{port}" for scheme, port in zip(spoken, ports, strict=False)]
        members = ",".join(f"{node_id}={address}" for node_id, address in zip(ids, where, strict=True))
        self.directory = directory
        self.nodes: dict[str, NodeProcess] = {}
        for number, (node_id, port) in enumerate(zip(ids, ports[size:], strict=True)):
            client = f"{LOOPBACK}:{port}"
            arguments = ["--cluster", members, "--data", str(directory / node_id), "--client", client]
            arguments += ["--backend", backends[number % len(backends)]]
            arguments += [option.replace("{id}", node_id) for option in options]
            if parent is not None:
                arguments += ["--die-with-parent", str(parent)]
            self.nodes[node_id] = NodeProcess(node_id, client, arguments, directory / f"{node_id}.log")

    @property
    def clients(self) -> list[str]:
        """Where the nodes serve clients."""
        return [node.client for node in self.nodes.values()]

    def start(self) -> None:
        """Start all nodes; see `NodeProcess.start`."""
        for node in self.nodes.values():
            node.start()

    def fallen(self) -> NodeProcess | None:
        """A node that ended though nobody ended it, or None."""
        return next((node for node in self.nodes.values() if node.expected and not node.running), None)

    def stop(self, timeout: float = 5.0) -> None:
        """Ask all nodes to end; kill those that do not within `timeout` seconds altogether."""
        for node in self.nodes.values():
            node.expected = False
            if node.running:
                node.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + timeout
        for node in self.nodes.values():
            node.stop(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """Kill all nodes at once."""
        for node in self.nodes.values():
            node.expected = False
            if node.process is not None:
                node.process.kill()
        for node in self.nodes.values():
            node.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
