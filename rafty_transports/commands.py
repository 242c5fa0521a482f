"""`rafty status`, `get`, `put` and `del`: asking nodes that run.

Law: *a write goes to a second node only if it is certain that the first did not take it.*

Nobody took it where no connection could be made, and where a node says so (NOTLEADER and its like). Where the
connection broke or the time was over after the request had left, or the node says UNKNOWN, the command ends with the
exit code for that and tries nothing else. A read may be repeated, and is.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial

import anyio

from rafty_transports import kv
from rafty_transports.access import OPEN, Access
from rafty_transports.client import Client, HungUp, Reply, ReplyError, Unreachable, ask_info
from rafty_transports.exits import ABSENT, DONE, FAILED, UNKNOWN, CommandFailed, WrongInput
from rafty_transports.passwords import ADMIN

NOT_APPLIED = frozenset(("NOTLEADER", "OVERLOADED", "STOPPED", "SUPERSEDED", "NOTAPPLIED"))
"""Codes of errors after which another node may be asked: the command was not applied and never will be."""

TOO_MANY_CLIENTS = "ERR max number of clients reached"

STATUS_SECONDS = 3.0
"""How long one node may take to tell its status."""


def run(options: argparse.Namespace) -> int:
    """Run the command that `options.command` names; return its exit code. Raises `CommandFailed`."""
    command = {"status": _status, "get": _get, "put": _put, "del": _del}[options.command]
    return anyio.run(partial(command, options))


async def _get(options: argparse.Namespace) -> int:
    reply = await ask_in_turn(options, [b"GET", _key(options.key)], reads=True)
    if reply is None:
        print(f"rafty: there is no key {options.key!r}", file=sys.stderr)
        return ABSENT
    sys.stdout.buffer.write(_text(reply) + b"\n")
    return DONE


async def _put(options: argparse.Namespace) -> int:
    value = sys.stdin.buffer.read(kv.VALUE_LIMIT + 1) if options.value == "-" else _bytes(options.value)
    if len(value) > kv.VALUE_LIMIT:
        raise WrongInput(f"the value is larger than the limit of {kv.VALUE_LIMIT} bytes; store it in smaller pieces")
    await ask_in_turn(options, [b"SET", _key(options.key), value], reads=False)
    print("OK")
    return DONE


async def _del(options: argparse.Namespace) -> int:
    reply = await ask_in_turn(options, [b"DEL", *map(_key, options.keys)], reads=False)
    sys.stdout.buffer.write(_text(reply) + b"\n")
    return DONE


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _key(text: str) -> bytes:
    key = _bytes(text)
    if len(key) > kv.KEY_LIMIT:
        raise WrongInput(f"a key of {len(key)} bytes is larger than the limit of {kv.KEY_LIMIT} bytes; choose another")
    return key


def _text(reply: Reply) -> bytes:
    return reply if isinstance(reply, bytes) else str(reply).encode()


async def ask_in_turn(options: argparse.Namespace, request: Sequence[bytes], *, reads: bool) -> Reply:
    """The reply of the first of `options.nodes` that carries the request out; see the law above.

    Raises `CommandFailed` with the code FAILED, WRONG_INPUT or UNKNOWN.
    """
    deadline = anyio.current_time() + options.timeout
    reasons: list[str] = []
    for address in options.nodes:
        left = deadline - anyio.current_time()
        if left <= 0:
            reasons.append(f"{address} was not asked any more")
            continue
        try:
            async with await Client.connect(address, access=options.access, timeout=min(left, 2.0)) as client:
                reply = await _ask_one(client, request, deadline)
        except Unreachable as error:
            reasons.append(str(error))
            continue
        except ReplyError as error:
            raise refused(address, error, options.access) from None
        except (HungUp, TimeoutError) as error:
            text = str(error) or f"{address} did not answer within {options.timeout:g} s"
            if not reads:
                raise _unknown(text) from None
            reasons.append(text)
            continue
        if not isinstance(reply, ReplyError):
            return reply
        if reply.code == "UNKNOWN" and not reads:
            raise _unknown(f"{address}: {str(reply).removeprefix('UNKNOWN ')}")
        if reply.code not in NOT_APPLIED and reply.code != "UNKNOWN" and str(reply) != TOO_MANY_CLIENTS:
            raise refused(address, reply, options.access)
        reasons.append(f"{address}: {str(reply).partition(' ')[2]}")
    what = "nobody could answer" if reads else "nothing was changed"
    raise CommandFailed(f"{what}: {'; '.join(reasons)}", FAILED)


async def _ask_one(client: Client, request: Sequence[bytes], deadline: float) -> Reply:
    with anyio.fail_after(deadline - anyio.current_time()):
        return (await client.ask(request))[0]


class NotPermitted(WrongInput):
    """The node does not do this for whoever asks: without the right password, user or address."""


def refused(address: str, error: ReplyError, access: Access = OPEN) -> WrongInput:
    """What a person is told whom this node refuses; `access` is what was shown to it."""
    words = why_refused(error, access)
    kind = NotPermitted if error.code in ("NOAUTH", "WRONGPASS", "NOPERM", "DENIED") else WrongInput
    return kind(f"{address} refuses: {words}")


def why_refused(error: ReplyError, access: Access) -> str:
    """The reason without the code, and what to give in place of `access`."""
    text = str(error).removeprefix("ERR ")
    if error.code in ("NOAUTH", "WRONGPASS"):
        variable = "RAFTY_ADMIN_PASSWORD" if access.user == ADMIN else "RAFTY_PASSWORD"
        reason = text.partition(" ")[2].rstrip(".")
        return f"{reason[:1].lower()}{reason[1:]}; give the right {variable}"
    if error.code == "NOPERM":
        return "this command is for the user admin; give RAFTY_ADMIN_PASSWORD"
    return text.partition(" ")[2] if error.code == "DENIED" else text


def _unknown(text: str) -> CommandFailed:
    return CommandFailed(f"the outcome is unknown, look before you repeat the command: {text}", UNKNOWN)


async def _status(options: argparse.Namespace) -> int:
    nodes: list[str] = options.nodes
    answers: dict[str, dict[str, str] | str] = {}

    async def ask(address: str) -> None:
        timeout = min(options.timeout, STATUS_SECONDS)
        try:
            answers[address] = await ask_info(address, access=options.access, timeout=timeout)
        except ReplyError as error:
            answers[address] = f"refuses: {why_refused(error, options.access)}"
        except (Unreachable, HungUp) as error:
            answers[address] = str(error)
        except TimeoutError:
            answers[address] = f"{address} did not answer within {timeout:g} s"

    async with anyio.create_task_group() as tasks:
        for address in nodes:
            tasks.start_soon(ask, address)
    print(status_table(nodes, answers))
    known = [answer for answer in answers.values() if isinstance(answer, dict)]
    leaders = {answer.get("raft_leader", "none") for answer in known}
    return DONE if len(known) == len(nodes) and len(leaders) == 1 and "none" not in leaders else FAILED


def status_table(nodes: Sequence[str], answers: dict[str, dict[str, str] | str]) -> str:
    """A line for each node, in this order: what it told, or why it told nothing. `refused` counts connections and
    requests of nodes and clients; RAFTY STATUS has them by reason."""
    rows = [["node", "clients at", "role", "term", "leader", "commit", "applied", "lag", "keys", "refused"]]
    troubles: dict[int, str] = {}
    commits = [int(answer.get("raft_commit_index", 0)) for answer in answers.values() if isinstance(answer, dict)]
    for address in nodes:
        answer = answers[address]
        if isinstance(answer, str):
            troubles[len(rows)] = answer.removeprefix(f"{address} ")
            rows.append(["?", address, *[""] * 8])
            continue
        names = ("role", "term", "leader", "commit_index", "applied_index")
        fields = [answer.get(f"raft_{name}", "?") for name in names]
        lag = max(commits) - int(answer.get("raft_applied_index", 0))
        keys = answer.get("db0", "").partition("keys=")[2].partition(",")[0]
        refused = sum(int(count) for name, count in answer.items() if name.startswith("refused."))
        rows.append([answer.get("raft_id", "?"), address, *fields, str(lag), keys, str(refused)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        if number in troubles:
            row = [*row[:2], troubles[number]]
        lines.append("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
    return "\n".join(lines)
