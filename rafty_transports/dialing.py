"""The side that dials: a connection to each member, and to a guest when there is something to tell it.

Law: *what waited for a connection that was lost is dropped with it: Raft sends anew, and better* (fault F123).

Attempts follow each other with a pause that doubles; a peer that comes to us ends the pause, and so does a change of
its address or of the members.
"""

import os
import random
from collections.abc import Callable

import anyio
from anyio.abc import SocketStream

from rafty_transports.handshake import Admission, HandshakeFailed, dial, identify
from rafty_transports.interfaces import Identity, Refused, RemovedFromCluster
from rafty_transports.links import Limits, send_side
from rafty_transports.peers import DIALED, Peer
from rafty_transports.reaching import reach, split_address
from rafty_transports.roster import Roster


class Dialer:
    """Dials in the name of `mine`.

    report   told of a peer whenever messages to it were lost
    removed  told when a peer says that this node was removed
    """

    def __init__(
        self,
        mine: Identity,
        roster: Roster,
        admission: Admission,
        limits: Limits,
        *,
        report: Callable[[Peer], None],
        removed: Callable[[RemovedFromCluster], None],
    ) -> None:
        self._mine = mine
        self._roster = roster
        self._admission = admission
        self._limits = limits
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
        stream: SocketStream | None = None
        agreed = False
        try:
            stream = await self._reach(peer.next_address)
            theirs = await dial(
                *(stream, self._mine, peer.id, self._admission),
                check=self._roster.check,
                seconds=self._limits.handshake,
            )
            agreed = True
            peer.agreed(DIALED, theirs)
            peer.outbox.connected = True
            peer.failed(await send_side(stream, peer.outbox, self._limits, peer.drained))
        except RemovedFromCluster as removal:
            self._removed(removal)
        except Refused as refusal:
            peer.refused(DIALED, str(refusal))
        except HandshakeFailed as failure:
            peer.failed(str(failure))
        except OSError as error:
            if stream is not None:  # nothing but `admit` raises these once there is a connection: not the peer's fault
                raise
            peer.failed(str(error))
        finally:
            if stream is not None:
                await anyio.aclose_forcefully(stream)
        return agreed

    async def _reach(self, address: str) -> SocketStream:
        """A connection to this address. Raises `OSError` with one sentence."""
        try:
            host, port = split_address(address)
        except ValueError as error:
            raise OSError(str(error) if address else "its address is not known") from error
        try:
            return await reach(host, port, resolving=self._limits.handshake, connecting=self._limits.connect)
        except (OSError, UnicodeError) as error:
            raise OSError(f"cannot connect to {address}: {_words(error)}") from error

    async def identify(self, node_id: str, address: str) -> Identity:
        """Who is at this address, which must be `node_id`. Nobody is admitted. Raises `Refused` or `OSError`."""
        stream: SocketStream | None = None
        try:
            with anyio.fail_after(2 * self._limits.handshake):
                stream = await self._reach(address)
                return await identify(stream, self._mine, node_id, seconds=self._limits.handshake)
        except HandshakeFailed as failure:
            raise OSError(str(failure)) from failure
        except TimeoutError as error:
            raise OSError(f"nobody answers at {address}") from error
        finally:
            if stream is not None:
                await anyio.aclose_forcefully(stream)


def _words(error: Exception) -> str:
    """What went wrong, in the words of the operating system where it has some."""
    cause = error.__cause__ or error
    number = getattr(cause, "errno", None)
    return os.strerror(number).lower() if number else str(cause) or "no answer"
