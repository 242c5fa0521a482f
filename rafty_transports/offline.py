"""What is done to data directories while no node runs: restore, recover, and beginning anew.

Law: *nothing is deleted: what was there is kept beside what is made of it, and the person is told where.*
"""

from dataclasses import replace
from pathlib import Path

from rafty_core.configuration import Configuration, Member
from rafty_transports.exits import DONE, WrongInput
from rafty_transports.storage import StoreError
from rafty_transports.storage.datadir import DataDirectory
from rafty_transports.storage.rebirth import (
    Report,
    create_from_snapshot,
    inspect,
    looked_at,
    open_snapshot_file,
    survivor_of,
)
from rafty_transports.storage.rebirth import recover as recover_directory

SET_ASIDE = ".before-restored"
"""Ends the name under which the data directory of a node is kept that begins anew."""


def restore(file: str, data: str, node_id: str, address: str, name: str) -> int:
    """`rafty restore`: a new cluster of one node, whose state is that of this backup."""
    members = Configuration(voters=(Member(node_id, address),))
    try:
        with open_snapshot_file(file) as (found, image):
            snapshot = replace(found.info.snapshot, configuration=members)
            identity = create_from_snapshot(data, node_id=node_id, cluster=name, snapshot=snapshot, image=image)
    except OSError as error:
        raise WrongInput(f"{file} cannot be read: {error.strerror or error}; give a file of `rafty backup`") from None
    except (StoreError, ValueError) as error:
        raise WrongInput(str(error)) from None
    taken = found.info.snapshot
    print(f"{data} is node {node_id} of the new cluster {identity.cluster_id}")
    print(f"it holds what cluster {found.cluster_id} had at index {taken.index}, term {taken.term}")
    print(f"next: {_serve(node_id, data, address, name)}; then add the others with `rafty add`")
    return DONE


def recover(data: str, sure: bool) -> int:
    """`rafty recover`: show what a survivor has and what may be lost; if `sure`, make a new cluster of it."""
    report = _inspected(data)
    if report.identity is None:
        raise WrongInput(report.damage)
    for line in described(report):
        print(line)
    if not sure:
        print("nothing was changed; give --yes to go on with this node alone")
        return DONE
    try:
        identity = recover_directory(data)
    except (StoreError, ValueError) as error:
        raise WrongInput(str(error)) from None
    itself = report.configuration.member(identity.node_id)
    address = itself.address if itself is not None and itself.address else "HOST:PORT"
    name = identity.cluster_id.rpartition(".")[0]
    kept = DataDirectory(Path(data)).kept
    print(
        f"{data} is node {identity.node_id} of the new cluster {identity.cluster_id}; what was there is kept as {kept}"
    )
    print("members of the old cluster are refused from now on; give them empty data directories and --join")
    print(f"next: {_serve(identity.node_id, data, address, name)}; then add others with `rafty add`")
    return DONE


def described(report: Report) -> list[str]:
    """What a survivor has, and what may be lost by going on with it alone, in sentences."""
    identity = report.identity
    if identity is None:
        return [report.damage]
    others = [member for member in report.configuration.members if member.id != identity.node_id]
    named = ", ".join(f"{member.id} ({member.address})" if member.address else member.id for member in others)
    snapshot = f"behind a snapshot of index {report.snapshot.index}" if report.snapshot.index else "without a snapshot"
    return [
        f"{report.path} is node {identity.node_id} of cluster {identity.cluster_id}, in term {report.term}",
        f"its log ends at index {report.last_index}, term {report.last_term}, {snapshot}",
        f"given up for lost: {named or 'nobody, it is the only member'}",
        f"what may be lost: everything behind index {report.last_index} that the others acknowledged without this node",
        "what may come: the end of this log counts from now on, though it may never have been acknowledged",
        "if another survivor has a higher last term, or the same and a higher last index, recover that one instead",
    ]


def begin_anew(data: str, node_id: str, join: str | None) -> tuple[str, Path]:
    """Put the data directory of this node aside; return the id of its cluster, and where it is kept.

    `join` is the cluster's id if it was given: it is needed where the directory cannot be read any more.
    """
    path = Path(data)
    kept = path.with_name(path.name + SET_ASIDE)
    try:
        with looked_at(path) as report:  # nobody begins to use it before it is moved (R199)
            cluster_id = _cluster_of(report, node_id, join)
            directory = DataDirectory(path)
            if directory.has_both():  # what is made next would be taken for a recovery that has broken off
                raise WrongInput(f"{directory.recovered} is there from a recovery; move it elsewhere first")
            if kept.exists():
                raise WrongInput(
                    f"{kept} is there from an earlier start with --restored; start without that, or move it elsewhere "
                    "first"
                )
            _put_aside(path, kept)
    except StoreError as error:
        raise WrongInput(str(error)) from None
    return cluster_id, kept


def _put_aside(path: Path, kept: Path) -> None:
    try:
        path.rename(kept)
    except OSError as error:
        raise WrongInput(f"{path} cannot be put aside: {error.strerror or error}; move it elsewhere yourself") from None


def _cluster_of(report: Report, node_id: str, join: str | None) -> str:
    identity = report.identity
    cluster_id = join or (identity.cluster_id if identity is not None else "")
    if not cluster_id:
        raise WrongInput(
            f"{report.path} is damaged and does not tell its cluster; give --join with the id that `rafty members` "
            "prints"
        )
    if identity is not None and (identity.node_id, identity.cluster_id) != (node_id, cluster_id):
        raise WrongInput(
            f"{report.path} belongs to node {identity.node_id} of cluster {identity.cluster_id}, not to {node_id} of "
            f"{cluster_id}; give the data directory that is meant"
        )
    return cluster_id


def _inspected(data: str | Path) -> Report:
    """What lies there, or under the name that a recovery which has broken off has given it."""
    try:
        return inspect(survivor_of(data))
    except StoreError as error:
        raise WrongInput(str(error)) from None


def _serve(node_id: str, data: str, address: str, name: str) -> str:
    named = "" if name == "rafty" else f" --name {name}"
    return f"`rafty serve --id {node_id} --data {data} --listen {address} --client HOST:PORT{named}`"
