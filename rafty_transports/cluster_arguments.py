"""What can be typed to change a cluster that runs, and to save it.

Law: *each command does one thing, and its help says when it is done.*
"""

import argparse
from collections.abc import Callable

from rafty_transports.access import access_of
from rafty_transports.argument_types import log_index, members, node_address, node_id
from rafty_transports.exits import WrongInput

AddCommand = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
"""Adds a command of this name, run by that, with that text of help."""

CHANGES = {
    "add": "add a node that runs with --join; done when it is caught up and votes, or is a learner",
    "remove": "remove nodes for ever; done when the others alone decide",
    "replace": "put a new node, which runs with --join, in the place of another one, in one change",
    "promote": "let a learner vote, once it is caught up",
    "demote": "make a voter a learner",
    "address": "note that a node is reached somewhere else",
}
"""The commands that change who the members are."""


def add_cluster_commands(command: AddCommand, add_asking: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add these commands; `add_asking` adds what all take that ask nodes."""

    def asking(name: str, text: str) -> argparse.ArgumentParser:
        parser = command(name, _run_asking, text)
        parser.set_defaults(command=name)
        add_asking(parser)
        return parser

    asking("members", "show who the members are, and how far each of them is")
    changes = {name: asking(name, text) for name, text in CHANGES.items()}
    for name, parser in changes.items():
        if name == "replace":
            parser.add_argument("old", type=node_id, metavar="OLD", help="the id of the node that goes")
            parser.add_argument("new", type=node_id, metavar="NEW", help="the id of the node that comes")
        elif name == "remove":
            parser.add_argument("ids", type=node_id, metavar="ID", nargs="+")
        else:
            parser.add_argument("id", type=node_id, metavar="ID")
        if name in ("add", "replace", "address"):
            parser.add_argument("address", type=node_address, metavar="ADDRESS", help="where other nodes reach it")
        _add_change(parser)
    changes["add"].add_argument("--learner", action="store_true", help="it receives everything and never votes")
    transfer = asking("transfer", "hand leadership over; done when the other node leads")
    transfer.add_argument("id", type=node_id, metavar="ID", nargs="?", help="to whom (whoever is most up to date)")
    asking("snapshot", "take a snapshot at each node that is named, and so shorten its log")
    backup = asking("backup", "fetch a snapshot of everything that is acknowledged now into a file")
    backup.add_argument("file", metavar="FILE", help="it must not be there")
    backup.add_argument("--stale", action="store_true", help="take what the node has, though it has no leader")
    _add_offline(command)


def _add_change(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--based-on",
        type=log_index,
        metavar="INDEX",
        help="change nothing unless the configuration of this index, as `rafty members` tells it, is in force",
    )
    add("--force", action="store_true", help="though too few voters are heard now")


def _add_offline(command: AddCommand) -> None:
    restore = command(
        "restore", _run_offline, "make the data directory of a new cluster of one node out of a backup; no node runs"
    )
    restore.set_defaults(command="restore")
    restore.add_argument("file", metavar="FILE", help="what `rafty backup` wrote")
    restore.add_argument("--data", required=True, metavar="DIR", help="the data directory; nothing may be there")
    restore.add_argument("--id", required=True, type=node_id, metavar="ID", help="the name of the first node")
    restore.add_argument(
        "--cluster", required=True, type=members, metavar="ID=HOST:PORT", help="where that node is reached by others"
    )
    restore.add_argument("--name", default="rafty", metavar="CLUSTER", help="the name of the new cluster (rafty)")
    recover = command(
        "recover", _run_offline, "go on with one survivor when the majority is lost for ever; without --yes only look"
    )
    recover.set_defaults(command="recover")
    recover.add_argument("--data", required=True, metavar="DIR", help="the data directory of the survivor")
    recover.add_argument("--yes", action="store_true", help="do it; what the survivor does not have is lost")


def _run_asking(options: argparse.Namespace) -> int:
    options.access = access_of(options, administers=options.command != "members")
    if options.command == "backup":
        from rafty_transports.backup import run as run_backup

        return run_backup(options)
    from rafty_transports.cluster_commands import run

    return run(options)


def _run_offline(options: argparse.Namespace) -> int:
    from rafty_transports import offline

    if options.command == "recover":
        return offline.recover(options.data, options.yes)
    if list(options.cluster) != [options.id]:
        raise WrongInput(
            f"a backup is restored into a cluster of one: give --cluster with {options.id} alone, then start it and "
            "add the others with `rafty add`"
        )
    return offline.restore(options.file, options.data, options.id, options.cluster[options.id], options.name)
