"""How far a change of membership is, for the person who waits for it.

Law: *a line when something moves, at most one a second; silence of the node ends it.*
"""

import sys

import anyio

from rafty_transports.access import Access
from rafty_transports.client import HungUp, ReplyError, Unreachable
from rafty_transports.members_view import Members, ask_members

INTERVAL = 1.0
"""Seconds between two looks."""


async def show_progress(address: str, access: Access, patience: float) -> None:
    """Tell on the standard error how far the change is, until cancelled; return when the node has not answered for
    `patience` seconds."""
    said = ""
    heard = anyio.current_time()
    while anyio.current_time() < heard + patience:
        await anyio.sleep(INTERVAL)
        try:
            found = await ask_members(address, access=access, timeout=min(patience, 3.0))
        except (Unreachable, HungUp, ReplyError, TimeoutError):
            continue
        heard = anyio.current_time()
        text = progress_of(found)
        if text and text != said:
            said = text
            print(text, file=sys.stderr, flush=True)


def progress_of(found: Members) -> str:
    """How far the change is, in one line; empty if there is nothing to tell."""
    if found.change == "joint":
        return f"old and new voters decide together (configuration {found.index})"
    parts = []
    for node_id, facts in found.members.items():
        if facts.get("role") not in ("voter-to-be", "learner"):
            continue
        moving = found.transfers.get(node_id)
        if moving is not None:
            done, size = (int(moving.get(name, "0")) / 1e6 for name in ("done", "size"))
            parts.append(f"{node_id} has fetched {done:.1f} of {size:.1f} MB of a snapshot")
        elif facts.get("role") == "voter-to-be":
            round_ = f", round {facts['catching_up']}" if "catching_up" in facts else ""
            parts.append(f"{node_id} is caught up{round_}: {facts.get('lag', '?')} entries behind")
    return "; ".join(parts)
