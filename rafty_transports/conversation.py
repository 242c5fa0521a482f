"""What a client has agreed with the service, and the answers that need neither log nor store; no IO.

Law: *a client of Redis finds what it looks for on connecting, in the words that it expects.*

`Conversation` remembers the version of the protocol, who the client has proved to be, its name, and how it wants to
read: READWRITE (linearizable, as at the beginning), READONLY (whatever the node has), and RAFTY READ.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from rafty_transports import kv, resp
from rafty_transports.kv_commands import READS, WRITES, Refusal, wrong_number
from rafty_transports.passwords import ADMIN, DEFAULT, Passwords
from rafty_transports.service_clients import REASONS

VERSION_OF_REDIS = "7.0.0"
"""The version of Redis whose words are spoken: client libraries decide by it what they may ask."""


class Conversation:
    """What one client has agreed with the service, and the answers that need nothing else.

    `number` is the connection's, counted from 1. `passwords` are what AUTH must name. `describe` makes the text of
    INFO.
    """

    def __init__(self, number: int, passwords: Passwords, describe: Callable[[], str]) -> None:
        self.protocol = 2
        self.user = None if passwords.asked else DEFAULT
        """Who the client has proved to be."""
        self.closing = False
        self.read_mode: Literal["linearizable", "lease", "stale"] = "linearizable"
        self.at_least = 0
        """The log index that must be applied before this client reads."""
        self._number = number
        self._passwords = passwords
        self._describe = describe
        self._name = b""

    def check(self, name: bytes) -> None:
        """Raise `Refusal` unless this client may use the command `name`."""
        if self.user is None and name not in _FOR_STRANGERS:
            raise Refusal(REASONS["no_password"], "no_password")

    def check_administers(self, word: bytes) -> None:
        """Raise `Refusal` unless this client may use RAFTY with this word, in capitals, behind it."""
        if word in _ADMINISTRATION and self._passwords.apart and self.user != ADMIN:
            raise Refusal(
                f"NOPERM this user has no permissions to run the 'rafty|{word.decode().lower()}' command: it is for "
                "the user admin; AUTH admin <password>",
                "no_permission",
            )

    def answer(self, name: bytes, request: list[bytes]) -> bytes:
        """The reply to a request that is not for the store; `name` is its first argument in capitals."""
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

    def _readonly(self, request: list[bytes]) -> bytes:
        self.read_mode = "stale"
        return resp.OK

    def _readwrite(self, request: list[bytes]) -> bytes:
        self.read_mode = "linearizable"
        return resp.OK

    def read_as(self, words: list[bytes]) -> bytes:
        """Take note of how this client wants to read: RAFTY READ with these words behind it."""
        mode = words[0].lower()
        if mode == b"at_least" and len(words) == 2:
            index = kv.parse_integer(words[1])
            if index is None or index < 0:
                raise Refusal("ERR RAFTY READ AT_LEAST needs a log index, a number of 0 or more")
            self.at_least = index
        elif mode == b"linearizable" and len(words) == 1:
            self.read_mode = "linearizable"
        elif mode == b"lease" and len(words) == 1:
            self.read_mode = "lease"
        elif mode == b"stale" and len(words) == 1:
            self.read_mode = "stale"
        else:
            raise Refusal("ERR RAFTY READ knows LINEARIZABLE, LEASE, STALE and AT_LEAST <index>")
        return resp.OK

    def _info(self, request: list[bytes]) -> bytes:
        return resp.bulk(self._describe().encode())

    def _auth(self, request: list[bytes]) -> bytes:
        if len(request) > 3:
            raise Refusal("ERR syntax error")
        if len(request) == 2 and not self._passwords.asked:
            raise Refusal(
                "ERR AUTH <password> called without any password configured for the default user. "
                "Are you sure your configuration is correct?"
            )
        self._admit(request[1] if len(request) == 3 else DEFAULT.encode(), request[-1])
        return resp.OK

    def _admit(self, name: bytes, password: bytes) -> None:
        user = self._passwords.user(name, password)
        if user is None:
            raise Refusal(REASONS["wrong_password"], "wrong_password")
        self.user = user

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
        if self.user is None:
            raise Refusal(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH "
                "<user> <pass> option can be used to authenticate the client and select the RESP protocol version at "
                "the same time",
                "no_password",
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
            return resp.integer(len(_LOCAL) + len(WRITES) + len(READS) + 1)
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

WORDS_OF_HTTP = frozenset((b"POST", b"HOST:"))
"""A browser that a foreign page makes talk to this port begins so; Redis hangs up, and so does this service."""

_FOR_STRANGERS = frozenset((b"AUTH", b"HELLO", b"QUIT")) | WORDS_OF_HTTP

_ADMINISTRATION = frozenset((b"MEMBER", b"TRANSFER", b"LEASE", b"SNAPSHOT", b"BACKUP"))
"""The words behind RAFTY that change the cluster, or carry everything away."""

_MANY = 1 << 20

_LOCAL: dict[bytes, tuple[Callable[[Conversation, list[bytes]], bytes], int, int]] = {
    b"PING": (Conversation._ping, 0, 1),
    b"ECHO": (Conversation._echo, 1, 1),
    b"SELECT": (Conversation._select, 1, 1),
    b"QUIT": (Conversation._quit, 0, _MANY),
    b"READONLY": (Conversation._readonly, 0, 0),
    b"READWRITE": (Conversation._readwrite, 0, 0),
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
