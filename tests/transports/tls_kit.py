"""What tests of TLS share: authorities, certificates with every fault, and two nodes that meet."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from rafty_transports.interfaces import Refused
from rafty_transports.security import Credentials, secure_accepted, secure_dialed

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Files:
    """Where a certificate, its key and the authority are."""

    certificate: Path
    key: Path
    authority: Path

    def credentials(self) -> Credentials:
        """Credentials out of these files."""
        return Credentials.from_files(self.certificate, self.key, self.authority)

    def context(self, protocol: int) -> ssl.SSLContext:
        """A context out of these files, as a user would make it."""
        context = bare_context(protocol, self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def bare_context(protocol: int, authority: Path) -> ssl.SSLContext:
    """A context that asks for certificates of this authority, and has none."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(authority)
    return context


class Authority:
    """Signs whatever it is asked to."""

    def __init__(
        self,
        directory: Path,
        name: str = "authority",
        *,
        days: tuple[float, float] = (-1, 100),
        keep_key: bool = False,
        parent: "Authority | None" = None,
    ) -> None:
        self.directory = directory
        self.file = directory / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        signer = parent or self
        builder = _builder(self._name, signer._name, self._key.public_key(), *days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file.write_bytes(builder.sign(signer._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        if keep_key:
            (directory / f"{name}-key.pem").write_bytes(_pem(self._key))

    def issue(
        self,
        file: str,
        *names: str,
        common: str = "somebody",
        days: tuple[float, float] = (-1, 1),
        purposes: Sequence[x509.ObjectIdentifier] = (SERVER, CLIENT),
        alternative: bytes = b"",
    ) -> Files:
        """A certificate for these DNS names (none: no subjectAltName), good from one day to another, 0 being now.

        `alternative` are bytes for the subjectAltName that nobody has looked at.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(common), self._name, key.public_key(), *days)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            known = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(known, critical=False)
        if alternative:
            unread = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, alternative)
            builder = builder.add_extension(unread, critical=False)
        files = Files(self.directory / f"{file}.pem", self.directory / f"{file}-key.pem", self.file)
        files.key.write_bytes(_pem(key))
        files.certificate.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))
        return files


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, first: float, last: float
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.not_valid_before(now + timedelta(days=first)).not_valid_after(now + timedelta(days=last))
    return builder.serial_number(x509.random_serial_number())


@asynccontextmanager
async def connection() -> AsyncIterator[tuple[SocketStream, SocketStream]]:
    """Both ends of a connection: of the side that dialed, and of the other."""
    accepted: list[SocketStream] = []
    async with listening(accepted) as port:
        dialed = await anyio.connect_tcp("127.0.0.1", port)
        with anyio.fail_after(5):
            while not accepted:
                await anyio.sleep(0.001)
        try:
            yield dialed, accepted[0]
        finally:
            await anyio.aclose_forcefully(dialed)


@asynccontextmanager
async def listening(accepted: list[SocketStream]) -> AsyncIterator[int]:
    """Listen, and append what is accepted; the port is what comes back."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")

    async def keep(stream: SocketStream) -> None:
        accepted.append(stream)
        await anyio.sleep_forever()

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, keep)
        yield listener.extra(SocketAttribute.local_port)
        for stream in accepted:
            await anyio.aclose_forcefully(stream)
        tasks.cancel_scope.cancel()


async def outcome_of(function: Callable[..., Awaitable[Any]], stream: ByteStream, *arguments: Any) -> Any:
    """What this returns or raises; then the stream is closed if it was raised, as those who call it do."""
    try:
        return await function(stream, *arguments)
    except Exception as error:
        await anyio.aclose_forcefully(stream)
        return error


async def together(*sides: Awaitable[Any], seconds: float = 8.0) -> list[Any]:
    """What each of these returns, run at the same time."""
    results: list[Any] = [None] * len(sides)

    async def run(position: int) -> None:
        results[position] = await sides[position]

    with anyio.fail_after(seconds):
        async with anyio.create_task_group() as tasks:
            for position in range(len(sides)):
                tasks.start_soon(run, position)
    return results


async def meet(dialing: Credentials, accepting: Credentials, peer: str) -> tuple[Any, Any]:
    """What comes of it on both sides when a node dials `peer`, and these credentials answer."""
    async with connection() as (near, far):
        one, other = await together(
            outcome_of(secure_dialed, near, dialing, peer), outcome_of(secure_accepted, far, accepting)
        )
        return one, other


@asynccontextmanager
async def secured(
    dialing: Credentials, accepting: Credentials, peer: str
) -> AsyncIterator[tuple[ByteStream, ByteStream]]:
    """Both ends of a secured connection."""
    async with connection() as (near, far):
        one, (other, _) = await together(secure_dialed(near, dialing, peer), secure_accepted(far, accepting))
        yield one, other


def sentence_of(outcome: Any, kind: type[Exception] = Refused) -> str:
    """What was raised, which must be of this kind and one sentence."""
    assert isinstance(outcome, kind), repr(outcome)
    text = str(outcome)
    assert "\n" not in text
    assert not text.endswith(".")
    return text
