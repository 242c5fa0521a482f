"""`rafty demo`: three real nodes, a leader killed under load, and a proof that nothing acknowledged was lost.

Law: *it succeeds only if every acknowledged write was read back and all nodes hold exactly what was read.*

The nodes are processes of their own with their data on the disk, and the clients speak to them as any client of Redis.
Reading through a node shows what the cluster answers; the digest that each node makes of its own store, compared with
the digest of what was read, shows what each node holds.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import anyio

from rafty_transports.client import HungUp, ReplyError, Unreachable, ask_info, ask_status
from rafty_transports.demo_cluster import LocalCluster, NodeProcess
from rafty_transports.demo_screen import Screen
from rafty_transports.demo_writers import CLIENTS_PER_NODE, Found, Ledger, read_back, write_on
from rafty_transports.exits import DONE, CommandFailed, WrongInput
from rafty_transports.kv import bulk, digest_of
from rafty_transports.serve import check_backend
from rafty_transports.signals import run_until_signal

LEADER_SECONDS = 15.0
CATCH_UP_SECONDS = 30.0
READ_SECONDS = 60.0

Info = dict[str, str]


def run(size: int, seconds: float, directory: str | None, backend: str) -> int:
    """Show it with `size` nodes, writing for `seconds`; return the exit code. Raises `CommandFailed`.

    `directory` keeps data and logs; None takes a temporary one, which is removed.
    """
    check_backend(backend)
    kept = _prepare(directory) if directory is not None else None
    return run_until_signal(partial(_in_directory, size, seconds, kept, backend), what="the demonstration")


def _prepare(directory: str) -> Path:
    path = Path(directory)
    try:
        path.mkdir(exist_ok=True)
        if any(path.iterdir()):
            raise WrongInput(f"{path} is not empty; give an empty directory, or one that is not there")
        if not os.access(path, os.W_OK):
            raise WrongInput(f"{path} is not writable; give another directory")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WrongInput(f"{path} cannot be used for the data ({reason}); give an empty directory") from None
    return path.resolve()


async def _in_directory(size: int, seconds: float, kept: Path | None, backend: str) -> int:
    directory = kept or Path(tempfile.mkdtemp(prefix="rafty-demo-"))
    screen = Screen()
    try:
        with LocalCluster(size, directory, backends=(backend,), parent=os.getpid()) as cluster:
            return await Demo(cluster, screen).tell(seconds)
    except BaseExceptionGroup as group:
        failure = _first_failure(group)
        if failure is None:
            raise
        raise failure from None
    finally:
        screen.clear()
        if kept is None:
            shutil.rmtree(directory, ignore_errors=True)


def _first_failure(group: BaseExceptionGroup[BaseException]) -> CommandFailed | BrokenPipeError | None:
    """The failure in this group that the command line has a word for."""
    for error in group.exceptions:
        found = _first_failure(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, CommandFailed | BrokenPipeError):
            return found
    return None


class Demo:
    """The story, and what it measured on the way."""

    def __init__(self, cluster: LocalCluster, screen: Screen) -> None:
        self.cluster = cluster
        self.screen = screen
        self.ledger = Ledger()
        self.facts = ""

    async def tell(self, seconds: float) -> int:
        """The whole story; the exit code of its good end."""
        size = len(self.cluster.nodes)
        self.screen.event(f"starting {size} nodes in {self.cluster.directory}")
        self.cluster.start()
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._watch_processes)
            leader, info = await self.wait_for_leader()
            self.screen.event(f"{leader.id} leads in term {info['raft_term']}; {size * CLIENTS_PER_NODE} clients write")
            await self._write_and_kill(leader, seconds)
            await self.verify()
            watching.cancel_scope.cancel()
        return DONE

    async def _write_and_kill(self, leader: NodeProcess, seconds: float) -> None:
        stopped = anyio.Event()
        start = anyio.current_time()
        self.ledger.watch()
        async with anyio.create_task_group() as showing:
            showing.start_soon(self._show)
            async with anyio.create_task_group() as writing:
                for number in range(len(self.cluster.nodes) * CLIENTS_PER_NODE):
                    writing.start_soon(write_on, self.ledger, number, self.cluster.clients, stopped)
                await anyio.sleep_until(start + 0.3 * seconds)
                await self._kill(leader)
                await anyio.sleep_until(start + 0.6 * seconds)
                await self._bring_back(leader)
                await anyio.sleep_until(start + seconds)
                stopped.set()
            showing.cancel_scope.cancel()

    async def _kill(self, leader: NodeProcess) -> None:
        killed_at = anyio.current_time()
        self.ledger.watch()
        leader.kill()
        self.screen.event(f"killed {leader.id}, the leader, with SIGKILL")
        successor, info = await self.wait_for_leader(besides=leader)
        elected = anyio.current_time() - killed_at
        self.screen.event(f"{successor.id} leads in term {info['raft_term']}, {elected:.2f} s after the kill")
        acknowledged = len(self.ledger.acknowledged)
        with anyio.move_on_after(LEADER_SECONDS) as scope:
            while len(self.ledger.acknowledged) == acknowledged:
                await anyio.sleep(0.01)
        if scope.cancelled_caught:
            raise CommandFailed(f"{successor.id} leads, but acknowledged no write within {LEADER_SECONDS:g} s")
        silence = self.ledger.longest_silence
        self.screen.event(f"writes are acknowledged again; for {silence:.2f} s none was")
        self.facts = (
            f"{leader.id} was killed with SIGKILL while it led; {successor.id} led {elected:.2f} s later, and for "
            f"{silence:.2f} s no write was acknowledged"
        )

    async def _bring_back(self, node: NodeProcess) -> None:
        goal = max([int(info.get("raft_commit_index", 0)) for info in (await self._infos()).values()], default=0)
        start = anyio.current_time()
        node.start()
        self.screen.event(f"started {node.id} again; the others have committed {goal:,} entries")
        with anyio.move_on_after(CATCH_UP_SECONDS):
            while True:
                info = await self._info(node)
                if info is not None and int(info.get("raft_applied_index", 0)) >= goal:
                    took = anyio.current_time() - start
                    self.screen.event(f"{node.id} has caught up, {took:.1f} s after its start")
                    self.facts += f"; {node.id} came back and had caught up in {took:.1f} s"
                    return
                await anyio.sleep(0.05)
        raise CommandFailed(f"{node.id} did not catch up within {CATCH_UP_SECONDS:g} s; its log ends:\n{node.tail()}")

    # What is seen from outside.

    async def _info(self, node: NodeProcess) -> Info | None:
        with suppress(Unreachable, HungUp, ReplyError, TimeoutError):
            return await ask_info(node.client, timeout=1.0)
        return None

    async def _infos(self) -> dict[str, Info]:
        found: dict[str, Info] = {}

        async def ask(node: NodeProcess) -> None:
            info = await self._info(node)
            if info is not None:
                found[node.id] = info

        async with anyio.create_task_group() as tasks:
            for node in self.cluster.nodes.values():
                if node.expected:
                    tasks.start_soon(ask, node)
        return found

    async def wait_for_leader(self, besides: NodeProcess | None = None) -> tuple[NodeProcess, Info]:
        """The node that leads, if it is not `besides`, and what it tells; `CommandFailed` if there is none in time."""
        with anyio.move_on_after(LEADER_SECONDS):
            while True:
                for node_id, info in (await self._infos()).items():
                    if info.get("raft_role") == "leader" and (besides is None or node_id != besides.id):
                        return self.cluster.nodes[node_id], info
                await anyio.sleep(0.02)
        logs = "\n".join(f"{node.id}: {node.tail(3)}" for node in self.cluster.nodes.values())
        raise CommandFailed(f"no node led within {LEADER_SECONDS:g} s; the logs end:\n{logs}")

    async def _watch_processes(self) -> None:
        while True:
            node = self.cluster.fallen()
            if node is not None:
                raise CommandFailed(
                    f"{node.id} ended by itself (exit code {node.returncode}); its log ends:\n{node.tail()}"
                )
            await anyio.sleep(0.1)

    async def _show(self) -> None:
        before, at = 0, anyio.current_time()
        while True:
            await anyio.sleep(0.25 if self.screen.live else 1.0)
            infos = await self._infos()
            leaders = [info for info in infos.values() if info.get("raft_role") == "leader"]
            newest = max(leaders, key=lambda info: int(info["raft_term"]), default=None)
            who = f"{newest['raft_id']} leads, term {newest['raft_term']}" if newest else "nobody leads"
            commit = max([int(info.get("raft_commit_index", 0)) for info in infos.values()], default=0)
            count, now = len(self.ledger.acknowledged), anyio.current_time()
            rate = (count - before) / (now - at)
            before, at = count, now
            self.screen.state(f"{who}, commit {commit:,}, {rate:,.0f} writes/s, {count:,} acknowledged")

    # The proof.

    async def verify(self) -> None:
        """Prove that nothing of the ledger is lost and that all nodes are equal, and say so; or raise `CommandFailed`.

        Nobody may write meanwhile.
        """
        await self._wait_until_equal()
        count, unknown = len(self.ledger.acknowledged), len(self.ledger.unknown)
        self.screen.event(f"writing has stopped; reading back {count:,} acknowledged writes through each node")
        if not count:
            raise CommandFailed("no write was acknowledged at all, so that nothing is proved")
        found = await self._read_back()
        index = await self._wait_until_equal()
        digest = await self._compare_states(found)
        nodes = len(self.cluster.nodes)
        rest = f" (of {unknown:,} with unknown outcome {found.of_unknown:,} were applied)" if unknown else ""
        self.screen.event("what this proved:")
        print(f"1. Nothing lost: all {count:,} acknowledged writes were read back through each node{rest}")
        print(
            f"2. All equal: each of {nodes} nodes holds exactly the {len(found.pairs):,} keys that were read, digest "
            f"{digest[:16]}, applied index {index:,}"
        )
        print(f"3. {self.facts}", flush=True)

    async def _wait_until_equal(self) -> int:
        """Wait until every node has applied all there is; return the index."""
        infos: dict[str, Info] = {}
        with anyio.move_on_after(CATCH_UP_SECONDS):
            while True:
                infos = await self._infos()
                indexes = {info[f"raft_{name}_index"] for info in infos.values() for name in ("applied", "last")}
                if len(infos) == len(self.cluster.nodes) and len(indexes) == 1:
                    return int(indexes.pop())
                await anyio.sleep(0.05)
        seen = ", ".join(f"{node_id} has applied {info['raft_applied_index']}" for node_id, info in infos.items())
        raise CommandFailed(f"the nodes did not come to the same index within {CATCH_UP_SECONDS:g} s: {seen}")

    async def _read_back(self) -> Found:
        results: dict[str, Found] = {}

        async def read(node: NodeProcess) -> None:
            results[node.id] = await read_back(self.ledger, node.client)

        with anyio.move_on_after(READ_SECONDS) as scope:
            async with anyio.create_task_group() as tasks:
                for node in self.cluster.nodes.values():
                    tasks.start_soon(read, node)
        if scope.cancelled_caught:
            raise CommandFailed(f"the writes could not be read back within {READ_SECONDS:g} s")
        for node_id, found in results.items():
            if found.missing or found.wrong:
                example = (found.missing + found.wrong)[0].decode()
                raise CommandFailed(
                    f"LOST WRITES: through {node_id} {len(found.missing):,} of {len(self.ledger.acknowledged):,} "
                    f"acknowledged writes are missing and {len(found.wrong):,} values are wrong, {example} for one"
                )
        return next(iter(results.values()))

    async def _compare_states(self, found: Found) -> str:
        """The digest that all nodes have, and which is that of what was read."""
        expected = digest_of([(key, bulk(value)) for key, value in found.pairs])
        for node in self.cluster.nodes.values():
            try:
                status = await ask_status(node.client)
            except (Unreachable, HungUp, ReplyError, TimeoutError) as error:
                raise CommandFailed(f"{node.id} did not tell its state: {error or 'no answer'}") from None
            if status.get("kv_digest") != expected:
                raise CommandFailed(
                    f"DIFFERENT STATES: {node.id} holds {status.get('kv_keys')} keys with digest "
                    f"{status.get('kv_digest')}, and what was read is {len(found.pairs)} keys with {expected}"
                )
        return expected
