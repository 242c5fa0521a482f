"""What can be given to `rafty serve`, and what does not go together.

Law: *how a node came to its cluster is said once; afterwards its data directory knows it.*

A node is bootstrapped with all others (`--cluster`), or joins a cluster that is there (`--join`), or goes on with the
data directory that it has (neither), as it must after `rafty restore` and `rafty recover`.
"""

import argparse

from rafty_transports.argument_types import (
    BACKENDS,
    address,
    admin_password_of,
    is_loopback,
    members,
    node_id,
    password_file,
    password_of,
)
from rafty_transports.exits import WrongInput
from rafty_transports.passwords import Passwords


def add_serve(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rafty serve`."""
    add = parser.add_argument
    add("--id", required=True, type=node_id, metavar="ID", help="the name of this node; it never changes")
    add(
        "--cluster",
        type=members,
        metavar="ID=HOST:PORT,...",
        help="all nodes that the cluster is created with, this one among them, and where each is reached by others; "
        "the same ids on every node, and at every start",
    )
    add(
        "--join",
        metavar="CLUSTER_ID",
        help="in place of --cluster: join the cluster of this id, as `rafty members` prints it; `rafty add` is next",
    )
    add(
        "--data",
        required=True,
        metavar="DIR",
        help="the data directory of this node alone; with --cluster or --join it is created if it is not there and its "
        "parent is",
    )
    add("--client", required=True, type=address, metavar="HOST:PORT", help="where clients of Redis are served")
    add(
        "--listen", type=address, metavar="HOST:PORT", help="where to listen for other nodes (its address in --cluster)"
    )
    add("--advertise", type=address, metavar="HOST:PORT", help="where other nodes reach this one, if not at --listen")
    add("--name", default="rafty", metavar="CLUSTER", help="the name of the cluster, the same on every node (rafty)")
    add("--backend", default="asyncio", choices=BACKENDS, help="the event loop (asyncio)")
    add("--password", help="what clients must name; better given in the environment as RAFTY_PASSWORD")
    add("--password-file", type=password_file, metavar="FILE", help="the file whose first line is the password")
    add(
        "--admin-password-file",
        type=password_file,
        metavar="FILE",
        help="the file whose first line is the password of the user admin, who alone then may change the cluster or "
        "back it up (RAFTY_ADMIN_PASSWORD)",
    )
    add(
        "--protected-mode",
        choices=("yes", "no"),
        default="yes",
        help="without a password, serve clients on this machine alone (yes)",
    )
    add("--insecure", action="store_true", help="listen on addresses that are not loopback, though in plain text")
    add(
        "--restored",
        action="store_true",
        help="the data directory is an older copy of what this node had: keep it aside, and begin anew as a node that "
        "joins the same cluster, to be removed and added again",
    )
    add("--verbose", action="store_true", help="log connections and elections to the standard error")
    add("--die-with-parent", type=int, metavar="PID", help=argparse.SUPPRESS)


def run_serve(options: argparse.Namespace) -> int:
    """Run `rafty serve` with these options. Raises `CommandFailed`."""
    from rafty_transports.serve import Settings, run

    cluster: dict[str, str] = options.cluster or {}
    if options.cluster and options.join:
        raise WrongInput("--cluster creates a cluster and --join goes to one that is there; give one of them")
    if cluster and options.id not in cluster:
        raise WrongInput(f"--id {options.id} is not in --cluster, which names {', '.join(cluster)}")
    if cluster and options.restored:
        raise WrongInput("--restored begins anew as a node that joins; give it without --cluster, and with --listen")
    listen = options.listen or cluster.get(options.id)
    if listen is None:
        raise WrongInput("without --cluster nobody knows where this node listens for others; give --listen")
    advertise = options.advertise or cluster.get(options.id) or listen
    if options.client in (listen, advertise, *cluster.values()):
        raise WrongInput(f"{options.client} is given for clients and for nodes; give --client a port of its own")
    for what, where in (("--client", options.client), ("--listen", listen)):
        if not options.insecure and not is_loopback(where):
            raise WrongInput(
                f"{what} {where} can be reached from other machines, and everything is sent in plain text; listen on "
                "a loopback address, or give --insecure if the network is yours alone"
            )
    password, admin_password = password_of(options), admin_password_of(options.admin_password_file)
    try:
        Passwords(password, admin_password)
    except ValueError as error:
        raise WrongInput(str(error)) from None
    return run(
        Settings(
            node_id=options.id,
            cluster=cluster,
            join=options.join,
            restored=options.restored,
            data=options.data,
            client=options.client,
            listen=listen,
            advertise=advertise,
            name=options.name,
            backend=options.backend,
            password=password,
            admin_password=admin_password,
            protected_mode=options.protected_mode == "yes",
            verbose=options.verbose,
            parent=options.die_with_parent,
        )
    )
