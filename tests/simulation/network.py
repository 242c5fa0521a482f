"""A network that loses, repeats, reorders, delays and divides.

Law: *a message arrives as it was sent, or as something no node takes for a message; how often and when is chance.*
"""

from collections import deque
from collections.abc import Callable
from copy import copy

from rafty_core import ForwardedProposal, Message
from rafty_transports.codec import decode, encode
from tests.simulation.options import Options
from tests.simulation.world import World

MOST_REMEMBERED = 100


class Network:
    """Carries messages between nodes. `deliver` takes each message; `lost` hears of those that were dropped."""

    def __init__(self, world: World, options: Options, deliver: Callable[[Message], None]) -> None:
        self.world = world
        self.options = options
        self.blocked: dict[tuple[str, str], None] = {}
        self.calm = False
        self.sent = 0
        self._deliver = deliver
        self._remembered: list[Message] = []
        self._requests: deque[Message] = deque(maxlen=30)

    def send(self, message: Message) -> bool:
        """Let the message arrive never, once or twice. Returns False if it was dropped."""
        self.sent += 1
        world, options = self.world, self.options
        if self.calm:
            return self._travel(message, world.random.uniform(0.5, 1.5) * min(options.latency, 0.01))
        self._remember(message)
        if world.chance(options.lossy):
            return False
        for _ in range(1 + world.chance(options.repeating)):
            delay = world.random.expovariate(1) * options.latency
            if world.chance(options.delaying):
                delay += world.random.uniform(0, 2)
            if not self._travel(message, delay):
                return False
        return True

    def repeat_requests(self) -> None:
        """Send the newest forwarded proposals once more, over the next moments."""
        for message in self._requests:
            self._travel(message, self.world.random.uniform(0, 0.7))

    def _remember(self, message: Message) -> None:
        """Keep some messages for ever, to send them again when nobody expects them."""
        if isinstance(message, ForwardedProposal):
            self._requests.append(message)
        if not self.options.replaying:
            return
        if len(self._remembered) < MOST_REMEMBERED:
            self._remembered.append(message)
        elif self.world.chance(0.3):
            self._remembered[self.world.random.randrange(MOST_REMEMBERED)] = message
        if self.world.chance(self.options.replaying):
            self._travel(self.world.random.choice(self._remembered), 0.0)

    def _travel(self, message: Message, delay: float) -> bool:
        if (message.sender, message.to) in self.blocked:
            return False
        if self.world.chance(self.options.encoding):
            message = self._recoded(message)
        self.world.after(delay, lambda: self._arrive(message))
        return True

    @staticmethod
    def _recoded(message: Message) -> Message:
        try:
            decoded = decode(b"".join(encode(message))[4:])
        except (KeyError, ValueError):
            return message
        return decoded if decoded == message else message

    def _arrive(self, message: Message) -> None:
        if (message.sender, message.to) not in self.blocked:
            self._deliver(message)


def corrupted(message: Message, world: World) -> Message:
    """A copy of the message that no correct node sends; every node must drop it without a trace (I27)."""
    damaged = copy(message)
    harm = world.random.choice(("number", "to", "sender", "absurd"))
    if harm == "to":
        damaged.to = "nobody"
    elif harm == "sender":
        damaged.sender = message.to
    elif harm == "absurd":
        damaged.term = message.term + 2**40
    else:
        names = [name for name in message.__slots__ if type(getattr(message, name)) is int]
        setattr(damaged, world.random.choice(names), world.random.choice((-1, True, 1.0, 2**63, None, "1")))
    return damaged
