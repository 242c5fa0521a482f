"""Openings that must be refused: of somebody else's data directory, or of one that is in use.

Law: *a data directory belongs to one node of one cluster, bootstrapped in one way, and to one process at a time*; who
is refused has changed nothing (faults F115, F117, F146).
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rafty_core.configuration import Configuration
from rafty_core.history import InvariantViolation
from rafty_transports.interfaces import Identity
from rafty_transports.storage import SqliteStore, StoreError, WrongDataDirectory

Wrong = tuple[str, dict[str, Any]]


def wrong_openings(own: Identity, initial: Configuration | None) -> Iterator[Wrong]:
    """What somebody may take this data directory for who is wrong."""
    itself, other = {"node_id": own.node_id}, f"{own.node_id}9"
    name, _, digest = own.cluster_id.rpartition(".")
    yield "as another node", {"node_id": other}
    yield "as another node", {"node_id": other, "initial": Configuration.of("n1", "n2", other)}
    yield "as a node of another cluster", {**itself, "cluster": "other"}
    yield "as a node that joined another cluster", {**itself, "join": f"{name}.{digest[::-1]}0"}
    ids = () if initial is None else initial.voter_ids
    yield "as one of more voters", {**itself, "initial": Configuration.of(*ids, "n99")}
    yield "as one of other voters", {**itself, "initial": Configuration.of("n98", *ids[1:])}
    if len(ids) > 1:
        yield "as one of fewer voters", {**itself, "initial": Configuration.of(*ids[1:])}


def check_refused(draw: random.Random, path: Path, own: Identity, initial: Configuration | None) -> None:
    """Raise `InvariantViolation` unless this store, which is whole, refuses somebody for whom it is not."""
    what, wanted = draw.choice(list(wrong_openings(own, initial)))
    try:
        SqliteStore.open(path, **wanted)
    except WrongDataDirectory:
        return
    except (StoreError, ValueError) as error:
        raise InvariantViolation("I20", f"a data directory is not known for what it was: {error}") from error
    raise InvariantViolation("I21", f"a data directory is opened {what}")
