"""What a client of the key-value service may ask of the store, command by command; no IO.

Law: *what is wrong with a request is found before the log, or the store, sees it.* Words and order of the checks are
those of Redis, since its clients were written against them.

`WRITES` and `READS` give the encoder of each command that changes the store, and of each that only looks at it. The
other requests are answered by `conversation`, those that begin with RAFTY by `administration` and `kv_sessions`.
"""

from collections.abc import Callable

from rafty_core.outcomes import (
    ChangeRefused,
    NotLeader,
    OutcomeUnknown,
    Overloaded,
    ProposalError,
    Stopped,
    Superseded,
    TooLarge,
    TransferFailed,
)
from rafty_transports import kv, resp

COMMAND_LIMIT = 1024 * 1024 + 128 * 1024
"""The largest command in bytes that is proposed: one value and one key of the largest size fit."""


class Refusal(Exception):
    """A request that is answered with an error, and nothing else happens; the text begins with the error's code.

    `counted_as` is the reason under which `service_clients.REASONS` has it counted; empty: it is not counted.
    """

    def __init__(self, text: str, counted_as: str = "") -> None:
        super().__init__(text)
        self.counted_as = counted_as


def wrong_number(command: str) -> Refusal:
    """The refusal of a command with too few or too many arguments."""
    return Refusal(f"ERR wrong number of arguments for '{command}' command")


def _check_key(key: bytes) -> bytes:
    if len(key) > kv.KEY_LIMIT:
        raise Refusal(f"ERR key of {len(key)} bytes is larger than the limit of {kv.KEY_LIMIT} bytes")
    return key


def _check_value(value: bytes) -> bytes:
    if len(value) > kv.VALUE_LIMIT:
        raise Refusal(f"ERR value of {len(value)} bytes is larger than the limit of {kv.VALUE_LIMIT} bytes")
    return value


def _get(request: list[bytes]) -> bytes:
    if len(request) != 2:
        raise wrong_number("get")
    return kv.encode_get(_check_key(request[1]))


_SET_OPTIONS = {b"NX": kv.IF_ABSENT, b"XX": kv.IF_PRESENT, b"GET": kv.ANSWER_OLD}
_EXPIRY_OPTIONS = frozenset((b"EX", b"PX", b"EXAT", b"PXAT", b"KEEPTTL"))


def _set(request: list[bytes]) -> bytes:
    if len(request) < 3:
        raise wrong_number("set")
    key, value = _check_key(request[1]), _check_value(request[2])
    options = 0
    for word in request[3:]:
        option = word.upper()
        if option in _EXPIRY_OPTIONS:
            raise Refusal(f"ERR {option.decode()} is not supported: keys do not expire here")
        if option not in _SET_OPTIONS:
            raise Refusal("ERR syntax error")
        options |= _SET_OPTIONS[option]
    if options & kv.IF_ABSENT and options & kv.IF_PRESENT:
        raise Refusal("ERR syntax error")
    return kv.encode_set(key, value, options)


def _count(name: str, sign: int) -> Callable[[list[bytes]], bytes]:
    def encode(request: list[bytes]) -> bytes:
        if len(request) != 2:
            raise wrong_number(name)
        return kv.encode_incr(_check_key(request[1]), sign)

    return encode


def _count_by(name: str, sign: int) -> Callable[[list[bytes]], bytes]:
    def encode(request: list[bytes]) -> bytes:
        if len(request) != 3:
            raise wrong_number(name)
        amount = kv.parse_integer(request[2])
        if amount is None:
            raise Refusal("ERR value is not an integer or out of range")
        if sign < 0 and amount == -(2**63):
            raise Refusal("ERR decrement would overflow")
        return kv.encode_incr(_check_key(request[1]), sign * amount)

    return encode


def _several(operation: bytes, name: str) -> Callable[[list[bytes]], bytes]:
    def encode(request: list[bytes]) -> bytes:
        if len(request) < 2:
            raise wrong_number(name)
        return _check_command(kv.encode_keys(operation, map(_check_key, request[1:])))

    return encode


def _mset(request: list[bytes]) -> bytes:
    if len(request) < 3 or len(request) % 2 == 0:
        raise wrong_number("mset")
    for position in range(1, len(request), 2):
        _check_key(request[position])
        _check_value(request[position + 1])
    return _check_command(kv.encode_keys(kv.MSET, request[1:]))


def _check_command(command: bytes) -> bytes:
    if len(command) > COMMAND_LIMIT:
        raise Refusal(f"ERR command of {len(command)} bytes is larger than the limit of {COMMAND_LIMIT} bytes")
    return command


def _dbsize(request: list[bytes]) -> bytes:
    if len(request) != 1:
        raise wrong_number("dbsize")
    return kv.DBSIZE


WRITES: dict[bytes, Callable[[list[bytes]], bytes]] = {
    b"SET": _set,
    b"DEL": _several(kv.DEL, "del"),
    b"INCR": _count("incr", 1),
    b"DECR": _count("decr", -1),
    b"INCRBY": _count_by("incrby", 1),
    b"DECRBY": _count_by("decrby", -1),
    b"MSET": _mset,
}
"""Command name -> encoder of the command for the log; an encoder raises `Refusal`."""

READS: dict[bytes, Callable[[list[bytes]], bytes]] = {
    b"GET": _get,
    b"EXISTS": _several(kv.EXISTS, "exists"),
    b"MGET": _several(kv.MGET, "mget"),
    b"DBSIZE": _dbsize,
}
"""Command name -> encoder of a command that changes nothing."""


_CODES: tuple[tuple[type[ProposalError], str], ...] = (
    (NotLeader, "NOTLEADER"),
    (Overloaded, "OVERLOADED"),
    (TooLarge, "TOOLARGE"),
    (Superseded, "SUPERSEDED"),
    (Stopped, "STOPPED"),
    (OutcomeUnknown, "UNKNOWN"),
    (TransferFailed, "TRANSFERFAILED"),
)


def outcome_reply(outcome: ProposalError) -> bytes:
    """The error that says what became of a command without a result.

    Its code is NOTLEADER, OVERLOADED, TOOLARGE, SUPERSEDED, STOPPED or NOTAPPLIED if the command was not applied and
    never will be, and UNKNOWN if it may have been or may still be. A change of membership that was refused says REFUSED
    and why in one word, a transfer of leadership TRANSFERFAILED.
    """
    if isinstance(outcome, ChangeRefused):
        return resp.error(f"REFUSED {outcome.reason} {outcome}")
    code = next((code for kind, code in _CODES if isinstance(outcome, kind)), "NOTAPPLIED")
    text = str(outcome) or type(outcome).__name__
    if code == "UNKNOWN":
        text += " (may still be applied)"
    return resp.error(f"{code} {text}")
