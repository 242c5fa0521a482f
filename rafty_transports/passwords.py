"""Passwords of the two users of the service: `default`, who reads and writes, and `admin`, who changes the cluster.

Law: *how long a comparison takes tells nothing of the password; and what is wrong is answered later each time.*

Kept and compared are digests of equal length, since a comparison of texts ends at once where their lengths differ.
"""

import hashlib
import hmac

DEFAULT, ADMIN = "default", "admin"
"""The users that there are. Redis calls the first one so."""

FIRST_DELAY = 0.05
"""Seconds that a client waits for the answer to its first wrong password; twice as long for each one after it."""

LONGEST_DELAY = 2.0


class Passwords:
    """What AUTH must name for each user.

    default  the password of whoever reads and writes; None lets everybody in
    admin    the password of whoever changes the cluster or carries it away; None lets everybody do that who may write

    Raises `ValueError` for an empty password, and for two that are the same.
    """

    def __init__(self, default: str | None = None, admin: str | None = None) -> None:
        if "" in (default, admin):
            raise ValueError("a password is empty; give one that has characters, or none")
        if admin is not None and admin == default:
            raise ValueError("the password for administration is that of all clients; give it one of its own")
        self._digests = {
            user.encode(): _digest(password.encode("utf-8", "surrogateescape"))
            for user, password in ((DEFAULT, default), (ADMIN, admin))
            if password is not None
        }

    @property
    def asked(self) -> bool:
        """Whether a client must authenticate before it does anything."""
        return DEFAULT.encode() in self._digests

    @property
    def apart(self) -> bool:
        """Whether administration is for the user `admin` alone."""
        return ADMIN.encode() in self._digests

    def user(self, name: bytes, password: bytes) -> str | None:
        """The user that this name and password prove, or None."""
        given = _digest(password)
        known = self._digests.get(name)
        if known is None:
            return DEFAULT if name == DEFAULT.encode() else None
        return name.decode() if hmac.compare_digest(given, known) else None


def delay_after(wrong: int) -> float:
    """Seconds until a client is told that a password was wrong, when it was the `wrong`-th, counted from 1."""
    return min(FIRST_DELAY * 2.0 ** min(wrong - 1, 30), LONGEST_DELAY)


def _digest(password: bytes) -> bytes:
    return hashlib.sha256(password).digest()
