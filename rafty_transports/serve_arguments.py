"""What can be given to `rafty serve`, and what does not go together.

Law: *how a node came to its cluster is said once; afterwards its data directory knows it.*

A node is bootstrapped with all others (`--cluster`), or joins a cluster that is there (`--join`), or goes on with the
data directory that it has (neither), as it must after `rafty restore` and `rafty recover`.
"""

import argparse
from collections.abc import Sequence

from rafty_transports.addresses import check_encryption, parse_address
from rafty_transports.argument_types import (
    BACKENDS,
    address,
    admin_password_of,
    is_loopback,
    members,
    node_address,
    node_addresses,
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
        metavar="ID=ADDRESS,...",
        help="all nodes that the cluster is created with, this one among them, and where each is reached by others; "
        "the same ids on every node, and at every start; an address is host:port, ws://host:port or wss://host:port",
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
        "--listen",
        type=node_addresses,
        metavar="ADDRESS,...",
        help="where to listen for other nodes (its address in --cluster)",
    )
    add(
        "--advertise", type=node_address, metavar="ADDRESS", help="where other nodes reach this one, if not at --listen"
    )
    add("--tls-cert", metavar="FILE", help="the certificate of this node, which names its id; with it nothing is plain")
    add("--tls-key", metavar="FILE", help="the private key of that certificate")
    add("--tls-ca", metavar="FILE", help="the authority that signs the certificates of all nodes")
    add("--client-tls", action="store_true", help="serve clients by TLS, too, with the same certificate")
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
    own = cluster.get(options.id)
    listen: list[str] = options.listen or ([own] if own else [])
    if not listen:
        raise WrongInput("without --cluster nobody knows where this node listens for others; give --listen")
    advertise = options.advertise or own or listen[0]
    nodes = [parse_address(where).socket for where in (*listen, advertise, *cluster.values())]
    if options.client in nodes:
        raise WrongInput(f"{options.client} is given for clients and for nodes; give --client a port of its own")
    credentials = _credentials(options)
    _check_encryption([*listen, advertise, *cluster.values()], credentials is not None)
    plain = [] if credentials else [("--listen", where) for where in listen]
    plain += [] if options.client_tls else [("--client", options.client)]
    for what, where in plain:
        if not options.insecure and not is_loopback(where):
            raise WrongInput(
                f"{what} {where} can be reached from other machines, and everything is sent in plain text; give "
                f"{'--client-tls' if what == '--client' else '--tls-cert, --tls-key and --tls-ca'}, listen on a "
                "loopback address, or give --insecure if the network is yours alone"
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
            listen=tuple(listen),
            advertise=advertise,
            credentials=credentials,
            client_tls=options.client_tls,
            name=options.name,
            backend=options.backend,
            password=password,
            admin_password=admin_password,
            protected_mode=options.protected_mode == "yes",
            verbose=options.verbose,
            parent=options.die_with_parent,
        )
    )


def _check_encryption(addresses: Sequence[str], certificate: bool) -> None:
    for where in addresses:
        try:
            check_encryption(parse_address(where, "tls" if certificate else "tcp"), certificate)
        except ValueError as error:
            raise WrongInput(str(error)) from None


def _credentials(options: argparse.Namespace) -> tuple[str, str, str] | None:
    """The files of the node's certificate, its key and the authority; None if none is given."""
    files = (options.tls_cert, options.tls_key, options.tls_ca)
    if all(files):
        return files
    if any(files):
        raise WrongInput("--tls-cert, --tls-key and --tls-ca belong together; give all three, or none")
    if options.client_tls:
        raise WrongInput("--client-tls needs a certificate; give --tls-cert, --tls-key and --tls-ca")
    return None
