"""What is measured: one row for each system, event loop, way of calling and number in flight.

Law: *a row says completely what it measures; two rows differ in one thing.*
"""

from dataclasses import dataclass

RAFTY, PYSYNCOBJ = "rafty", "PySyncObj"

STYLES = ("pipelined", "tasks", "resp-pipelined", "resp-clients")
"""Ways of calling rafty; the first two in the leader's own process, the others over sockets from another process."""

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
