"""What is measured: one row for each system, event loop, way of calling and number in flight, or length of a log.

Law: *a row says completely what it measures; two rows differ in one thing.*
"""

from dataclasses import dataclass

RAFTY, PYSYNCOBJ = "rafty", "PySyncObj"

STYLES = ("pipelined", "tasks", "resp-pipelined", "resp-clients")
"""Ways of calling rafty; the first two in the leader's own process, the others over sockets from another process."""

READ_STYLES = ("tasks", "resp-pipelined", "resp-clients")

ASKED = ("leader", "follower", "lease", "stale")
"""Who is asked for a read, and how: see `ReadRow`."""

MEASURES = ("by log", "by snapshot", "restart", "restart with snapshot", "memory")

PYSYNCOBJ_SETTINGS = ("as it comes", "low latency", "throughput")


@dataclass(frozen=True, slots=True)
class Row:
    """`variant` is the event loop of rafty, the settings of PySyncObj."""

    system: str
    variant: str
    style: str
    in_flight: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.system}, {self.variant}, {self.style}, {self.in_flight} in flight"


@dataclass(frozen=True, slots=True)
class ReadRow(Row):
    """A row of reads.

    asked  "leader" and "follower": linearizable, at that member; "lease": the leader, which has a lease; "stale": a
           follower, which asks nobody
    """

    asked: str

    @property
    def mode(self) -> str:
        """The mode of `Node.read`."""
        return self.asked if self.asked in ("lease", "stale") else "linearizable"

    @property
    def at_leader(self) -> bool:
        """Whether the leader is asked, not a follower."""
        return self.asked in ("leader", "lease")

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.system}, {self.variant}, {self.asked}, {self.style}, {self.in_flight} in flight"


@dataclass(frozen=True, slots=True)
class CatchupRow:
    """Catching up, restarting or growing: one of `MEASURES`, with a log of `entries` commands of `size` bytes."""

    system: str
    variant: str
    measure: str
    entries: int
    size: int

    @property
    def name(self) -> str:
        """In words."""
        return f"{self.system}, {self.variant}, {self.measure}, {self.entries:,} entries of {self.size} bytes"


@dataclass(frozen=True, slots=True)
class Load:
    """How each row is run. `callers` tasks, or connections, share the number in flight where a row is pipelined."""

    size: int = 256
    warmup: float = 0.5
    seconds: float = 3.0
    callers: int = 4


def plan(backends: list[str], styles: list[str], in_flight: list[int], *, pysyncobj: bool) -> list[Row]:
    """All rows, in the order in which they are run and shown."""
    rows = [
        Row(RAFTY, backend, style, count) for style in styles for backend in backends for count in sorted(in_flight)
    ]
    if pysyncobj:
        rows += [
            Row(PYSYNCOBJ, settings, "callbacks", count)
            for settings in PYSYNCOBJ_SETTINGS
            for count in sorted(in_flight)
        ]
    return rows


def plan_reads(
    backends: list[str], asked: list[str], styles: list[str], in_flight: list[int], *, pysyncobj: bool
) -> list[ReadRow]:
    """All rows of reads, in the order in which they are run and shown."""
    counts = sorted(in_flight)
    rows = [
        ReadRow(RAFTY, backend, style, count, who)
        for who in asked
        for style in styles
        for backend in backends
        for count in counts
    ]
    if pysyncobj:
        rows += [
            ReadRow(PYSYNCOBJ, settings, "callbacks", count, who)
            for who in asked
            if who in ("leader", "follower")
            for settings in PYSYNCOBJ_SETTINGS
            for count in counts
        ]
    return rows


def plan_catchup(
    backends: list[str], measures: list[str], behind: int, log: int, size: int, memory_sizes: list[int], pysyncobj: bool
) -> list[CatchupRow]:
    """All rows of `catchup`: followers that are `behind`, and nodes with a `log` of so many entries."""
    systems = [(RAFTY, backend) for backend in backends] + [(PYSYNCOBJ, "dump on request")] * pysyncobj
    rows = []
    for measure in measures:
        entries = behind if measure in ("by log", "by snapshot") else log
        sizes = memory_sizes if measure == "memory" else [size]
        rows += [CatchupRow(*system, measure, entries, each) for each in sizes for system in systems]
    return rows
