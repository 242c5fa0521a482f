"""Which kinds of trouble a run may meet, for those who test their own state machines.

Law: *how much of each kind there is comes from the seed; here it is only said what there is none of.*
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from rafty_core.simulation.options import Options

STRIKES: Mapping[str, tuple[str, ...]] = {
    "crash": ("crashes",),
    "crash_all": ("crashes",),
    "divide": ("partitions",),
    "cut_link": ("partitions",),
    "isolate": ("partitions",),
    "pause": ("pauses",),
    "slow": ("pauses",),
    "campaign": ("elections",),
    "strand_leader": ("partitions", "crashes"),
    "freeze_leader": ("pauses", "partitions"),
    "forget_promise": ("crashes", "partitions"),
    "succession": ("partitions",),
    "contest": ("partitions", "elections"),
    "lagging_disk": ("pauses",),
    "overtaken": ("partitions", "pauses"),
    "leave_behind": ("partitions", "snapshots"),
    "intrigue": ("crashes", "partitions", "pauses", "members"),
    "meet_stranger": ("messages",),
    "err": ("messages",),
}
"""The faults that the nemesis may choose from every now and then, and the kinds that each belongs to."""

AT_POINTS: Mapping[str, tuple[str, ...]] = {
    "crash_one": ("crashes",),
    "crash_soon": ("crashes",),
    "cut_off": ("partitions",),
    "divide_from": ("partitions",),
    "freeze": ("pauses",),
    "stall_disk": ("pauses",),
    "hand_over": ("elections",),
    "let_other_campaign": ("elections",),
    "bounce": ("elections", "messages"),
    "change_something": ("members",),
    "repeat_to": ("messages", "crashes"),
    "hold_back": ("messages",),
    "relive": ("messages", "crashes"),
    "ask_as_stranger": ("messages",),
    "err": ("messages",),
    "snapshot_here": ("snapshots",),
    "late": ("snapshots",),
}
"""The same for those that it chooses from when a node has reached a named point."""

SWITCHES: Mapping[str, tuple[str, ...]] = {
    "messages": ("lossy", "repeating", "delaying", "replaying", "corrupting"),
    "clocks": ("clock_drift",),
    "elections": ("transfer_interval",),
    "members": ("churn_interval",),
    "snapshots": ("fetch_failing",),
}
"""The options that say how much there is of a kind."""


@dataclass(frozen=True, slots=True)
class Faults:
    """The kinds of trouble that a run may meet; `Faults()` is all of them.

    crashes     nodes that lose power, one or all, and come back
    partitions  networks that are divided, nodes that are deaf or mute
    pauses      nodes that stand still for a while, slow nodes and slow disks
    messages    messages that are lost, repeated, late, reordered or damaged
    clocks      clocks that run too fast or too slow
    elections   elections that nobody needs, and leadership that is handed over
    members     members that come and go, and are killed while they do
    snapshots   snapshots that are taken at bad moments, or cannot be had from a peer at the first attempt
    """

    crashes: bool = True
    partitions: bool = True
    pauses: bool = True
    messages: bool = True
    clocks: bool = True
    elections: bool = True
    members: bool = True
    snapshots: bool = True

    @classmethod
    def none(cls) -> "Faults":
        """A perfect world: nothing breaks."""
        return cls.only()

    @classmethod
    def only(cls, *kinds: str) -> "Faults":
        """These kinds and no others. Raises `ValueError` for a kind that there is not."""
        known = [field.name for field in fields(cls)]
        for kind in kinds:
            if kind not in known:
                raise ValueError(f"there is no kind of fault {kind!r}; there are {', '.join(known)}")
        return cls(**{kind: kind in kinds for kind in known})

    def limit(self, options: Options) -> Options:
        """The same options without what is excluded here."""
        off = {field.name for field in fields(self) if not getattr(self, field.name)}
        if not off:
            return options
        switches: dict[str, Any] = {name: 0 for kind in sorted(off) for name in SWITCHES.get(kind, ())}
        limited = replace(options, **switches)
        strikes, at_points = (
            [name for name, needed in table.items() if not off.intersection(needed)] for table in (STRIKES, AT_POINTS)
        )
        limited = limited if strikes else replace(limited, fault_interval=0)
        limited = limited if at_points else replace(limited, striking=0)
        return replace(limited, kinds=frozenset([*strikes, *at_points]))
