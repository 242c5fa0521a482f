"""When each peer was last heard, for the sentences that say why there is no leader or no outcome.

Law: *an error names who was heard and who was not, and since when.*
"""

from collections.abc import Sequence
from operator import itemgetter

from rafty_core.events import PeerUnreachable
from rafty_transports.interfaces import Travelling

MOST_HEARD = 1024
"""About so many names are remembered; beyond it, those that were heard last."""


class Contacts:
    """What this node has heard; times in seconds on the clock of the event loop."""

    def __init__(self, node_id: str, silence: float) -> None:
        self._node_id = node_id
        self._silence = silence
        self._heard: dict[str, float] = {}

    def note(self, received: Sequence[Travelling | PeerUnreachable], now: float) -> None:
        """These came in now."""
        for message in received:
            if not isinstance(message, PeerUnreachable):
                self._heard[message.sender] = now
        if len(self._heard) > MOST_HEARD:  # strangers have any names they like (R216)
            by_time = sorted(self._heard.items(), key=itemgetter(1))
            self._heard = dict(by_time[-MOST_HEARD // 2 :])

    def describe(self, voters: Sequence[str], now: float) -> str:
        """Whom this node heard lately, and when it last heard the others, in one phrase."""
        others = [voter for voter in voters if voter != self._node_id]
        silent = [peer for peer in others if now - self._heard.get(peer, -1e9) >= self._silence]
        ages = [
            f"{peer} last {now - self._heard[peer]:.1f} s ago" if peer in self._heard else f"{peer} never"
            for peer in silent
        ]
        return ", ".join([f"heard {len(voters) - len(silent)} of {len(voters)} voters", *ages])
