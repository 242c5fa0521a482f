"""What can be given to `rafty certs`.

Law: *an id that names a node here names its files too, so no id may be that of another file.*
"""

import argparse

from rafty_transports.argument_types import node_id
from rafty_transports.exits import WrongInput

DAYS = 365
MOST_DAYS = 36500

_ENDINGS = ("", "-key")
_AUTHORITY = "ca"


def add_certs(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rafty certs`."""
    add = parser.add_argument
    add(
        "--dir",
        required=True,
        metavar="DIR",
        help="where the files go; an authority that is there is used again, and if there is none, it is made",
    )
    add("--nodes", required=True, type=named_files, metavar="ID,...", help="the ids of the nodes")
    add("--days", type=days, default=DAYS, metavar="N", help=f"how long the certificates are good ({DAYS})")
    add(
        "--force",
        action="store_true",
        help="replace certificates and keys of nodes that are there; never the authority",
    )


def named_files(text: str) -> list[str]:
    """Ids of nodes that can be names of files, none twice. Raises `ArgumentTypeError`, as `days` does."""
    found = [node_id(part.strip()) for part in text.split(",")]
    taken = {f"{_AUTHORITY}{ending}" for ending in _ENDINGS}
    for one in found:
        if found.count(one) > 1:
            raise argparse.ArgumentTypeError(f"{one} is named twice; name each node once")
        if one == "localhost":
            raise argparse.ArgumentTypeError("localhost is every host, and so no node's certificate; give another id")
        if not all(character.isalnum() or character in "._-" for character in one) or one[0] in ".-":
            raise argparse.ArgumentTypeError(
                f"{one} is no name of a file; for `rafty certs` an id has letters, digits, '.', '_' and '-' only, and "
                "begins with none of '.' and '-'"
            )
        files = {f"{one}{ending}" for ending in _ENDINGS}
        if files & taken:
            raise argparse.ArgumentTypeError(
                f"the files of {one} would be those of the authority or of another node; give another id"
            )
        taken |= files
    return found


def days(text: str) -> int:
    """A number of days, from 1 to a hundred years."""
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MOST_DAYS):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no number of days; give one from 1 to {MOST_DAYS}")
    return int(text)


def run_certs(options: argparse.Namespace) -> int:
    """Run `rafty certs` with these options. Raises `CommandFailed`."""
    from pathlib import Path

    if Path(options.dir).exists() and not Path(options.dir).is_dir():
        raise WrongInput(f"{options.dir} is no directory; give one to --dir, or a name that is free")
    if not Path(options.dir).resolve().parent.is_dir():
        raise WrongInput(f"{options.dir} cannot be made, since its parent is not there; make that first")
    try:
        from rafty_transports.certs import run
    except ModuleNotFoundError:
        raise WrongInput(
            "certificates are made with the library cryptography, which is not installed; install it "
            "(`pip install 'rafty[certs]'`)"
        ) from None
    return run(options.dir, options.nodes, options.days, options.force)
