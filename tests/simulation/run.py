"""One seed from start to end: safety under all faults, then liveness when they have stopped.

Law: *a seed that fails says what it was, what broke, and what happened just before.*

    python -m tests.simulation.run 42             replay one seed
    python -m tests.simulation.run --seeds 0:2000 search
"""

import argparse
import time
import traceback
from collections import Counter
from dataclasses import asdict, dataclass

from rafty_core.invariants import InvariantViolation
from tests.simulation.cluster import Cluster, SimulatedNode
from tests.simulation.faults import Faults
from tests.simulation.options import ELECTION_TIMEOUT, HEARTBEAT_INTERVAL, Options

SLOWEST = 1.25
"""Simulated clocks and deadlines differ by at most this factor."""


SETTLING = 3.0
"""What the disks and machines are slow at when the faults stop is done by then, in seconds."""


REPLAY = "python -m tests.simulation.run"


class SimulationFailure(Exception):
    """A run broke an invariant, or the core raised. The text has seed, options, what broke, and the last events."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `digest` is empty unless it was asked for."""

    seed: int
    steps: int
    terms: int
    committed: int
    fates: dict[str, int]
    digest: str


def run(seed: int, *, size: int | None = None, keep: int = 40, with_digest: bool = False) -> Report:
    """Run this seed. Raises `SimulationFailure`."""
    options = Options.draw(seed, size)
    cluster = Cluster(options, keep=keep, with_digest=with_digest)
    try:
        _run_phases(cluster)
    except Exception as error:
        where = "" if isinstance(error, InvariantViolation) else "\n" + traceback.format_exc()
        events = [f"{at:9.4f} {node:7} {what} {value}" for at, node, what, value in cluster.world.trace]
        what = f"{type(error).__name__} {error}{where}"
        text = "\n".join([f"seed {seed}: {error}", str(options), *events, what, f"{REPLAY} {seed}"])
        raise SimulationFailure(text) from error
    clients, digest = cluster.clients, cluster.world.digest
    return Report(
        seed,
        cluster.world.steps,
        len(cluster.invariants.leaders),
        len(cluster.invariants.committed),
        dict(Counter(clients.fates.values())),
        digest.hexdigest() if digest else "",
    )


def _run_phases(cluster: Cluster) -> None:
    faults = Faults(cluster)
    cluster.start()
    faults.start()
    cluster.world.run_until(cluster.options.duration)
    faults.repair()
    core = _choose_core(cluster, faults)
    cluster.world.run_until(cluster.world.time + SETTLING)
    _expect_leader(cluster, core)
    _expect_writes(cluster, core)
    _expect_answers(cluster, core)
    _expect_agreement(cluster, core)
    _expect_quiet(cluster, core)


def _choose_core(cluster: Cluster, faults: Faults) -> list[SimulatedNode]:
    """I25: half of the runs go on with a bare majority; the others stay dead, deaf, mute, or both."""
    nodes = list(cluster.nodes.values())
    draw = cluster.world.random
    if draw.random() < 0.5:
        return nodes
    draw.shuffle(nodes)
    size = len(nodes) // 2 + 1
    for node in nodes[size:]:
        fate = draw.choice(("dead", "deaf", "mute", "cut off"))
        if fate == "dead":
            node.crash()
        else:
            faults.isolate(node, deaf=fate != "mute", mute=fate != "deaf")
    return nodes[:size]


def _leader(core: list[SimulatedNode]) -> str | None:
    """The one of the core that leads, if all of the core know it."""
    pictures = [node.raft.status() for node in core if node.raft is not None]
    known = {(picture.leader, picture.term) for picture in pictures}
    leading = [picture.id for picture in pictures if picture.role == "leader"]
    return pictures[0].leader if len(known) == 1 and pictures[0].leader in leading else None


def _expect(cluster: Cluster, holds: bool, number: str, text: str) -> None:
    if not holds:
        raise InvariantViolation(number, "\n  ".join([text, *(_picture(node) for node in cluster.live)]))


def _picture(node: SimulatedNode) -> str:
    if node.raft is None:
        return f"{node.id} is down"
    picture = asdict(node.raft.status())
    del picture["configuration"]
    return ", ".join(f"{name} {value}" for name, value in picture.items())


def _expect_leader(cluster: Cluster, core: list[SimulatedNode]) -> None:
    found = cluster.world.run_while(lambda: _leader(core) is None, 10 * ELECTION_TIMEOUT * SLOWEST)
    _expect(cluster, found, "I25", "no leader within ten election timeouts")


def _expect_writes(cluster: Cluster, core: list[SimulatedNode]) -> None:
    """A new write of every node is answered, that of the leader by its result, and is applied on all the core."""
    fates = cluster.clients.fates
    tokens = {node.id: cluster.propose(node) for node in core}

    def waiting() -> bool:
        outcomes = {name: fates.get(token, "open") for name, token in tokens.items()}
        for node in core:
            if outcomes[node.id] not in ("open", "applied", "OutcomeUnknown"):
                tokens[node.id] = cluster.propose(node)  # it was refused, and a client asks again
        if "applied" not in outcomes.values() or not set(outcomes.values()) <= {"applied", "OutcomeUnknown"}:
            return True
        goal = len(cluster.invariants.committed)
        return any(node.raft is None or node.raft.status().applied_index < goal for node in core)

    _expect(cluster, cluster.world.run_while(waiting, 30), "I25", "a new write is not committed and applied by all")


def _expect_answers(cluster: Cluster, core: list[SimulatedNode]) -> None:
    """Every request has its answer, within its deadline."""
    seconds = cluster.options.forward_timeout * SLOWEST + 2
    names = {node.id for node in core}

    def waiting() -> bool:
        return any(where in names for where, _ in cluster.clients.open.values())

    found = cluster.world.run_while(waiting, seconds)
    _expect(cluster, found, "I25", f"requests stay without an answer: {list(cluster.clients.open.items())[:5]}")


def _expect_agreement(cluster: Cluster, core: list[SimulatedNode]) -> None:
    def differing() -> bool:
        pictures = [node.raft.status() for node in core if node.raft is not None]
        ends = {(p.commit_index, p.applied_index, p.last_index, p.durable_index, p.term) for p in pictures}
        return len(ends) != 1 or pictures[0].commit_index != pictures[0].last_index

    found = cluster.world.run_while(differing, 5)
    _expect(cluster, found, "I25", "the logs of the core do not become equal")
    logs = [node.raft.entries(1, node.raft.status().last_index) for node in core if node.raft is not None]
    _expect(cluster, all(log == logs[0] for log in logs), "I3", "logs of equal length and term differ")


def _expect_quiet(cluster: Cluster, core: list[SimulatedNode]) -> None:
    """I26: nothing but heartbeats and their answers. I25: no other leader for twenty election timeouts."""
    cluster.world.run_until(cluster.world.time + 1)
    leaders, before = len(cluster.invariants.leaders), cluster.network.sent
    seconds = 20 * ELECTION_TIMEOUT
    cluster.world.run_until(cluster.world.time + seconds)
    _expect(cluster, len(cluster.invariants.leaders) == leaders, "I25", "the leader changes, though nothing is wrong")
    whole = len(core) == len(cluster.nodes)
    rate = (cluster.network.sent - before) / (seconds / HEARTBEAT_INTERVAL)
    most = 2 * (len(cluster.nodes) - 1) * (1 + cluster.options.clock_drift + 0.03)
    if whole:
        _expect(
            cluster, rate <= most, "I26", f"{rate:.2f} messages per heartbeat interval, at most {most:.2f} expected"
        )
        left = [node.raft.status().pending_proposals for node in core if node.raft is not None]
        _expect(cluster, not any(left), "I24", f"proposals are pending in quiescence: {left}")


def main() -> int:
    """The command line: returns the exit status."""
    parser = argparse.ArgumentParser(prog=REPLAY, description="Simulate a cluster by seed.")
    parser.add_argument("seed", type=int, nargs="?", help="replay this seed")
    parser.add_argument("--seeds", help="search seeds FIRST:LAST (LAST excluded)")
    parser.add_argument("--size", type=int, help="number of nodes, instead of the seed's own")
    parser.add_argument("--events", type=int, default=40, help="how many of the last events a failure shows")
    parser.add_argument("--keep-going", action="store_true", help="search on after a failure")
    options = parser.parse_args()
    first, _, last = (options.seeds or f"{options.seed}:{(options.seed or 0) + 1}").partition(":")
    began, steps, failures = time.perf_counter(), 0, []
    for seed in range(int(first), int(last)):
        try:
            report = run(seed, size=options.size, keep=options.events, with_digest=options.seed is not None)
        except SimulationFailure as failure:
            text = str(failure)
            print(text.splitlines()[0] if options.keep_going else text)
            failures.append(seed)
            if not options.keep_going:
                break
        else:
            steps += report.steps
            if options.seed is not None:
                print(report)
    seconds = time.perf_counter() - began
    print(f"{steps} steps in {seconds:.1f} s, {len(failures)} failures: {failures[:30]}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
