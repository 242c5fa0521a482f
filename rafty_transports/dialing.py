"""The side that dials: a connection to each member, and to a guest when there is something to tell it.

Law: *what waited for a connection that was lost is dropped with it: Raft sends anew, and better* (fault F123).

Attempts follow each other with a pause that doubles; a peer that comes to us ends the pause, and so does a change of
its address or of the members.
"""

import math
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import anyio
from anyio.abc import ByteStream

from rafty_transports.handshake import Admission, HandshakeFailed, dial, identify
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.links import Limits, send_side
from rafty_transports.peers import DIALED, Peer
from rafty_transports.roster import Roster
from rafty_transports.wires import CannotReach

Open: TypeAlias = Callable[[str, str], AbstractAsyncContextManager[ByteStream]]
"""Opens a stream to an address, to reach the node of this id there; see `wires`."""


class Dialer:
    """Dials in the name of `mine`.

    opening  opens a stream to an address
    report   told of a peer whenever messages to it were lost
    removed  told when a peer says that this node was removed
    """

    def __init__(
        self,
        mine: Identity,
        roster: Roster,
        admission: Admission,
        limits: Limits,
        opening: Open,
        *,
        report: Callable[[Peer], None],
        removed: Callable[[RemovedFromCluster], None],
    ) -> None:
        self._mine = mine
        self._roster = roster
        self._admission = admission
        self._limits = limits
        self._open = opening
        self._report = report
        self._removed = removed
        self._random = random.Random()

    async def keep_connected(self, peer: Peer) -> None:
        """Connect, again and again, as long as this is a peer. Raises what `admit` raises but `Refused`."""
        pause = self._limits.backoff_first
        while self._roster.peers.get(peer.id) is peer:
            with anyio.CancelScope() as peer.attempt:  # a new address ends it, and the pause behind it
                if not peer.member:
                    await peer.outbox.wanted()
                try:
                    if await self._connect(peer):
                        pause = self._limits.backoff_first
                    else:
                        peer.turn += 1
                finally:
                    peer.outbox.connected = False
                    peer.outbox.clear()  # stale when a connection exists again; Raft sends anew (fault F123)
                    self._report(peer)
                if not peer.addresses:
                    await anyio.sleep_forever()
                with anyio.move_on_after(pause * self._random.uniform(0.5, 1.0)):
                    await peer.heard()
                pause = min(2 * pause, self._limits.backoff_last)

    async def _connect(self, peer: Peer) -> bool:
        """Connect and send until the connection ends; whether a handshake succeeded."""
        met: list[Identity] = []
        try:
            with anyio.CancelScope() as patience:
                patience.deadline = anyio.current_time() + self._patience
                async with self._open(peer.next_address, peer.id) as stream:
                    patience.deadline = math.inf
                    await self._use(stream, peer, met)
            if patience.cancelled_caught:
                peer.failed(f"{peer.next_address} did not begin within {self._patience:g} s")
        except RemovedFromCluster as removal:
            self._removed(removal)
        except Refused as refusal:
            peer.refused(DIALED, str(refusal))
        except HandshakeFailed as failure:
            peer.failed(str(failure))
        except CannotReach as error:
            peer.failed(str(error))
        return bool(met)

    async def _use(self, stream: ByteStream, peer: Peer, met: list[Identity]) -> None:
        theirs = await dial(
            *(stream, self._mine, peer.id, self._admission),
            check=self._roster.check,
            seconds=self._limits.handshake,
        )
        met.append(theirs)
        peer.agreed(DIALED, theirs)
        peer.outbox.connected = True
        peer.failed(await send_side(stream, peer.outbox, self._limits, peer.drained))

    @property
    def _patience(self) -> float:
        """For finding the address, connecting, and what is below the handshake."""
        return 3 * self._limits.handshake

    async def identify(self, node_id: str, address: str) -> Identity:
        """Who is at this address, which must be `node_id`. Nobody is admitted. Raises `Refused` or `OSError`."""
        try:
            with anyio.fail_after(2 * self._limits.handshake):
                async with self._open(address, node_id) as stream:
                    return await identify(stream, self._mine, node_id, seconds=self._limits.handshake)
        except HandshakeFailed as failure:
            raise OSError(str(failure)) from failure
        except TimeoutError as error:
            raise OSError(f"nobody answers at {address}") from error
