"""What single arguments of the command line may be, and what they mean.

Law: *each is understood as a whole or refused with a sentence that shows how it should look.*
"""

import argparse
import ipaddress
import os

from rafty_transports.addresses import parse_address
from rafty_transports.exits import WrongInput

BACKENDS = ("asyncio", "trio", "uvloop")


LONGEST_PASSWORD = 1024
"""Bytes of a password in a file."""


def password_of(options: argparse.Namespace) -> str | None:
    """The password that was typed or is in a file, or else that of the environment; None if there is neither.

    Raises `WrongInput` if it was typed and is in a file.
    """
    typed: str | None = options.password
    if typed is not None and options.password_file is not None:
        raise WrongInput("--password and --password-file are two passwords; give one of them")
    given = typed if typed is not None else options.password_file
    return given if given is not None else os.environ.get("RAFTY_PASSWORD") or None


def admin_password_of(in_file: str | None = None) -> str | None:
    """The password of the user admin: that in a file, or else that of the environment; None if there is neither."""
    return in_file if in_file is not None else os.environ.get("RAFTY_ADMIN_PASSWORD") or None


def password_file(path: str) -> str:
    """The password in this file: its first line, and there is no other. Raises `ArgumentTypeError`."""
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST_PASSWORD + 2)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise argparse.ArgumentTypeError(f"{path} cannot be read: {reason}; give a file with a password") from None
    password = content.removesuffix(b"\n").removesuffix(b"\r")
    if not password or len(password) > LONGEST_PASSWORD or b"\n" in password:
        raise argparse.ArgumentTypeError(
            f"{path} does not hold a password; write it there as one line of 1 to {LONGEST_PASSWORD} bytes"
        )
    return password.decode("utf-8", "surrogateescape")


def address(text: str) -> str:
    """`text`, if it is host:port. Raises `ArgumentTypeError`, as the others here do."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    right = colon and bare and not set(bare) & set(" ,=[]/@") and port.isascii() and port.isdigit()
    if not right or not 1 <= int(port) <= 65535 or (":" in bare and bare == host):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no address: give host:port, with a port of 1 to 65535")
    return text


def node_address(text: str) -> str:
    """`text`, if it is where a node listens or is reached: host:port, or one that names what is spoken there."""
    if "://" not in text:
        return address(text)
    try:
        address(parse_address(text).socket)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def node_addresses(text: str) -> list[str]:
    """The addresses in "host:port,ws://host:port", none of them twice."""
    return _each_once([node_address(part.strip()) for part in text.split(",")], "name each address once")


def addresses(text: str) -> list[str]:
    """The addresses in "host:port,host:port", none of them twice."""
    return _each_once([address(part.strip()) for part in text.split(",")], "name each node once")


def _each_once(found: list[str], advice: str) -> list[str]:
    for one in found:
        if found.count(one) > 1:
            raise argparse.ArgumentTypeError(f"{one} is named twice; {advice}")
    return found


def members(text: str) -> dict[str, str]:
    """Id -> address of "id=host:port,id=host:port"; no id and no address twice."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, where = part.strip().partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{part!r:.100} is no member: give id=host:port for each node")
        if node_id(name) in found:
            raise argparse.ArgumentTypeError(f"{name} is named twice; give each node an id of its own")
        if node_address(where) in found.values():
            raise argparse.ArgumentTypeError(f"{where} is the address of two nodes; give each one of its own")
        found[name] = where
    return found


def node_id(text: str) -> str:
    """A name of a node."""
    from rafty_core.configuration import check_node_id

    try:
        check_node_id(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def log_index(text: str) -> int:
    """The index of an entry of the log: a number above 0."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**63):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no log index: give a number above 0")
    return int(text)


def seconds(text: str) -> float:
    """A time above 0, in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no time: give a number of seconds above 0")
    return value


def is_loopback(where: str) -> bool:
    """Whether this address can be reached from this machine alone. Of names only `localhost` is."""
    host = parse_address(where).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
