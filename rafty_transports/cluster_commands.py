"""`rafty members`, `add`, `remove`, `replace`, `promote`, `demote`, `address`, `transfer` and `snapshot`.

Law: *a change ends with what became of it: done, or not done and why; only if nobody can tell, it is unknown.*

A node that does not lead says so, and nothing has happened: the next one is asked. Where the leader falls while the
change is under way, its successor goes on with it or undoes it, and the members tell which.
"""

import argparse
import sys
from collections.abc import Awaitable, Callable
from functools import partial

import anyio

from rafty_transports.access import Access
from rafty_transports.client import Client, HungUp, Reply, ReplyError, Unreachable
from rafty_transports.commands import NotPermitted, ask_in_turn, refused
from rafty_transports.exits import DONE, FAILED, UNKNOWN, CommandFailed, WrongInput
from rafty_transports.members_view import Members, ask_members, table
from rafty_transports.progress_view import show_progress

SAFE = frozenset(("NOTLEADER", "STOPPED", "SUPERSEDED"))
"""Codes of errors after which another node may be asked, or the same one again: nothing was changed."""

SOON = frozenset(("not_ready", "transfer"))
"""Reasons of a refusal that pass by themselves."""

FAILURES = frozenset(("in_progress", "unreachable", "undone", *SOON))
"""Reasons of a refusal that are no fault of the request."""

PAUSE = 0.2
"""Seconds before the nodes are asked again."""


def run(options: argparse.Namespace) -> int:
    """Run the command that `options.command` names; return its exit code. Raises `CommandFailed`."""
    special = {"members": _members, "transfer": _transfer, "snapshot": _snapshot}
    command: Callable[[argparse.Namespace], Awaitable[int]] = special.get(options.command, _change)
    return anyio.run(partial(command, options))


async def _members(options: argparse.Namespace) -> int:
    """Print what the leader tells; if nobody leads, what anybody tells."""
    best: Members | None = None
    reasons = []
    for address in options.nodes:
        try:
            found = await ask_members(address, access=options.access, timeout=min(options.timeout, 3.0))
        except ReplyError as error:
            raise refused(address, error, options.access) from None
        except (Unreachable, HungUp) as error:
            reasons.append(str(error))
            continue
        except TimeoutError:
            reasons.append(f"{address} did not answer in time")
            continue
        if best is None or found.leads:
            best = found
        if found.leads:
            break
    if best is None:
        raise CommandFailed(f"nobody could answer: {'; '.join(reasons)}")
    print(table(best))
    return DONE if best.leads else FAILED


# ---------------------------------------------------------------------- changes


def request_of(options: argparse.Namespace) -> list[bytes]:
    """The request that carries this command out."""
    words = ["RAFTY", "MEMBER", options.command.upper()]
    if options.command == "remove":
        words += options.ids
    elif options.command == "replace":
        words += [options.old, options.new, options.address]
    else:
        words.append(options.id)
        words += [options.address] if options.command in ("add", "address") else []
    words += ["LEARNER"] if options.command == "add" and options.learner else []
    words += ["INDEX", str(options.based_on)] if options.based_on else []
    words += ["FORCE"] if options.force else []
    return [word.encode() for word in words]


def is_done(options: argparse.Namespace, members: Members) -> bool:
    """Whether the members are as the command wants them."""
    if options.command == "remove":
        return all(node_id not in members.members for node_id in options.ids)
    if options.command == "replace":
        return options.old not in members.members and options.new in members.members
    member = members.members.get(options.id)
    if member is None:
        return False
    if options.command == "address":
        return member.get("address") == str(options.address)
    learner = options.command == "demote" or (options.command == "add" and options.learner)
    return member.get("role") == ("learner" if learner else "voter")


async def _change(options: argparse.Namespace) -> int:
    try:
        await _until_taken(options, request_of(options), partial(_ask_with_progress, options))
    except _InDoubt as doubt:
        await _look_what_became(options, doubt)
    print("OK")
    return DONE


class _InDoubt(Exception):
    """A request was sent, and no answer came that says what became of it.

    `asked` is the address of a node that may have it still, and begin only later what it asks for; "" if there is none.
    """

    def __init__(self, text: str, asked: str = "") -> None:
        super().__init__(text)
        self.asked = asked


async def _until_taken(
    options: argparse.Namespace, request: list[bytes], ask: Callable[[Client, list[bytes]], Awaitable[Reply]]
) -> Reply:
    """The reply of the leader, whichever node that is. Raises `CommandFailed`, and `_InDoubt`."""
    deadline = anyio.current_time() + options.timeout
    reasons: dict[str, str] = {}
    while True:
        asked_none_that_leads = True
        for address in options.nodes:
            try:
                async with await Client.connect(address, access=options.access, timeout=2.0) as client:
                    reply = await ask(client, request)
            except Unreachable as error:
                reasons[address] = str(error)
                asked_none_that_leads = False
                continue
            except ReplyError as error:
                raise refused(address, error, options.access) from None
            except (HungUp, TimeoutError) as error:
                raise _InDoubt(str(error) or f"{address} did not answer", address) from None
            if not isinstance(reply, ReplyError):
                return reply
            if reply.code == "UNKNOWN":
                raise _InDoubt(f"{address}: {str(reply).removeprefix('UNKNOWN ')}")
            asked_none_that_leads &= reply.code == "NOTLEADER"
            reasons[address] = f"{address}: {_reason_to_go_on(address, reply, options.access)}"
        if anyio.current_time() >= deadline:
            advice = "; the leader must be among --nodes" if asked_none_that_leads else ""
            raise CommandFailed(f"nothing was changed: {'; '.join(reasons.values())}{advice}")
        await anyio.sleep(PAUSE)


def _reason_to_go_on(address: str, error: ReplyError, access: Access) -> str:
    """Why this node did not do it, if the next one may be asked. Raises `CommandFailed` if that makes no sense."""
    text = str(error).partition(" ")[2]
    if error.code == "REFUSED":
        reason, _, text = text.partition(" ")
        if reason not in SOON:
            raise CommandFailed(f"nothing was changed: {text}") if reason in FAILURES else WrongInput(text)
    elif error.code == "TRANSFERFAILED":
        raise CommandFailed(text)
    elif error.code not in SAFE:
        raise refused(address, error, access)
    return text


async def _ask_with_progress(options: argparse.Namespace, client: Client, request: list[bytes]) -> Reply:
    """The reply; meanwhile how far the change is goes to the standard error.

    Raises `TimeoutError` if the node says nothing at all for as long as the caller wants to wait.
    """
    reply: list[Reply] = []
    async with anyio.create_task_group() as tasks:

        async def ask() -> None:
            try:
                reply.extend(await client.ask(request))
            except HungUp as error:
                lost.append(error)
            tasks.cancel_scope.cancel()

        async def show() -> None:
            await show_progress(client.address, options.access, options.timeout)
            tasks.cancel_scope.cancel()

        lost: list[HungUp] = []
        tasks.start_soon(ask)
        tasks.start_soon(show)
    if lost:
        raise lost[0]
    if not reply:
        raise TimeoutError(f"{client.address} has not answered for {options.timeout:g} s")
    return reply[0]


async def _look_what_became(options: argparse.Namespace, doubt: _InDoubt) -> None:
    """Return if the change was done; raise `CommandFailed` if it was not, or if nobody can tell in time.

    That it was not is told by another leader than the one that was asked, which may be about to begin (R221).
    """
    print(f"{doubt}; looking what became of the change", file=sys.stderr, flush=True)
    deadline = anyio.current_time() + options.timeout
    while anyio.current_time() < deadline:
        for address in options.nodes:
            try:
                # A read behind which the leader's commit index is right, whatever it was a moment ago.
                async with await Client.connect(address, access=options.access) as client:
                    with anyio.fail_after(3.0):
                        confirmed = (await client.ask([b"DBSIZE"]))[0]
                found = await ask_members(address, access=options.access, timeout=3.0)
            except (Unreachable, HungUp, ReplyError, TimeoutError):
                continue
            if found.leads and found.at_rest and not isinstance(confirmed, ReplyError):
                if is_done(options, found):
                    return
                if address != doubt.asked:
                    raise CommandFailed("nothing was changed: the change was undone, or never began")
        await anyio.sleep(PAUSE)
    raise CommandFailed(
        f"the outcome is unknown, look at `rafty members` before you repeat the command: {doubt}", UNKNOWN
    )


# ------------------------------------------------------- transfer and snapshots


async def _transfer(options: argparse.Namespace) -> int:
    request = [b"RAFTY", b"TRANSFER", *([options.id.encode()] if options.id else [])]

    async def ask(client: Client, words: list[bytes]) -> Reply:
        with anyio.fail_after(options.timeout):
            return (await client.ask(words))[0]

    try:
        reply = await _until_taken(options, request, ask)
    except _InDoubt as doubt:
        raise CommandFailed(f"the outcome is unknown, look at `rafty status`: {doubt}", UNKNOWN) from None
    print(f"{reply.decode()} leads" if isinstance(reply, bytes) and reply else "leadership was handed over")
    return DONE


async def _snapshot(options: argparse.Namespace) -> int:
    """One after the other, so that the cluster never has to do without several of them."""
    failures = []
    done = False
    nodes: list[str] = options.nodes
    for address in nodes:
        options.nodes = [address]
        try:
            reply = await ask_in_turn(options, [b"RAFTY", b"SNAPSHOT"], reads=True)
        except CommandFailed as failure:
            if isinstance(failure, NotPermitted) and not done:
                raise  # what was shown to this node is wrong for the others, too; and nothing was changed
            failures.append(str(failure).removeprefix("nobody could answer: "))
            continue
        done = True
        text = reply.decode() if isinstance(reply, bytes) else str(reply)
        facts = dict(line.split(":", 1) for line in text.splitlines())
        print(f"{address} has a snapshot of index {facts.get('index')}, {facts.get('size')} bytes")
    if failures:
        raise CommandFailed("; ".join(failures))
    return DONE
