"""What can be typed behind `rafty`, and what it means.

Law: *whatever a person gives wrong is answered with one sentence that says what to do, before anything is changed.*

Each command is a module of its own, imported when it is asked for, so that a wrong option is found quickly.
"""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from rafty_transports.access import access_of, add_access
from rafty_transports.argument_types import BACKENDS, addresses, seconds
from rafty_transports.certs_arguments import add_certs, run_certs
from rafty_transports.cluster_arguments import add_cluster_commands
from rafty_transports.exits import EXIT_CODES, WrongInput
from rafty_transports.serve_arguments import add_serve, run_serve


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise WrongInput(f"{message}; `{self.prog} --help` shows what can be given")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What was typed, checked as far as it can be without looking at anything. Raises `WrongInput`."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest:
        options.parser.error(f"unknown argument {' '.join(rest)}")
    if options.run is None:
        parser.error("a command is missing")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="rafty",
        description="A replicated key-value store on Raft, for clients of Redis.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=None, parser=parser)
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        added.set_defaults(run=run, parser=added)
        return added

    add_serve(command("serve", run_serve, "run one node of a cluster in this process"))
    status = command("status", _run_command, "show all nodes as a table; exits 0 if all answer and agree on a leader")
    get = command("get", _run_command, "print the value of a key")
    put = command("put", _run_command, "store a value under a key, replicated and durable")
    delete = command("del", _run_command, "delete keys and print how many there were")
    for name, asking in (("status", status), ("get", get), ("put", put), ("del", delete)):
        asking.set_defaults(command=name)
        add_asking(asking)
    get.add_argument("key", metavar="KEY")
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE", help="- reads the value from the standard input, as it is")
    delete.add_argument("keys", metavar="KEY", nargs="+")
    add_cluster_commands(command, add_asking)
    add_certs(command("certs", run_certs, "make certificates for development, by which nodes know each other"))
    _add_demo(command("demo", _run_demo, "show in about 15 seconds that a cluster survives the death of its leader"))
    return parser


def add_asking(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that asks nodes."""
    add = parser.add_argument
    add(
        "--nodes",
        required=True,
        type=addresses,
        metavar="HOST:PORT,...",
        help="where the nodes serve clients; they are asked in turn while that is safe",
    )
    add_access(parser)
    add("--timeout", type=seconds, default=10.0, metavar="SECONDS", help="how long to try (10)")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nodes", type=int, default=3, metavar="N", help="how many nodes: 3, 5 or 7 (3)")
    add("--seconds", type=seconds, default=7.5, metavar="S", help="how long to write (7.5)")
    add("--dir", metavar="DIR", help="keep the data and the logs here; it must be empty, or not there")
    add("--backend", default="asyncio", choices=BACKENDS, help="the event loop of the nodes (asyncio)")


def _run_command(options: argparse.Namespace) -> int:
    from rafty_transports.commands import run

    options.access = access_of(options)
    return run(options)


def _run_demo(options: argparse.Namespace) -> int:
    from rafty_transports.demo import run

    if options.nodes not in (3, 5, 7):
        raise WrongInput(f"--nodes {options.nodes} shows nothing: a majority must survive one node; give 3, 5 or 7")
    if not 3 <= options.seconds <= 600:
        raise WrongInput(f"--seconds {options.seconds:g} is not between 3 and 600; give a time in which much happens")
    return run(options.nodes, options.seconds, options.dir, options.backend)
