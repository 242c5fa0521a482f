"""The replicated key-value store: what its commands mean, as a pure function of the log.

Law: *equal commands in equal order give equal answers and equal state, on every node; whatever the bytes are.*

A command is an operation byte and its arguments; see "the form of a command" below. An answer is a reply of RESP2, the
protocol of Redis, ready to be sent: a service hands it on unchanged, and for a client of RESP3 replaces the null alone
(`rafty_transports.resp.in_resp3`). A value is kept in the form in which GET answers it, so that a thousand answers of
one large value are a thousand references and no copies.

A refusal ("value is not an integer or out of range") is an answer like any other, since it must be the same on every
node. So is the answer to bytes that are no command at all: an exception would stop the node, and its peers, and again
at each restart (fault F132). The limit that `apply` looks at is part of the meaning of the log: a release that changes
it makes old and new nodes differ.

The form of a command. Integers are unsigned, 4 bytes, big-endian; an *item* is a length and so many bytes:
`G` key; `S` item(key) value; `s` options item(key) value; `I` amount (8 bytes, signed) key; `D`, `E`, `M`, `P` items;
`N`.

Commands that only read (`G`, `E`, `M`, `N`) mean the same in the log and in `read`, which looks at the state as it is
now: a service asks the node first when that may be done. How the state is written down is `kv_image`.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO

from rafty_transports.kv_image import read_image, write_image

GET, SET, SET_OPTIONS, INCR, DEL, EXISTS, MGET, MSET, DBSIZE = b"G", b"S", b"s", b"I", b"D", b"E", b"M", b"P", b"N"

IF_ABSENT, IF_PRESENT, ANSWER_OLD = 1, 2, 4
"""The bits of SET's options: NX, XX and GET."""

KEY_LIMIT = 64 * 1024
"""The largest key in bytes that a service proposes."""

VALUE_LIMIT = 1024 * 1024
"""The largest value in bytes that a service proposes."""

ANSWER_LIMIT = 4 * 1024 * 1024
"""The largest answer of MGET in bytes. `apply` looks at it: every node must have the same."""

NULL = b"$-1\r\n"
OK = b"+OK\r\n"
NOT_AN_INTEGER = b"-ERR value is not an integer or out of range\r\n"
OVERFLOW = b"-ERR increment or decrement would overflow\r\n"
MALFORMED = b"-ERR malformed command in the log\r\n"
ANSWER_TOO_LARGE = b"-ERR the values together are larger than %d bytes, ask for fewer keys\r\n" % ANSWER_LIMIT

_LARGEST_INTEGER = 2**63 - 1
_SMALLEST_INTEGER = -(2**63)
_OPTIONS_OF_SET = IF_ABSENT | IF_PRESENT | ANSWER_OLD


def encode_get(key: bytes) -> bytes:
    """The command that answers the value of `key`, or null."""
    return GET + key


def encode_set(key: bytes, value: bytes, options: int = 0) -> bytes:
    """The command that stores `value` under `key`.

    `options` are IF_ABSENT or IF_PRESENT (answers null if it does not hold) and ANSWER_OLD (answers the value before,
    or null, instead of OK).
    """
    if options:
        return b"%b%c%b%b%b" % (SET_OPTIONS, options, len(key).to_bytes(4, "big"), key, value)
    return b"S%b%b%b" % (len(key).to_bytes(4, "big"), key, value)


def encode_incr(key: bytes, amount: int = 1) -> bytes:
    """The command that adds `amount` to the integer under `key` (an absent one counts as 0) and answers the sum.

    `amount` is a signed integer of 64 bits, else `OverflowError` is raised.
    """
    return INCR + amount.to_bytes(8, "big", signed=True) + key


def encode_keys(operation: bytes, keys: Iterable[bytes]) -> bytes:
    """The command DEL, EXISTS or MGET of these keys, or MSET of these keys and values in turn."""
    return operation + b"".join([len(key).to_bytes(4, "big") + key for key in keys])


def bulk(value: bytes) -> bytes:
    """`value` as a bulk string, the form in which it is kept and answered."""
    return b"$%d\r\n%b\r\n" % (len(value), value)


def unbulk(kept: bytes) -> bytes:
    """The value of a bulk string made by `bulk`."""
    return kept[kept.index(b"\n") + 1 : -2]


def parse_integer(text: bytes) -> int | None:
    """The integer that `text` is, as Redis reads it: 64 bits, signed, no spaces, no plus, no leading zeros; or None."""
    if len(text) > 20:
        return None
    try:
        number = int(text)
    except ValueError:
        return None
    if b"%d" % number != text or not _SMALLEST_INTEGER <= number <= _LARGEST_INTEGER:
        return None
    return number


def split_items(command: bytes, start: int) -> list[bytes] | None:
    """The items of `command` from byte `start` to its end, or None if they do not end where it ends."""
    items = []
    size = len(command)
    while start < size:
        body = start + 4
        end = body + int.from_bytes(command[start:body], "big")
        if body > size or end > size:
            return None
        items.append(command[body:end])
        start = end
    return items


def digest_of(items: Iterable[tuple[bytes, bytes]]) -> str:
    """The digest of a state given as pairs of key and kept value, in any order, as 64 hexadecimal digits.

    It is the sum of the digests of all pairs, so that no order must be made first; it finds nodes that differ, and is
    no proof against somebody who picks keys and values in order to deceive it.
    """
    total = 0
    for key, kept in items:
        pair = hashlib.blake2b(len(key).to_bytes(4, "big") + key + kept, digest_size=32).digest()
        total += int.from_bytes(pair, "big")
    return f"{total % 2**256:064x}"


class KeyValueMachine:
    """A `StateMachine` that is a dictionary of bytes.

    All of it is in memory and nothing bounds the number of keys. Not thread-safe.
    """

    def __init__(self) -> None:
        self._kept: dict[bytes, bytes] = {}
        self.commands_applied = 0
        """How many commands were applied: where it is equal on two nodes, their digests must be."""
        self._reads = {EXISTS[0]: self._exists, MGET[0]: self._mget, DBSIZE[0]: self._dbsize}
        self._others = {
            SET_OPTIONS[0]: self._set_with_options,
            INCR[0]: self._incr,
            DEL[0]: self._del,
            MSET[0]: self._mset,
            **self._reads,
        }

    def __len__(self) -> int:
        return len(self._kept)

    def apply(self, first_index: int, commands: Sequence[bytes]) -> list[bytes]:
        """Carry out these commands in order; one answer for each, a reply of RESP2. Never raises for a command."""
        kept = self._kept
        answers = []
        for command in commands:
            operation = command[:1]
            if operation == GET:
                answers.append(kept.get(command[1:], NULL))
            elif operation == SET:
                body = 5 + int.from_bytes(command[1:5], "big")
                if body > len(command):
                    answers.append(MALFORMED)
                    continue
                kept[command[5:body]] = b"$%d\r\n%b\r\n" % (len(command) - body, command[body:])
                answers.append(OK)
            else:
                other = self._others.get(command[0]) if command else None
                answers.append(other(command) if other is not None else MALFORMED)
        self.commands_applied += len(commands)
        return answers

    def read(self, commands: Sequence[bytes]) -> list[bytes]:
        """The answers of commands that only read, from the state of now; others are answered as malformed."""
        kept = self._kept
        answers = []
        for command in commands:
            if command[:1] == GET:
                answers.append(kept.get(command[1:], NULL))
            else:
                reading = self._reads.get(command[0]) if command else None
                answers.append(reading(command) if reading is not None else MALFORMED)
        return answers

    def snapshot(self) -> Callable[[BinaryIO], None]:
        """Hold on to the state as it is now; return what writes it down, in another thread. About 0.1 us for each key.

        Keys and values are shared with the state, so that what is held on to costs memory only as they change.
        """
        kept, applied = self._kept.copy(), self.commands_applied

        def write(target: BinaryIO) -> None:
            write_image(target, kept, applied, unbulk)

        return write

    def restore(self, index: int, source: BinaryIO) -> None:
        """Take over the state that is read from `source`, once all of it was read.

        Raises `ValueError` for what is no whole image, and everything is as it was then.
        """
        self._kept, self.commands_applied = read_image(source, bulk)

    def items(self) -> list[tuple[bytes, bytes]]:
        """A copy of the state as it is now, for `digest_of` in another thread: a digest of a large state takes long."""
        return list(self._kept.items())

    def digest(self) -> str:
        """The digest of the whole state, whatever the order in which it came about. About 1 us for each key."""
        return digest_of(self._kept.items())

    def _set_with_options(self, command: bytes) -> bytes:
        body = 6 + int.from_bytes(command[2:6], "big")
        if len(command) < 6 or body > len(command):
            return MALFORMED
        options, key = command[1], command[6:body]
        if options & ~_OPTIONS_OF_SET or (options & IF_ABSENT and options & IF_PRESENT):
            return MALFORMED
        old = self._kept.get(key)
        refused = options & (IF_PRESENT if old is None else IF_ABSENT)
        if not refused:
            self._kept[key] = bulk(command[body:])
        if options & ANSWER_OLD:
            return old if old is not None else NULL
        return NULL if refused else OK

    def _incr(self, command: bytes) -> bytes:
        if len(command) < 9:
            return MALFORMED
        amount, key = int.from_bytes(command[1:9], "big", signed=True), command[9:]
        old = self._kept.get(key)
        number = 0 if old is None else parse_integer(unbulk(old))
        if number is None:
            return NOT_AN_INTEGER
        total = number + amount
        if not _SMALLEST_INTEGER <= total <= _LARGEST_INTEGER:
            return OVERFLOW
        self._kept[key] = bulk(b"%d" % total)
        return b":%d\r\n" % total

    def _del(self, command: bytes) -> bytes:
        keys = split_items(command, 1)
        if not keys:
            return MALFORMED
        return b":%d\r\n" % sum(self._kept.pop(key, None) is not None for key in keys)

    def _exists(self, command: bytes) -> bytes:
        keys = split_items(command, 1)
        if not keys:
            return MALFORMED
        return b":%d\r\n" % sum(key in self._kept for key in keys)

    def _mget(self, command: bytes) -> bytes:
        keys = split_items(command, 1)
        if not keys:
            return MALFORMED
        found = [self._kept.get(key, NULL) for key in keys]
        if sum(map(len, found)) > ANSWER_LIMIT:
            return ANSWER_TOO_LARGE
        return b"*%d\r\n%b" % (len(found), b"".join(found))

    def _mset(self, command: bytes) -> bytes:
        items = split_items(command, 1)
        if not items or len(items) % 2:
            return MALFORMED
        for key, value in zip(items[::2], items[1::2], strict=True):
            self._kept[key] = bulk(value)
        return OK

    def _dbsize(self, command: bytes) -> bytes:
        return b":%d\r\n" % len(self._kept) if command == DBSIZE else MALFORMED
