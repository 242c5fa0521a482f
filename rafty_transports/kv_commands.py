"""What a client of the key-value service may ask, command by command; no IO.

Law: *a request is either a command for the log, or it is answered here; what is wrong with it is found before the log
sees it.* Words and order of the checks are those of Redis, since its clients were written against them.

`FOR_THE_LOG` gives the encoder of each command that is proposed; reads are among them: what a client reads was
committed, and is as new as the log. `Conversation` answers the others and remembers what a client has agreed with the
service: the version of the protocol, whether it has proved who it is, its name.
"""

import hmac
from collections.abc import Callable, Sequence

from rafty_core.outcomes import NotLeader, OutcomeUnknown, Overloaded, ProposalError, Stopped, Superseded, TooLarge
from rafty_transports import kv, resp

COMMAND_LIMIT = 1024 * 1024 + 128 * 1024
"""The largest command in bytes that is proposed: one value and one key of the largest size fit."""

VERSION_OF_REDIS = "7.0.0"
"""The version of Redis whose words are spoken: client libraries decide by it what they may ask."""


class Refusal(Exception):
    """A request that is answered with an error, and nothing else happens; the text begins with the error's code."""


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


FOR_THE_LOG: dict[bytes, Callable[[list[bytes]], bytes]] = {
    b"GET": _get,
    b"SET": _set,
    b"DEL": _several(kv.DEL, "del"),
    b"EXISTS": _several(kv.EXISTS, "exists"),
    b"INCR": _count("incr", 1),
    b"DECR": _count("decr", -1),
    b"INCRBY": _count_by("incrby", 1),
    b"DECRBY": _count_by("decrby", -1),
    b"MGET": _several(kv.MGET, "mget"),
    b"MSET": _mset,
    b"DBSIZE": _dbsize,
}
"""Command name -> encoder of the command for the log; an encoder raises `Refusal`."""


_CODES: tuple[tuple[type[ProposalError], str], ...] = (
    (NotLeader, "NOTLEADER"),
    (Overloaded, "OVERLOADED"),
    (TooLarge, "TOOLARGE"),
    (Superseded, "SUPERSEDED"),
    (Stopped, "STOPPED"),
    (OutcomeUnknown, "UNKNOWN"),
)


def outcome_reply(outcome: ProposalError) -> bytes:
    """The error that says what became of a command without a result.

    Its code is NOTLEADER, OVERLOADED, TOOLARGE, SUPERSEDED, STOPPED or NOTAPPLIED if the command was not applied and
    never will be, and UNKNOWN if it may have been or may still be.
    """
    code = next((code for kind, code in _CODES if isinstance(outcome, kind)), "NOTAPPLIED")
    text = str(outcome) or type(outcome).__name__
    if code == "UNKNOWN":
        text += " (may still be applied)"
    return resp.error(f"{code} {text}")


class Conversation:
    """What one client has agreed with the service, and the answers that need no log.

    `number` is the connection's, counted from 1. `password` is what AUTH must name; None asks for none. `describe`
    makes the text of INFO.
    """

    def __init__(self, number: int, password: bytes | None, describe: Callable[[], str]) -> None:
        self.protocol = 2
        self.admitted = password is None
        self.closing = False
        self._number = number
        self._password = password
        self._describe = describe
        self._name = b""

    def check(self, name: bytes) -> None:
        """Raise `Refusal` unless this client may use the command `name`."""
        if not self.admitted and name not in _FOR_STRANGERS:
            raise Refusal("NOAUTH Authentication required.")

    def answer(self, name: bytes, request: list[bytes]) -> bytes:
        """The reply to a request that is not for the log; `name` is its first argument in capitals."""
        local = _LOCAL.get(name)
        if local is None:
            raise Refusal(_unknown_command(request))
        handler, least, most = local
        if not least <= len(request) - 1 <= most:
            raise wrong_number(name.decode().lower())
        return handler(self, request)

    def _ping(self, request: list[bytes]) -> bytes:
        return resp.bulk(request[1]) if len(request) > 1 else b"+PONG\r\n"

    def _echo(self, request: list[bytes]) -> bytes:
        return resp.bulk(request[1])

    def _select(self, request: list[bytes]) -> bytes:
        number = kv.parse_integer(request[1])
        if number is None:
            raise Refusal("ERR value is not an integer or out of range")
        if number != 0:
            raise Refusal("ERR DB index is out of range")
        return resp.OK

    def _quit(self, request: list[bytes]) -> bytes:
        self.closing = True
        return resp.OK

    def _info(self, request: list[bytes]) -> bytes:
        return resp.bulk(self._describe().encode())

    def _auth(self, request: list[bytes]) -> bytes:
        if len(request) > 3:
            raise Refusal("ERR syntax error")
        if len(request) == 2 and self._password is None:
            raise Refusal(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        self._admit(request[1] if len(request) == 3 else b"default", request[-1])
        return resp.OK

    def _admit(self, user: bytes, password: bytes) -> None:
        right = self._password is None or hmac.compare_digest(password, self._password)
        if not right or user != b"default":
            raise Refusal("WRONGPASS invalid username-password pair or user is disabled.")
        self.admitted = True

    def _hello(self, request: list[bytes]) -> bytes:
        protocol, name, position = self.protocol, self._name, 2
        if len(request) > 1:
            wanted = kv.parse_integer(request[1])
            if wanted is None:
                raise Refusal("ERR Protocol version is not an integer or out of range")
            if wanted not in (2, 3):
                raise Refusal("NOPROTO unsupported protocol version")
            protocol = wanted
        while position < len(request):
            option = request[position].upper()
            if option == b"AUTH" and position + 2 < len(request):
                self._admit(request[position + 1], request[position + 2])
                position += 3
            elif option == b"SETNAME" and position + 1 < len(request):
                name = _client_name(request[position + 1])
                position += 2
            else:
                raise Refusal(f"ERR Syntax error in HELLO option '{_excerpt(request[position])}'")
        if not self.admitted:
            raise Refusal(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
                "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
                "the same time"
            )
        self.protocol, self._name = protocol, name
        texts = ((b"server", "rafty"), (b"version", VERSION_OF_REDIS), (b"mode", "standalone"), (b"role", "master"))
        pairs = [(resp.bulk(key), resp.bulk(text.encode())) for key, text in texts]
        pairs.append((resp.bulk(b"proto"), resp.integer(protocol)))
        pairs.append((resp.bulk(b"id"), resp.integer(self._number)))
        pairs.append((resp.bulk(b"modules"), resp.array(())))
        return resp.mapping(pairs, protocol)

    def _command(self, request: list[bytes]) -> bytes:
        word = request[1].upper() if len(request) > 1 else b""
        if word == b"COUNT":
            return resp.integer(len(_LOCAL) + len(FOR_THE_LOG) + 1)
        if word == b"DOCS":
            return resp.mapping((), self.protocol)
        if word in (b"", b"LIST"):
            return resp.array(())
        raise _unknown_subcommand("COMMAND", request)

    def _client(self, request: list[bytes]) -> bytes:
        word = request[1].upper()
        arguments = {b"SETNAME": 1, b"SETINFO": 2, b"GETNAME": 0, b"ID": 0}.get(word)
        if arguments is None:
            raise _unknown_subcommand("CLIENT", request)
        if len(request) - 2 != arguments:
            raise wrong_number(f"client|{word.decode().lower()}")
        if word == b"ID":
            return resp.integer(self._number)
        if word == b"GETNAME":
            return resp.bulk(self._name) if self._name else resp.null(self.protocol)
        if word == b"SETNAME":
            self._name = _client_name(request[2])
        return resp.OK

    def _config(self, request: list[bytes]) -> bytes:
        if request[1].upper() != b"GET":
            raise _unknown_subcommand("CONFIG", request)
        if len(request) < 3:
            raise wrong_number("config|get")
        known = [(name, _SETTINGS[name]) for name in dict.fromkeys(map(bytes.lower, request[2:])) if name in _SETTINGS]
        return resp.mapping([(resp.bulk(name), resp.bulk(value)) for name, value in known], self.protocol)


_SETTINGS = {
    b"save": b"",
    b"appendonly": b"yes",
    b"databases": b"1",
    b"proto-max-bulk-len": b"%d" % kv.VALUE_LIMIT,
}
"""What CONFIG GET knows, by exact name: benchmarks and libraries look at these."""

_FOR_STRANGERS = frozenset((b"AUTH", b"HELLO", b"QUIT"))
_MANY = 1 << 20

_LOCAL: dict[bytes, tuple[Callable[[Conversation, list[bytes]], bytes], int, int]] = {
    b"PING": (Conversation._ping, 0, 1),
    b"ECHO": (Conversation._echo, 1, 1),
    b"SELECT": (Conversation._select, 1, 1),
    b"QUIT": (Conversation._quit, 0, _MANY),
    b"INFO": (Conversation._info, 0, _MANY),
    b"AUTH": (Conversation._auth, 1, _MANY),
    b"HELLO": (Conversation._hello, 0, _MANY),
    b"COMMAND": (Conversation._command, 0, _MANY),
    b"CLIENT": (Conversation._client, 1, _MANY),
    b"CONFIG": (Conversation._config, 1, _MANY),
}
"""Command name -> handler, least and most arguments behind the name."""


def _client_name(name: bytes) -> bytes:
    if len(name) > 256:
        raise Refusal("ERR Client names cannot be longer than 256 bytes.")
    if any(byte < 0x21 or byte > 0x7E for byte in name):
        raise Refusal("ERR Client names cannot contain spaces, newlines or special characters.")
    return name


def _excerpt(word: bytes) -> str:
    return word[:128].decode("ascii", "backslashreplace")


def _unknown_command(request: Sequence[bytes]) -> str:
    shown = ""
    for word in request[1:]:
        if len(shown) >= 128:
            break
        shown += f"'{_excerpt(word[: 128 - len(shown)])}' "
    return f"ERR unknown command '{_excerpt(request[0])}', with args beginning with: {shown}"


def _unknown_subcommand(command: str, request: Sequence[bytes]) -> Refusal:
    return Refusal(f"ERR unknown subcommand '{_excerpt(request[1])}'. Try {command} HELP.")
