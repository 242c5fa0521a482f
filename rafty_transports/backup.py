"""`rafty backup`: a snapshot of a running cluster, fetched into a file.

Law: *what bears the name of the file is whole and verified, and durable once this says so; nothing is overwritten.*

The node takes a snapshot of what is acknowledged now, and hands it out in pieces. What arrives is what lies on its
disk: it proves itself (see `storage.snapshot_format`), and `rafty restore` begins a new cluster with it.
"""

import argparse
from pathlib import Path
from typing import BinaryIO

import anyio

from rafty_transports.client import Client, HungUp, ReplyError, Unreachable
from rafty_transports.commands import refused
from rafty_transports.exits import DONE, CommandFailed, WrongInput
from rafty_transports.storage import StoreError
from rafty_transports.storage.datadir import is_taken, sync_directory, written_anew
from rafty_transports.storage.rebirth import check_snapshot_file

TAKING_SECONDS = 600.0
"""How long a node may write its snapshot: a large state takes long."""


def run(options: argparse.Namespace) -> int:
    """Fetch a backup; return the exit code. Raises `CommandFailed`."""
    target = Path(options.file)
    try:
        sync_directory(target.parent)  # what is there may be of a command that was killed before it was durable (R183)
    except OSError as error:
        raise WrongInput(
            f"{target} cannot be written durably: {target.parent} cannot be read and synced "
            f"({error.strerror or error}); see to it, or give another directory"
        ) from None
    if is_taken(target):
        raise WrongInput(f"{target} is there already, and a backup overwrites nothing; give another name")
    try:
        with written_anew(target) as temporary:
            with temporary.open("wb") as file:
                anyio.run(_fetch_from_any, options, file)
            info = check_snapshot_file(temporary).info
    except FileExistsError as error:
        raise WrongInput(str(error)) from None
    except OSError as error:
        raise WrongInput(
            f"{target} cannot be written: {error.strerror or error}; see to it, or give another name"
        ) from None
    except StoreError as error:
        raise CommandFailed(f"what arrived is no backup: {error}") from None
    print(
        f"{target} holds what was applied at index {info.snapshot.index}, term {info.snapshot.term}: {info.size} bytes"
    )
    return DONE


async def _fetch_from_any(options: argparse.Namespace, file: BinaryIO) -> None:
    reasons = []
    for address in options.nodes:
        file.seek(0)
        file.truncate()
        try:
            async with await Client.connect(address, access=options.access, timeout=2.0) as client:
                await _fetch(options, client, file)
                return
        except ReplyError as error:
            if error.code not in ("NOTLEADER", "STOPPED", "OVERLOADED", "ERR"):
                raise refused(address, error, options.access) from None
            reasons.append(f"{address}: {str(error).partition(' ')[2]}")
        except (Unreachable, HungUp) as error:
            reasons.append(str(error))
        except TimeoutError:
            reasons.append(f"{address} did not answer in time")
    raise CommandFailed(f"there is no backup: {'; '.join(reasons)}")


async def _fetch(options: argparse.Namespace, client: Client, file: BinaryIO) -> None:
    """Write the whole snapshot to the file. Raises what `Client` raises, and `ReplyError` for a refusal."""
    if options.stale:
        await _ask(client, [b"RAFTY", b"READ", b"STALE"], options.timeout)
    text = await _ask(client, [b"RAFTY", b"BACKUP"], max(options.timeout, TAKING_SECONDS))
    facts = dict(line.partition(":")[::2] for line in text.decode("ascii", "replace").splitlines())
    size = int(facts.get("size", "0"))
    name = [facts.get(part, "").encode() for part in ("index", "term")]
    while file.tell() < size:
        piece = await _ask(client, [b"RAFTY", b"BACKUP", b"READ", *name, b"%d" % file.tell()], options.timeout)
        if not piece:
            raise HungUp(f"{client.address} has less of the snapshot than it said")
        file.write(piece)


async def _ask(client: Client, request: list[bytes], timeout: float) -> bytes:
    with anyio.fail_after(timeout):
        reply = (await client.ask(request))[0]
    if isinstance(reply, ReplyError):
        raise reply
    if not isinstance(reply, bytes):
        raise HungUp(f"{client.address} answered what is no text")
    return reply
