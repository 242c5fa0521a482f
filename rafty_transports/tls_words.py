"""What TLS found wrong, in sentences.

Law: *every way to be refused has a sentence of its own, on the side that refuses and on the side that is refused.*

The side that refuses knows why (`sentence` of an error of its own); the other one is told by an alert of TLS, which is
a number, and about as exact as one. What an alert of the standard is called begins behind ALERT_ in the name that
OpenSSL gives the error.
"""

import ssl
from typing import Any, Final

from rafty_transports.handshake import BOTH_THE_SAME

_SAME = "give all nodes certificates of the same authority"
_CLOCK = "or set the clock of the host right"

_VERIFICATION: Final = {
    9: f"is not valid yet; wait, {_CLOCK}",
    10: f"has expired; give a new one, {_CLOCK}",
    23: "is revoked; give a new one",
    26: "is not made for this use; give one for servers and for clients",
}
"""What is wrong with a certificate, by the code of OpenSSL."""

_UNKNOWN_AUTHORITY: Final = frozenset({2, 7, 18, 19, 20, 21})
"""No chain of signatures leads from the certificate to the authority."""

_ALERTS: Final = {
    "UNKNOWN_CA": f"it is not signed by the authority there; {_SAME}",
    "DECRYPT_ERROR": f"its signature is not that of the authority there, or not that of its key; {_SAME}",
    "CERTIFICATE_EXPIRED": f"it has expired; give a new one, {_CLOCK}",
    "BAD_CERTIFICATE": f"it is not valid yet, or damaged; wait or give a new one, {_CLOCK}",
    "CERTIFICATE_REVOKED": "it is revoked; give a new one",
    "UNSUPPORTED_CERTIFICATE": "it is not made for this use; give one for servers and for clients",
    "CERTIFICATE_UNKNOWN": "it was not understood there; give another one",
}
"""Why the other side did not accept the certificate of this node, by the alert that it sent."""

_OLD: Final = frozenset({"UNSUPPORTED_PROTOCOL", "VERSION_TOO_LOW", "WRONG_SSL_VERSION"})
_TLS = (b"\x16", b"\x15")


def certificate_sentence(error: ssl.SSLCertVerificationError, whose: str) -> str:
    """Why a certificate was not accepted here; `whose` begins the sentence, as in "the certificate of n1"."""
    if error.verify_code in _UNKNOWN_AUTHORITY:
        return f"{whose} is not signed by the authority of this node; {_SAME}"
    known = _VERIFICATION.get(error.verify_code)
    return f"{whose} {known}" if known else f"{whose} was not accepted: {error.verify_message}"


def readable(end: ssl.SSLObject) -> dict[str, Any]:
    """The verified certificate of the other side. Empty if there is none, or none that Python can read: an authority
    may have signed names that are no text (R202)."""
    try:
        return end.getpeercert() or {}
    except (ValueError, ssl.SSLError):
        return {}


def is_tls(first: bytes) -> bool:
    """Whether bytes that begin like this are TLS: a handshake, or an alert."""
    return first[:1] in _TLS


def word(error: Exception, first: bytes) -> str:
    """Under which word a refusal is counted that `sentence` has words for: no TLS 1.3 came about, or no proof."""
    reason = (error.reason if isinstance(error, ssl.SSLError) else None) or ""
    no_tls = (first and not is_tls(first)) or reason in _OLD or reason.endswith("ALERT_PROTOCOL_VERSION")
    return "tls" if no_tls else "certificate"


def sentence(error: Exception, who: str, first: bytes) -> str | None:
    """Why there is no agreement with `who`, who began with the bytes `first`; None if nobody refused anybody."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return certificate_sentence(error, f"the certificate of {who}")
    if first and not is_tls(first):
        return f"{who} speaks plain text, and the other side TLS; {BOTH_THE_SAME}"
    reason = (error.reason if isinstance(error, ssl.SSLError) else None) or ""
    _, alert, name = reason.rpartition("ALERT_")
    if alert and name in _ALERTS:
        return f"{who} did not accept the certificate of this node: {_ALERTS[name]}"
    if alert and name == "CERTIFICATE_REQUIRED":
        return f"{who} wants a certificate of this node, and there was none; give one"
    if "DID_NOT_RETURN_A_CERTIFICATE" in reason:
        return f"{who} showed no certificate; give it one of the authority of this node"
    if alert and name == "PROTOCOL_VERSION":
        return f"{who} does not speak TLS 1.3, and this node nothing else; upgrade the older"
    if reason in _OLD:
        return f"{who} speaks no newer TLS than 1.2, and this node only 1.3; upgrade the older"
    return None
