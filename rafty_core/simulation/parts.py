"""What a simulated cluster is made of besides the core: each part can be another one.

Law: *the core is always the real one; what surrounds it is simulated, unless somebody plugs in the real thing.*
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rafty_core.messages import Message
from rafty_core.output import Write
from rafty_core.simulation.application import CheckMachine, MakeCommand, MakeMachine
from rafty_core.simulation.disk import Disk
from rafty_core.simulation.options import Options
from rafty_core.simulation.world import World
from rafty_core.stable import Snapshot, Stable


class StorageRefused(Exception):
    """A `Storage` does not load what is there, for it is damaged: the node never comes back (invariant I21)."""


class Storage(Protocol):
    """What keeps the durable state of one node, through all its lives, in simulated time."""

    slowness: float
    """By how much it is slower than it might be; the nemesis sets it."""

    def load(self) -> Stable:
        """What survived; called at the start of each life. Raises `StorageRefused`."""
        ...

    def submit(self, write: Write, persisted: Callable[[int], None], /) -> None:
        """Make this durable some time; then call `persisted` with the number of the newest durable write."""
        ...

    def keep_image(self, snapshot: Snapshot, image: bytes, /) -> None:
        """Keep the image of a snapshot, durably and at once. A `Write` with this snapshot may follow.

        Raises `OSError` if it is not kept, which may have been the end of this life.
        """
        ...

    def crash(self) -> None:
        """Power is lost."""
        ...

    def calm(self) -> None:
        """From now on nothing goes wrong with it by itself."""
        ...


class Owner(Protocol):
    """Whom a `Storage` belongs to, and must tell of what happens to it."""

    @property
    def id(self) -> str:
        """The node's name."""
        ...

    @property
    def incarnation(self) -> str:
        """Which node of that name it is."""
        ...

    def durable(self, write: Write, /) -> None:
        """This write is on the disk now, whether anybody was told or not."""
        ...

    def failed(self, error: Exception, /) -> None:
        """The disk has failed: the node ends, and may begin another life later."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts around the core.

    codec    what turns a message into bytes and back, for a part of the messages. None: messages
             arrive as the objects that were sent
    storage  makes the storage of one node, which begins with the given snapshot and nothing else
    machine  makes the state machine of one node; its commands are what `command` makes of a source of chance. None:
             only the order of the commands is looked at
    check    looks at a state machine whenever it has changed, and raises or returns False if it must not be so
    replay   how a run with these parts is had once more: a command line, or what a user writes; {seed} is its seed
    """

    codec: Callable[[Message], Message] | None = None
    storage: Callable[[World, Options, Snapshot, Owner], Storage] = Disk
    machine: MakeMachine | None = None
    command: MakeCommand | None = None
    check: CheckMachine | None = None
    replay: str = "python -m rafty_core.simulation run {seed}"


SIMULATED = Parts()
"""The core is real, nothing else is."""
