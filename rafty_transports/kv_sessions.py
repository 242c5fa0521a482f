"""Exactly-once sessions for clients of the key-value service (thesis 6.3): `RAFTY SESSION ...`; no IO.

Law: *a call that is repeated with its number is answered as the first time, and run once, however often it comes.*

    RAFTY SESSION OPEN                                      answers the session's id, a number
    RAFTY SESSION CALL id sequence acknowledged SET k v     answers what the command behind it answers
    RAFTY SESSION TOUCH id acknowledged                     answers OK: the session is in use
    RAFTY SESSION CLOSE id                                  answers OK

A client numbers its calls 1, 2, 3, ... and says with each up to which number it knows all answers. When it does not
know what became of a call (an error UNKNOWN, a lost connection), it sends the call again with the same number, to any
node. Several calls may be under way at once. The errors are those of a command, and besides

    EXPIRED     the session is not known: unused for an hour, or closed; this copy of the call was not run
    OVERLOADED  1,000 answers or 256 KiB of them wait for their acknowledgement; this copy was not run: acknowledge some
    STALE       the client has said that it knows the answer; this copy was not run

The bytes in the log, and all of the meaning, are those of `rafty_core.sessions`.
"""

from collections.abc import Callable

from rafty_core import sessions
from rafty_core.entries import LARGEST
from rafty_transports import kv, resp
from rafty_transports.kv_commands import READS, WRITES, Refusal

_USAGE = "ERR RAFTY SESSION knows OPEN, CALL <id> <sequence> <acknowledged> <command ...>, TOUCH <id> <acknowledged>, "
_USAGE += "and CLOSE <id>"

_REFUSALS = {
    sessions.EXPIRED: b"-EXPIRED the session is not known (any more), and this call was not run; open another one\r\n",
    sessions.OVERLOADED: b"-OVERLOADED there is no room for one more session, or for the answer of one more call of "
    b"this one; this call was not run\r\n",
    sessions.STALE: b"-STALE the answer of this call was acknowledged before, and it was not run now\r\n",
    sessions.MALFORMED: b"-ERR this call makes no sense, and was not run: its sequence must be above what it "
    b"acknowledges\r\n",
}

Translate = Callable[[bytes], bytes]
"""What makes a reply of the machine's answer to an operation."""


def encode(request: list[bytes]) -> tuple[bytes, Translate]:
    """The operation for the log that RAFTY SESSION asks for, and what makes a reply of its answer. Raises `Refusal`."""
    word = request[2].upper() if len(request) > 2 else b""
    if word == b"OPEN" and len(request) == 3:
        return sessions.OPEN, _opened
    if word == b"CALL" and len(request) > 6:
        session, sequence, acknowledged = (_number(text) for text in request[3:6])
        return sessions.encode_call(session, sequence, acknowledged, _command(request[6:])), _called
    if word == b"TOUCH" and len(request) == 5:
        return sessions.encode_touch(_number(request[3]), _number(request[4])), _done
    if word == b"CLOSE" and len(request) == 4:
        return sessions.encode_close(_number(request[3])), _done
    raise Refusal(_USAGE)


def _command(request: list[bytes]) -> bytes:
    name = request[0].upper()
    encoder = WRITES.get(name) or READS.get(name)
    if encoder is None:
        raise Refusal("ERR a call of a session is a command of the store, such as SET or INCR")
    return encoder(request)


def _number(text: bytes) -> int:
    number = kv.parse_integer(text)
    if number is None or not 0 <= number <= LARGEST:
        raise Refusal("ERR session, sequence and acknowledged are numbers of 0 or more")
    return number


def _opened(answer: bytes) -> bytes:
    opened = sessions.decode_opened(answer)
    return _refusal(answer) if opened is None else resp.integer(opened.session)


def _called(answer: bytes) -> bytes:
    return answer[1:] if answer[:1] == sessions.APPLIED else _refusal(answer)


def _done(answer: bytes) -> bytes:
    return resp.OK if answer == sessions.APPLIED else _refusal(answer)


def _refusal(answer: bytes) -> bytes:
    return _REFUSALS.get(answer, b"-ERR this service has no sessions\r\n")
