"""Connections on which both sides have proved who they are: TLS 1.3, with certificates of one authority.

Law: *before the first byte of a node counts, both sides know that both agree, or why one does not.*

In TLS 1.3 the side that dials has finished before the other one has looked at its certificate, and neither can say in
TLS that a certificate is good, but not that of the node that was meant. So each side says its verdict behind the
handshake of TLS: one byte if it agrees, or its sentence. The verdict of the side that dialed travels together with the
end of its handshake, and costs no time of its own.

Who speaks plain text to a node that speaks TLS is told so in plain text, in the words of `handshake`.
"""

import ssl
from typing import Final

from anyio.abc import ByteStream

from rafty_transports.credentials import Credentials as Credentials
from rafty_transports.credentials import WrongCredentials as WrongCredentials
from rafty_transports.credentials import list_of, names_of
from rafty_transports.handshake import ENDED, MAGIC, TEXT_LIMIT, HandshakeFailed, RefusedPeer, printable, refuse
from rafty_transports.interfaces import Refused
from rafty_transports.tls_stream import TlsStream
from rafty_transports.tls_words import sentence, word

_AGREED: Final = b"\x01"
_REFUSED: Final = b"\x02"


async def secure_dialed(stream: ByteStream, credentials: Credentials, peer: str) -> ByteStream:
    """Speak TLS on a connection that this node dialed in order to reach `peer`; return the stream to go on with.

    Raises `Refused` with the reason if either side does not accept the other: its authority, its time, its name, its
    version of TLS; `HandshakeFailed` if the other side ends the connection or sends what is no TLS. Sets no deadline,
    and can be cancelled at any time; does not close `stream`. Not promised: that the node behind the certificate is the
    one it says it is in the handshake of rafty.
    """
    _, dialing = await credentials.contexts()
    tls = TlsStream(stream, dialing, server_side=False)
    names = await _shake_hands(tls, peer)
    try:
        if peer not in names:
            text = (
                f"what answers at the address of {peer} has a certificate for {list_of(names)}, not for {peer}: "
                "an address or a certificate is wrong"
            )
            await _say(tls, text)
            raise Refused(text)
        await _say(tls, None)
        refusal = await _hear(tls, peer)
    except ENDED as error:
        raise _failure(error, tls, peer) from error
    if refusal is not None:
        raise Refused(refusal)
    return tls


async def secure_accepted(stream: ByteStream, credentials: Credentials) -> tuple[ByteStream, frozenset[str]]:
    """Speak TLS on a connection that this node accepted; return the stream to go on with, and whom it is with.

    Those are the names that the certificate of the dialing node proves: who gives itself another one must be refused
    by the caller. Raises as `secure_dialed` does; a refusal is a `RefusedPeer`, with the name that the certificate
    proves if it is but one. Sets no deadline, and can be cancelled at any time; does not close `stream`.
    """
    accepting, _ = await credentials.contexts()
    tls = TlsStream(stream, accepting, server_side=True)
    names = await _shake_hands(tls, "the dialing node")
    peer = next(iter(names)) if len(names) == 1 else None
    try:
        if not names:
            text = "the certificate of the dialing node names nobody; give it one whose subjectAltName has its id"
            await _say(tls, text)
            raise RefusedPeer(text, None)
        await _say(tls, None)
        refusal = await _hear(tls, peer or "the dialing node")
    except ENDED as error:
        raise _failure(error, tls, peer or "the dialing node") from error
    if refusal is not None:
        raise RefusedPeer(refusal, peer)
    return tls, names


async def _shake_hands(tls: TlsStream, who: str) -> frozenset[str]:
    """Do the handshake of TLS; return whom the certificate of the other side names."""
    try:
        await tls.handshake()
    except ssl.SSLError as error:
        failure = _failure(error, tls, who)
        if tls.first.startswith(MAGIC):
            await refuse(tls.below, Refused(str(failure)))
        else:
            await tls.linger()
        raise failure from error
    except ENDED as error:
        raise _failure(error, tls, who) from error
    return names_of(tls.certificate)


def _failure(error: Exception, tls: TlsStream, who: str) -> Refused | HandshakeFailed:
    cause = error if isinstance(error, ssl.SSLError) else error.__cause__
    met = cause if isinstance(cause, ssl.SSLError) else error
    text = sentence(met, who, tls.first)
    if text is not None:
        return RefusedPeer(text, None, word(met, tls.first))
    if isinstance(cause, ssl.SSLError):
        return HandshakeFailed(f"{who} broke the handshake of TLS: {cause.reason or type(cause).__name__}")
    return HandshakeFailed(f"{who} ended the connection during the handshake of TLS")


async def _say(tls: TlsStream, refusal: str | None) -> None:
    """Say the verdict of this side; behind a refusal wait a moment for it to be read."""
    if refusal is None:
        await tls.send(_AGREED)
        return
    text = refusal.encode()[:TEXT_LIMIT]
    await tls.send(_REFUSED + len(text).to_bytes(2, "big") + text)
    await tls.linger()


async def _hear(tls: TlsStream, who: str) -> str | None:
    """The verdict of the other side: None if it agrees, else its sentence. Takes nothing that is behind it."""
    verdict = await _exactly(tls, 1)
    if verdict == _AGREED:
        return None
    if verdict != _REFUSED:
        raise HandshakeFailed(f"{who} neither agrees nor refuses: it says {verdict!r} behind the handshake of TLS")
    length = int.from_bytes(await _exactly(tls, 2), "big")
    if length > TEXT_LIMIT:
        raise HandshakeFailed(f"{who} refuses in {length} bytes, and {TEXT_LIMIT} is the limit")
    return printable((await _exactly(tls, length)).decode(errors="replace"))


async def _exactly(tls: TlsStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await tls.receive(count - len(data))
    return data
