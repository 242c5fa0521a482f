"""What can be typed behind `rafty`, and what it means.

Law: *whatever a person gives wrong is answered with one sentence that says what to do, before anything is changed.*

Each command is a module of its own, imported when it is asked for, so that a wrong option is found quickly.
"""

import argparse
import ipaddress
import os
from collections.abc import Callable, Sequence
from typing import NoReturn

from rafty_transports.exits import EXIT_CODES, WrongInput

BACKENDS = ("asyncio", "trio", "uvloop")


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

    _add_serve(command("serve", _run_serve, "run one node of a cluster in this process"))
    status = command("status", _run_command, "show all nodes as a table; exits 0 if all answer and agree on a leader")
    get = command("get", _run_command, "print the value of a key")
    put = command("put", _run_command, "store a value under a key, replicated and durable")
    delete = command("del", _run_command, "delete keys and print how many there were")
    for name, asking in (("status", status), ("get", get), ("put", put), ("del", delete)):
        asking.set_defaults(command=name)
        _add_asking(asking)
    get.add_argument("key", metavar="KEY")
    put.add_argument("key", metavar="KEY")
    put.add_argument("value", metavar="VALUE", help="- reads the value from the standard input, as it is")
    delete.add_argument("keys", metavar="KEY", nargs="+")
    _add_demo(command("demo", _run_demo, "show in about 15 seconds that a cluster survives the death of its leader"))
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--id", required=True, metavar="ID", help="the name of this node, one of those in --cluster")
    add(
        "--cluster",
        required=True,
        type=members,
        metavar="ID=HOST:PORT,...",
        help="all nodes that the cluster is created with, and where each is reached by the others; the ids are the "
        "same on every node and never change, the addresses may",
    )
    add(
        "--data",
        required=True,
        metavar="DIR",
        help="the data directory of this node alone; it is created if it is not there and its parent is",
    )
    add("--client", required=True, type=address, metavar="HOST:PORT", help="where clients of Redis are served")
    add("--listen", type=address, metavar="HOST:PORT", help="where to listen for other nodes, if not at its address")
    add("--name", default="rafty", metavar="CLUSTER", help="the name of the cluster, the same on every node (rafty)")
    add("--backend", default="asyncio", choices=BACKENDS, help="the event loop (asyncio)")
    add("--password", help="what clients must name; better given in the environment as RAFTY_PASSWORD")
    add("--insecure", action="store_true", help="listen on addresses that are not loopback, though in plain text")
    add("--verbose", action="store_true", help="log connections and elections to the standard error")
    add("--die-with-parent", type=int, metavar="PID", help=argparse.SUPPRESS)


def _add_asking(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--nodes",
        required=True,
        type=addresses,
        metavar="HOST:PORT,...",
        help="where the nodes serve clients; they are asked in turn while that is safe",
    )
    add("--password", help="what the nodes ask for; better given in the environment as RAFTY_PASSWORD")
    add("--timeout", type=seconds, default=10.0, metavar="SECONDS", help="how long to try (10)")


def _add_demo(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--nodes", type=int, default=3, metavar="N", help="how many nodes: 3, 5 or 7 (3)")
    add("--seconds", type=seconds, default=7.5, metavar="S", help="how long to write (7.5)")
    add("--dir", metavar="DIR", help="keep the data and the logs here; it must be empty, or not there")
    add("--backend", default="asyncio", choices=BACKENDS, help="the event loop of the nodes (asyncio)")


def _run_serve(options: argparse.Namespace) -> int:
    from rafty_transports.serve import Settings, run

    if options.id not in options.cluster:
        raise WrongInput(f"--id {options.id} is not in --cluster, which names {', '.join(options.cluster)}")
    listen = options.listen or options.cluster[options.id]
    if options.client in (listen, *options.cluster.values()):
        raise WrongInput(f"{options.client} is given for clients and for nodes; give --client a port of its own")
    for what, where in (("--client", options.client), ("--listen", listen)):
        if not options.insecure and not is_loopback(where):
            raise WrongInput(
                f"{what} {where} can be reached from other machines, and everything is sent in plain text; listen on "
                "a loopback address, or give --insecure if the network is yours alone"
            )
    return run(
        Settings(
            node_id=options.id,
            cluster=options.cluster,
            data=options.data,
            client=options.client,
            listen=listen,
            name=options.name,
            backend=options.backend,
            password=password_of(options),
            verbose=options.verbose,
            parent=options.die_with_parent,
        )
    )


def _run_command(options: argparse.Namespace) -> int:
    from rafty_transports.commands import run

    options.password = password_of(options)
    return run(options)


def _run_demo(options: argparse.Namespace) -> int:
    from rafty_transports.demo import run

    if options.nodes not in (3, 5, 7):
        raise WrongInput(f"--nodes {options.nodes} shows nothing: a majority must survive one node; give 3, 5 or 7")
    if not 3 <= options.seconds <= 600:
        raise WrongInput(f"--seconds {options.seconds:g} is not between 3 and 600; give a time in which much happens")
    return run(options.nodes, options.seconds, options.dir, options.backend)


def password_of(options: argparse.Namespace) -> str | None:
    """The password that was typed, or else that of the environment; None if there is neither."""
    password: str | None = options.password
    return password if password is not None else os.environ.get("RAFTY_PASSWORD") or None


def address(text: str) -> str:
    """`text`, if it is host:port. Raises `ArgumentTypeError`, as the others here do."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    right = colon and bare and not set(bare) & set(" ,=[]/@") and port.isascii() and port.isdigit()
    if not right or not 1 <= int(port) <= 65535 or (":" in bare and bare == host):
        raise argparse.ArgumentTypeError(f"{text!r:.100} is no address: give host:port, with a port of 1 to 65535")
    return text


def addresses(text: str) -> list[str]:
    """The addresses in "host:port,host:port", none of them twice."""
    found = [address(part.strip()) for part in text.split(",")]
    for one in found:
        if found.count(one) > 1:
            raise argparse.ArgumentTypeError(f"{one} is named twice; name each node once")
    return found


def members(text: str) -> dict[str, str]:
    """Id -> address of "id=host:port,id=host:port"; no id and no address twice."""
    from rafty_core.configuration import check_node_id

    found: dict[str, str] = {}
    for part in text.split(","):
        node_id, equals, where = part.strip().partition("=")
        if not equals:
            raise argparse.ArgumentTypeError(f"{part!r:.100} is no member: give id=host:port for each node")
        try:
            check_node_id(node_id)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if node_id in found:
            raise argparse.ArgumentTypeError(f"{node_id} is named twice; give each node an id of its own")
        if address(where) in found.values():
            raise argparse.ArgumentTypeError(f"{where} is the address of two nodes; give each one of its own")
        found[node_id] = where
    return found


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
    host = where.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
