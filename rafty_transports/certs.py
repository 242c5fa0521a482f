"""`rafty certs`: an authority for development, and a certificate with its key for each node.

Law: *the authority is made once and never overwritten, and a key is never readable by others, not even for a moment.*

A certificate names its node in the subjectAltName, where `credentials` looks for it; and this host by its loopback
names, so that clients of Redis that check host names can use it too. It is good for servers and for clients, since a
node is both. For more than development use the authority that you have: any certificate that names the node will do.
The library cryptography, which is needed here alone, is the extra `certs`.
"""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rafty_transports.exits import DONE, WrongInput

AUTHORITY: Final = "ca"
"""The name of the files of the authority, without their ending."""

AUTHORITY_DAYS: Final = 3650
"""A new authority is good for ten years, or as long as the first certificates."""

_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    made: bool


def run(directory: str, nodes: Sequence[str], days: int, force: bool) -> int:
    """Make what is missing in `directory`, and say what to do with it; return the exit code. Raises as `make` does."""
    made = make(Path(directory), nodes, days, force=force)
    _print_result(Path(directory), nodes, days, made)
    return DONE


def make(directory: Path, nodes: Sequence[str], days: int, *, force: bool = False) -> bool:
    """Make what is missing in `directory`; return whether the authority is new. Raises `CommandFailed`.

    nodes  node ids, each good as the name of a file, none twice
    days   how long the certificates are good
    force  replace certificates of nodes that are there already
    """
    try:
        _check_free(directory, nodes, force)
        authority = _read_authority(directory) or _make_authority(days)
        _check_days(authority.certificate, days, directory)
        directory.mkdir(mode=0o700, exist_ok=True)
        if authority.made:
            _write_pair(directory, AUTHORITY, authority.certificate, authority.key)
        for node_id in nodes:
            key = ec.generate_private_key(ec.SECP256R1())
            _write_pair(directory, node_id, _certify(node_id, key, authority, days), key)
    except OSError as error:
        what = f"{error.filename} cannot be read or written: {(error.strerror or str(error)).lower()}"
        raise WrongInput(f"{what}; see to it, or give another --dir") from None
    return authority.made


def files_of(directory: Path, name: str) -> tuple[Path, Path]:
    """Where the certificate and the key of this node are, or those of the authority."""
    return directory / f"{name}.pem", directory / f"{name}-key.pem"


def _check_free(directory: Path, nodes: Sequence[str], force: bool) -> None:
    for node_id in nodes:
        for file in files_of(directory, node_id):
            if file.exists() and not force:
                raise WrongInput(f"{file} is there already; leave out {node_id}, or give --force to replace its files")


def _read_authority(directory: Path) -> _Authority | None:
    """The authority that is there; None if there is none."""
    where, key_file = files_of(directory, AUTHORITY)
    if not where.exists() and not key_file.exists():
        return None
    for file, other in ((where, key_file), (key_file, where)):
        if not file.exists():
            raise WrongInput(f"{other} is there without {file.name}; put that back, or give another --dir")
    try:
        certificate = x509.load_pem_x509_certificate(where.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
    except (ValueError, TypeError):
        raise WrongInput(f"{where} and its key are no certificate and bare key in PEM; give another --dir") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise WrongInput(f"{key_file} is not the key of {where.name}, or none on a curve; give another --dir")
    try:
        signs = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        signs = False
    if not signs:
        raise WrongInput(f"{where} is no authority: its certificate may not sign others; give another --dir")
    return _Authority(certificate, key, made=False)


def _check_days(authority: x509.Certificate, days: int, directory: Path) -> None:
    left = (authority.not_valid_after_utc - datetime.now(UTC)).days
    if left < 1:
        raise WrongInput(f"the authority in {directory} has expired; give another --dir, and its files to all nodes")
    if days > left:
        raise WrongInput(
            f"--days {days} is longer than the authority in {directory} is good; give at most {left}, or another --dir"
        )


def _make_authority(days: int) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    number = x509.random_serial_number()
    name = _name(f"rafty development authority {number % 16**8:08x}")
    builder = _builder(name, name, key.public_key(), max(days + 1, AUTHORITY_DAYS)).serial_number(number)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    return _Authority(builder.sign(key, hashes.SHA256()), key, made=True)


def _certify(node_id: str, key: ec.EllipticCurvePrivateKey, authority: _Authority, days: int) -> x509.Certificate:
    """A certificate that this key is that of this node."""
    here = [x509.DNSName("localhost"), *(x509.IPAddress(ip_address(text)) for text in ("127.0.0.1", "::1"))]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    builder = _builder(_name(node_id), authority.certificate.subject, key.public_key(), days)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(node_id), *here]), critical=False)
    return builder.add_extension(issuer, critical=False).sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.not_valid_before(now - _SKEW).not_valid_after(now + timedelta(days=days))
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    where, key_file = files_of(directory, name)
    _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    _write(where, certificate.public_bytes(Encoding.PEM), 0o644)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write this file whole, or not at all; who can read it is settled before there is anything in it."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _print_result(directory: Path, nodes: Sequence[str], days: int, made: bool) -> None:
    authority, authority_key = files_of(directory, AUTHORITY)
    print(f"{authority} is {'a new' if made else 'the'} authority for development")
    print(f"{authority_key} makes more certificates; keep it away from the nodes")
    print(
        f"The certificates are good for {days} days. Give to `rafty serve` on each node, and copy there no other file:"
    )
    for node_id in nodes:
        where, key_file = files_of(directory, node_id)
        pairs = (("--tls-cert", where), ("--tls-key", key_file), ("--tls-ca", authority))
        print(f"  {node_id}: " + " ".join(f"{option} {shlex.quote(str(file))}" for option, file in pairs))
