"""What a node proves itself with, and by which it knows others.

Law: *a node is whom its certificate names, exactly; and a wrong certificate never replaces a right one.*

The names of a certificate are the DNS names of its subjectAltName; if it has none, its common name. There are no
patterns, and `localhost` is nobody's name, since every host is that. Host names and addresses play no part: a node is
the same wherever it is reached.

Certificates end, so files are looked at again at each connection, in a thread, since a disk may hang. What is found is
tried out first: both contexts shake hands with each other in memory. Of a pair that is half replaced, or of a
certificate that another authority signed, nobody but the log hears.
"""

import hashlib
import logging
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import anyio

from rafty_transports.handshake import printable
from rafty_transports.threads import NoThread, run_in_daemon
from rafty_transports.tls_words import certificate_sentence, readable

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
"""A connection waits this long for the disk, then goes on with the certificates that are known."""

LOOKS: Final = 4
"""So many threads look at files at the same time, at most; a connection beyond them does not look."""

LARGEST_FILE: Final = 1024 * 1024
"""Files of certificates are read up to this size, in bytes."""

Contexts: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext]
"""For connections that are accepted, and for those that are dialed."""


class WrongCredentials(ValueError):
    """Certificates, keys or contexts that cannot be used; the text is one sentence that says why and what to do."""


class Credentials:
    """Contexts for TLS 1.3 in which both sides show a certificate: `accepting` for a server, `dialing` for a client.

    Raises `WrongCredentials` unless both are of their purpose, ask for a certificate, speak nothing older than TLS 1.3
    and leave host names alone. Session tickets are turned off in `accepting`, so that a certificate is verified on each
    connection. Changes that the owner makes in the contexts count from the next connection on.
    """

    def __init__(self, accepting: ssl.SSLContext, dialing: ssl.SSLContext) -> None:
        _check_context(accepting, "accepting", ssl.PROTOCOL_TLS_SERVER)
        _check_context(dialing, "dialing", ssl.PROTOCOL_TLS_CLIENT)
        accepting.num_tickets = 0
        self._contexts = (accepting, dialing)
        self._node_id: str | None = None
        self._files: _Files | None = None
        self._known = ""
        self._complained = ""
        self._looks = threading.BoundedSemaphore(LOOKS)
        self._looking = threading.Lock()
        self._for_clients: list[ForClients] = []

    @classmethod
    def from_files(
        cls, certificate: str | PathLike[str], key: str | PathLike[str], authority: str | PathLike[str]
    ) -> Self:
        """Credentials out of files in PEM: a certificate (with its intermediates behind it), its key, the authority.

        They are read now, and again at each connection; what then cannot be used is not, and one warning is logged.
        Raises `WrongCredentials` if a file cannot be read, is none of its kind, or the key is not that of the
        certificate. Blocks for as long as the disk takes.
        """
        files = _Files(Path(certificate), Path(key), Path(authority))
        known = files.state()
        credentials = cls(*files.load())
        credentials._files, credentials._known = files, known
        return credentials

    def check_own(self, node_id: str) -> None:
        """Raise `WrongCredentials` unless a node with the same credentials would take this one for `node_id`.

        So not if the certificate names somebody else, has expired or is not valid yet, is not made for servers and
        clients both, or is not signed by the authority. A replacement must pass the same from now on.
        """
        _check(self._contexts, node_id, self._files)
        self._node_id = node_id

    async def contexts(self) -> Contexts:
        """The contexts for a new connection. Files that have changed are loaded first; takes at most a second."""
        if self._files is not None and self._looks.acquire(blocking=False):
            with anyio.move_on_after(LOOK_SECONDS):
                try:
                    await run_in_daemon(self._look, self._files)
                except NoThread as error:  # so no thread gives this back
                    self._looks.release()
                    logger.warning("certificates are not looked at: %s", error)
        return self._contexts

    def for_clients(self, *, certificate_required: bool) -> "ForClients":
        """What a port needs that serves clients with the certificate of this node, by TLS 1.2 or later.

        What replaces the certificate or the authority is used there, too. Only for credentials `from_files`; raises
        `WrongCredentials` for others.
        """
        if self._files is None:
            raise WrongCredentials(
                "credentials of your own contexts have none for clients; give the service one of yours"
            )
        mode = ssl.CERT_REQUIRED if certificate_required else ssl.CERT_NONE
        port = ForClients(self, mode, self._files.for_clients(mode))
        self._for_clients.append(port)
        return port

    def _look(self, files: "_Files") -> None:
        try:
            with self._looking:
                state = files.state()
                if state != self._known:
                    self._replace(files, state)
        finally:
            self._looks.release()

    def _replace(self, files: "_Files", state: str) -> None:
        try:
            contexts = files.load()
            _check(contexts, self._node_id, files)
            # Made anew, for an authority that a context knows it never forgets (R204).
            renewed = [files.for_clients(port.verify_mode) for port in self._for_clients]
        except WrongCredentials as wrong:
            if state != self._complained:
                self._complained = state
                logger.warning(
                    "the certificates that were in use stay in use, since those on the disk are wrong: %s", wrong
                )
            return
        if files.state() != state:
            return  # they were replaced while they were read; the next connection looks again
        self._contexts, self._known = contexts, state
        for port, context in zip(self._for_clients, renewed, strict=True):
            port.current = context


class ForClients:
    """Contexts for a port that serves clients; `Credentials.for_clients` makes them.

    verify_mode  whether clients are asked for a certificate, as in `ssl`
    current      the context for the next connection, as far as is known
    """

    def __init__(self, credentials: Credentials, verify_mode: ssl.VerifyMode, current: ssl.SSLContext) -> None:
        self.verify_mode = verify_mode
        self.current = current
        self._credentials = credentials
        self._looked = -LOOK_SECONDS

    async def context(self) -> ssl.SSLContext:
        """The context for a new connection. Files that have changed are loaded first, but looked at once a second."""
        now = anyio.current_time()
        if now >= self._looked + LOOK_SECONDS:
            self._looked = now
            await self._credentials.contexts()
        return self.current


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The node ids that a certificate proves, as `ssl.SSLSocket.getpeercert` tells it; none for an empty one."""
    names = {value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"}
    if not names:
        parts = [part for relative in certificate.get("subject", ()) for part in relative]
        names = {value for kind, value in parts if kind == "commonName"}
    return frozenset(names - {"localhost"})


def list_of(names: frozenset[str]) -> str:
    """These names in a sentence, cut if they are long."""
    return printable(f"{', '.join(sorted(names)) or 'nobody':.200}")


def _check_context(context: ssl.SSLContext, name: str, protocol: int) -> None:
    end = "client" if protocol == ssl.PROTOCOL_TLS_CLIENT else "server"
    if context.protocol != protocol:
        raise WrongCredentials(f"the {name} context is not for a {end}; make it with ssl.PROTOCOL_TLS_{end.upper()}")
    if context.check_hostname:
        raise WrongCredentials(
            f"the {name} context checks host names, and nodes are known by their ids; set its check_hostname to False"
        )
    if context.verify_mode != ssl.CERT_REQUIRED or (context.post_handshake_auth and end == "server"):
        raise WrongCredentials(
            f"the {name} context does without a certificate of the other side; set its verify_mode to CERT_REQUIRED, "
            "and leave post_handshake_auth off"
        )
    highest = context.maximum_version
    if context.minimum_version < ssl.TLSVersion.TLSv1_3 or 0 <= highest < ssl.TLSVersion.TLSv1_3:
        raise WrongCredentials(f"the {name} context speaks an older TLS than 1.3; set its minimum_version to TLSv1_3")


def _check(contexts: Contexts, node_id: str | None, files: "_Files | None") -> None:
    """Have a node meet itself: raise `WrongCredentials` unless both ends agree, and take each other for `node_id`."""
    whose = f"the certificate {files.certificate}" if files else "the certificate of a context"
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = contexts[0].wrap_bio(up, down, server_side=True)
    client = contexts[1].wrap_bio(down, up)
    try:
        for end in (client, server, client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    except ssl.SSLCertVerificationError as error:
        raise WrongCredentials(certificate_sentence(error, whose)) from None
    except ssl.SSLError as error:
        raise WrongCredentials(f"{whose} cannot be used for TLS 1.3: {error.reason}; give another one") from None
    for end in (client, server):
        names = names_of(readable(end))
        if node_id is not None and node_id not in names:
            raise WrongCredentials(
                f"{whose} is for {list_of(names)}, and this node is {node_id}; give it one of its own"
            )


class _Files:
    """The three files that credentials come from."""

    def __init__(self, certificate: Path, key: Path, authority: Path) -> None:
        self.certificate = certificate
        self.key = key
        self.authority = authority

    def state(self) -> str:
        """Differs whenever the content of a file, or the reason why it has none, does. Blocking."""
        digest = hashlib.sha256()
        for path in (self.certificate, self.key, self.authority):
            try:
                with path.open("rb") as file:
                    content = file.read(LARGEST_FILE)
            except OSError as error:
                content = str(error).encode()
            digest.update(hashlib.sha256(content).digest())
        return digest.hexdigest()

    def load(self) -> Contexts:
        """Contexts out of what the files contain now. Raises `WrongCredentials`. Blocking."""
        _check_file(self.certificate, "certificate", b"-----BEGIN CERTIFICATE-----")
        _check_file(self.key, "private key", b"PRIVATE KEY-----")
        _check_file(self.authority, "certificate of an authority", b"-----BEGIN CERTIFICATE-----")
        return self._load(ssl.PROTOCOL_TLS_SERVER), self._load(ssl.PROTOCOL_TLS_CLIENT)

    def _load(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        self.into(context)
        return context

    def for_clients(self, verify_mode: ssl.VerifyMode) -> ssl.SSLContext:
        """A context for a server of clients. Raises `WrongCredentials`. Blocking."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = verify_mode
        self.into(context)
        return context

    def into(self, context: ssl.SSLContext) -> None:
        """Have this context use what the files contain now. Raises `WrongCredentials`. Blocking."""
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or ""
            if "MISMATCH" in reason:
                text = f"{self.key} is not the key of the certificate {self.certificate}; give one pair"
            else:
                text = f"{self.certificate} and {self.key} cannot be read as PEM; give a certificate, and its key"
            raise WrongCredentials(text) from None
        try:
            context.load_verify_locations(self.authority)
        except (ssl.SSLError, OSError):
            raise WrongCredentials(
                f"the authority {self.authority} cannot be read as PEM; give its certificate"
            ) from None


def _check_file(path: Path, what: str, mark: bytes) -> None:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise WrongCredentials(f"the {what} {path} cannot be read: {reason}; give a file that can") from None
    if mark not in content:
        raise WrongCredentials(f"{path} holds no {what} in PEM; give a file that does")
    if b"-----BEGIN ENCRYPTED" in content or b"Proc-Type: 4,ENCRYPTED" in content:
        raise WrongCredentials(f"the {what} {path} is encrypted, and nobody is there to be asked; give it in the clear")


def _no_passphrase() -> str:
    """Without this OpenSSL would ask on the terminal."""
    return ""
