"""With what the command line comes to a node: a user and password, and TLS.

Law: *nothing is sent to a node that has not proved who it is, once an authority is named.*

An authority that signs for others too proves nothing by its signature alone, and so the certificate must name the host
that was connected to. Whoever has an authority for this cluster alone may do without (`--tls-any-name`).
"""

import argparse
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

from rafty_transports.argument_types import admin_password_of, password_file, password_of
from rafty_transports.exits import WrongInput
from rafty_transports.passwords import ADMIN, DEFAULT


@dataclass(frozen=True, slots=True)
class Access:
    """How a client proves itself, and has the node prove itself.

    password  what AUTH names; None sends none
    user      whose password that is
    tls       the client's context; None: plain text
    """

    password: str | None = field(default=None, repr=False)
    user: str = DEFAULT
    tls: ssl.SSLContext | None = None

    @property
    def request(self) -> list[bytes]:
        """The first request on a connection: its answer shows that the node admits this client. It may be empty."""
        if self.password is not None:
            user = [] if self.user == DEFAULT else [self.user.encode()]
            return [b"AUTH", *user, self.password.encode("utf-8", "surrogateescape")]
        # A client's certificate is looked at behind the handshake: a command sent at once might be lost, or not.
        return [] if self.tls is None else [b"PING"]


OPEN = Access()
"""No password, plain text."""


def add_access(parser: argparse.ArgumentParser) -> None:
    """Add the options by which a command comes to nodes."""
    add = parser.add_argument
    add("--password", help="what the nodes ask for; better given in the environment as RAFTY_PASSWORD")
    add("--password-file", type=password_file, metavar="FILE", help="the file whose first line is the password")
    add("--tls-ca", metavar="FILE", help="speak TLS, with nodes whose certificate this authority signed (RAFTY_TLS_CA)")
    add("--tls-cert", metavar="FILE", help="the certificate to show, where nodes ask for one")
    add("--tls-key", metavar="FILE", help="its key")
    add(
        "--tls-any-name",
        action="store_true",
        help="take a certificate of the authority whatever names it has: it signs for this cluster alone",
    )


def access_of(options: argparse.Namespace, *, administers: bool = False) -> Access:
    """What these options and the environment say. Raises `WrongInput`.

    administers  whether the command needs the user admin, where the environment names a password for that user
    """
    tls = tls_of(options)
    admin = admin_password_of() if administers else None
    if admin is not None:
        return Access(admin, ADMIN, tls)
    return Access(password_of(options), DEFAULT, tls)


def tls_of(options: argparse.Namespace) -> ssl.SSLContext | None:
    """The context of a client with these options; None if no authority is named. Raises `WrongInput`."""
    authority = options.tls_ca or os.environ.get("RAFTY_TLS_CA") or None
    if authority is None:
        for name in ("tls_cert", "tls_key", "tls_any_name"):
            if getattr(options, name):
                raise WrongInput(f"--{name.replace('_', '-')} is for TLS; give --tls-ca too")
        return None
    if bool(options.tls_cert) != bool(options.tls_key):
        raise WrongInput("--tls-cert and --tls-key belong together; give both")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = not options.tls_any_name
    _load(authority, "an authority's certificate in PEM", lambda: context.load_verify_locations(authority))
    if options.tls_cert:
        what = f"a certificate in PEM, to which the key in {options.tls_key} belongs"
        _load(
            options.tls_cert, what, lambda: context.load_cert_chain(options.tls_cert, options.tls_key, _no_passphrase)
        )
    return context


def _load(path: str, what: str, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError:
        raise WrongInput(f"{path} is not {what}; give the right file") from None
    except OSError as error:
        raise WrongInput(f"{path} cannot be used: {(error.strerror or str(error)).lower()}; give {what}") from None


def _no_passphrase() -> str:
    raise OSError("the key is encrypted")
