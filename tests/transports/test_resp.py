"""RESP: what the parser makes of good bytes, of bad bytes, and of any bytes in any chunks, within bounded memory."""

import random
import time
import tracemalloc

import pytest

from rafty_transports import resp
from rafty_transports.resp import RequestError, RequestLimits, RequestParser

SMALL = RequestLimits(arguments=8, bulk=64, request=128, inline=64, header=32)


def parse(data: bytes, limits: RequestLimits | None = None) -> list[list[bytes]]:
    """All requests of one chunk."""
    return list(RequestParser(limits).feed(data))


def outcome(chunks: list[bytes], limits: RequestLimits) -> tuple[list[list[bytes]], str | None]:
    """The requests of these chunks, and the sentence at which they end."""
    parser = RequestParser(limits)
    requests: list[list[bytes]] = []
    for chunk in chunks:
        try:
            for request in parser.feed(chunk):
                requests.append(request)
        except RequestError as error:
            return requests, str(error)
    return requests, None


def encode(*arguments: bytes) -> bytes:
    """A request as libraries send it."""
    return resp.array([resp.bulk(argument) for argument in arguments])


def refusal(data: bytes, limits: RequestLimits | None = None) -> str:
    """The sentence with which these bytes are refused."""
    with pytest.raises(RequestError) as caught:
        parse(data, limits)
    return str(caught.value)


def test_array_of_bulk_strings() -> None:
    assert parse(encode(b"SET", b"a\r\n", b"")) == [[b"SET", b"a\r\n", b""]]


def test_pipeline_in_one_chunk() -> None:
    assert parse(encode(b"PING") * 3 + b"PING\r\n" + encode(b"GET", b"a")) == [[b"PING"]] * 4 + [[b"GET", b"a"]]


def test_parser_tells_whether_a_request_has_begun_and_what_is_kept_for_it() -> None:
    data = encode(b"SET", b"key", b"value of a key") + b"ECHO x\r\n"
    ends = (len(encode(b"SET", b"key", b"value of a key")), len(data))
    parser = RequestParser()
    for position in range(len(data)):
        list(parser.feed(data[position : position + 1]))
        assert parser.unfinished == (position + 1 not in ends)
        assert (parser.kept == 0) == (position + 1 in ends or position + 1 == len(b"*3\r\n"))
    list(parser.feed(b" \r\n  \r\n*0\r\n"))
    assert (parser.unfinished, parser.kept) == (False, 0)


def test_what_is_kept_counts_arguments_as_the_objects_that_they_are() -> None:
    parser = RequestParser()
    tracemalloc.start()
    try:
        list(parser.feed(b"*60000\r\n" + b"$2\r\nab\r\n" * 50_000))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.5 < parser.kept / held < 2


def test_beginning_of_tls_is_refused_by_name() -> None:
    assert refusal(b"\x16\x03\x01\x02\x00\x01") == "Protocol error: TLS is spoken, and this port speaks plain text"


@pytest.mark.parametrize("limits", [SMALL, RequestLimits()], ids=["small", "large"])
def test_every_cut_of_a_pipeline_gives_the_same_requests(limits: RequestLimits) -> None:
    data = (
        encode(b"PING")
        + encode(b"SET", b"key", b"value\r\n")
        + b'set  a "b c"\r\n\r\n*0\r\n*-1\r\n'
        + encode(b"GET", b"key")
    )
    whole = outcome([data], limits)
    assert len(whole[0]) == 4
    for first in range(len(data)):
        for second in range(first, len(data)):
            assert outcome([data[:first], data[first:second], data[second:]], limits) == whole


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"PING", [b"PING"]),
        (b"  set \t a   b ", [b"set", b"a", b"b"]),
        (b'set a "b c"', [b"set", b"a", b"b c"]),
        (b'set a ""', [b"set", b"a", b""]),
        (b"set a ''", [b"set", b"a", b""]),
        (rb'"\x41\n\r\t\b\a\"\\\q\xzz"', [b'A\n\r\t\b\a"\\qxzz']),
        (rb"'a\'b\n\\ '", [rb"a'b\n\\ "]),
        (b'foo"bar"', [b"foobar"]),
        (b"\xff\x00 a", [b"\xff\x00", b"a"]),
        (b"\"a'b\" 'c\"d'", [b"a'b", b'c"d']),
    ],
)
def test_inline_words_as_redis_splits_them(line: bytes, words: list[bytes]) -> None:
    assert parse(line + b"\r\n") == [words]
    assert parse(line + b"\n") == [words]


@pytest.mark.parametrize("line", [b'"', b"'", b'a "b', b'"a"b', b"'a'b", b'"a\\', b'"a\\"', b"'a\\'", b'"a""b"'])
def test_inline_quotes_not_closed_as_redis_wants_are_refused(line: bytes) -> None:
    assert refusal(line + b"\r\n") == "Protocol error: unbalanced quotes in request"


def test_inline_empty_lines_and_empty_arrays_are_passed_over() -> None:
    assert parse(b"\r\n\n  \r\n*0\r\n*-1\r\nPING\r\n") == [[b"PING"]]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"*x\r\n", "invalid multibulk length"),
        (b"*\r\n", "invalid multibulk length"),
        (b"*1_0\r\n", "invalid multibulk length"),
        (b"*+1\r\n", "invalid multibulk length"),
        (b"*9\r\n", "invalid multibulk length"),
        (b"*99999999999999999999\r\n", "invalid multibulk length"),
        (b"*" + b"1" * 40, "too big mbulk count string"),
        (b"*1\r\n:1\r\n", "expected '$', got ':'"),
        (b"*1\r\n\n", "expected '$', got '\\x0a'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$ 1\r\n", "invalid bulk length"),
        (b"*1\r\n$65\r\n", "invalid bulk length"),
        (b"*1\r\n$" + b"1" * 40, "too big bulk count string"),
        (b"*1\r\n$1\r\nabc", "expected CRLF behind a bulk string"),
        (b"*3\r\n" + resp.bulk(bytes(60)) * 2 + b"$60\r\n", "request is larger than 128 bytes"),
        (b"a" * 64, "too big inline request"),
        (b"a " * 9 + b"\r\n", "invalid multibulk length"),
    ],
)
def test_violation_is_one_sentence_however_it_is_cut(data: bytes, sentence: str) -> None:
    assert refusal(data, SMALL) == f"Protocol error: {sentence}"
    good = encode(b"PING")
    assert outcome([good + data], SMALL) == ([[b"PING"]], f"Protocol error: {sentence}")
    one_by_one = [bytes((byte,)) for byte in good + data]
    assert outcome(one_by_one, SMALL) == ([[b"PING"]], f"Protocol error: {sentence}")


def test_violation_stays_whatever_follows() -> None:
    parser = RequestParser()
    for chunk in (b"*x\r\n", b"PING\r\n", b""):
        with pytest.raises(RequestError):
            list(parser.feed(chunk))


def test_limits_at_their_edge_are_kept() -> None:
    assert parse(encode(*[b"a"] * 8), SMALL) == [[b"a"] * 8]
    assert parse(encode(bytes(64), bytes(64)), SMALL) == [[bytes(64)] * 2]
    assert parse(b"a" * 62 + b"\r\n", SMALL) == [[b"a" * 62]]


def test_limits_set_between_two_requests_of_one_chunk() -> None:
    parser = RequestParser(resp.UNAUTHENTICATED)
    large = bytes(100_000)
    received = []
    for request in parser.feed(encode(b"AUTH", b"secret") + encode(b"SET", b"a", large)):
        received.append(request)
        parser.limits = RequestLimits()
    assert received == [[b"AUTH", b"secret"], [b"SET", b"a", large]]


def test_random_bytes_and_mutated_pipelines_give_the_same_in_any_chunks() -> None:
    for seed in range(1500):
        rng = random.Random(seed)
        data = _hostile_bytes(rng)
        whole = outcome([data], SMALL)
        for request in whole[0]:
            assert 1 <= len(request) <= SMALL.arguments, f"seed {seed}"
            assert sum(map(len, request)) <= SMALL.request, f"seed {seed}"
        assert outcome(_random_chunks(rng, data), SMALL) == whole, f"seed {seed}"
        limits = RequestLimits()
        assert outcome(_random_chunks(rng, data), limits) == outcome([data], limits), f"seed {seed}"


def _hostile_bytes(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        return bytes(rng.choices(b"*$0123-\r\n\"'\\x \x00\xffab", k=rng.randrange(200)))
    data = bytearray()
    for _ in range(rng.randrange(1, 6)):
        words = [rng.randbytes(rng.randrange(20)) for _ in range(rng.randrange(1, 6))]
        data += encode(*words) if rng.random() < 0.8 else b'SET "a\\x00" b\r\n'
    for _ in range(rng.randrange(4)):
        position = rng.randrange(len(data))
        kind = rng.randrange(3)
        if kind == 0:
            data[position] = rng.randrange(256)
        elif kind == 1:
            data[position:position] = rng.choice((b"\r", b"\n", b"\r\n", b"$", b"*", b"9", b"-1", b"4294967296"))
        else:
            del data[position : position + rng.randrange(1, 4)]
        if not data:
            break
    return bytes(data)


def _random_chunks(rng: random.Random, data: bytes) -> list[bytes]:
    chunks = []
    while data:
        size = rng.choice((1, 2, 3, 10, 50))
        chunks.append(data[:size])
        data = data[size:]
    return chunks


@pytest.mark.parametrize(
    "unit",
    [b"a", b"*", b" ", b"*1\r\n$4194304\r\n", b"*65536\r\n$1\r\na\r\n", b"$", b'"', b"\r\n", b"*65536\r\n$2\r\nab\r\n"],
    ids=repr,
)
def test_memory_is_bounded_while_a_client_sends_without_end(unit: bytes) -> None:
    limits = RequestLimits(bulk=64 * 1024, request=128 * 1024, arguments=1024)
    parser = RequestParser(limits)
    chunk = (unit * 4096)[:4096]
    tracemalloc.start()
    try:
        for _ in range(500):
            for request in parser.feed(chunk):
                assert len(request) <= limits.arguments
    except RequestError:
        pass
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 4 * limits.request + 256 * 1024


def test_announced_lengths_reserve_no_memory() -> None:
    tracemalloc.start()
    parsers = [RequestParser() for _ in range(100)]
    for parser in parsers:
        list(parser.feed(b"*65536\r\n$4194304\r\n"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 500_000


@pytest.mark.parametrize(
    "make", [lambda size: encode(b"SET", b"a", bytes(size)), lambda size: b"a" * size], ids=["command", "no command"]
)
def test_request_fed_byte_by_byte_costs_in_proportion_to_its_size(make: object) -> None:
    limits = RequestLimits(inline=2**30)
    durations = []
    for size in (30_000, 240_000):
        data = make(size) + b"\r\n"  # type: ignore[operator]
        parser = RequestParser(limits)
        began = time.process_time()
        count = sum(len(list(parser.feed(data[position : position + 1]))) for position in range(len(data)))
        durations.append(time.process_time() - began)
        assert count == 1
    assert durations[1] < 30 * durations[0]


def test_replies_of_both_protocols() -> None:
    assert resp.error("ERR a\nb") == b"-ERR a b\r\n"
    assert resp.integer(-3) == b":-3\r\n"
    pairs = [(resp.bulk(b"a"), resp.integer(1))]
    assert resp.mapping(pairs, 2) == b"*2\r\n$1\r\na\r\n:1\r\n"
    assert resp.mapping(pairs, 3) == b"%1\r\n$1\r\na\r\n:1\r\n"
    assert (resp.null(2), resp.null(3)) == (b"$-1\r\n", b"_\r\n")


def test_null_becomes_the_null_of_resp3_and_values_that_look_like_it_stay() -> None:
    trap = resp.bulk(b"x\r\n$-1\r\n")
    assert resp.in_resp3(resp.NULL) == b"_\r\n"
    assert resp.in_resp3(trap) == trap
    assert resp.in_resp3(resp.array([resp.NULL, trap, resp.NULL])) == resp.array([b"_\r\n", trap, b"_\r\n"])
    assert resp.in_resp3(resp.array([trap])) == resp.array([trap])
    assert resp.in_resp3(b":1\r\n") == b":1\r\n"
