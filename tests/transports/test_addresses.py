"""Addresses as text: what each part may be, and what a node with a certificate, or without one, must not speak."""

import pytest

from rafty_transports.addresses import PATH_LIMIT, SCHEMES, Address, check_encryption, parse_address, split_address


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("host:7000", Address("tcp", "host", 7000)),
        ("tcp://host:7000", Address("tcp", "host", 7000)),
        ("tls://host:7000", Address("tls", "host", 7000)),
        ("ws://host:7000", Address("ws", "host", 7000, "/rafty")),
        ("wss://host:7000/", Address("wss", "host", 7000, "/rafty")),
        ("wss://[::1]:0/a/b-c._~", Address("wss", "::1", 0, "/a/b-c._~")),
        ("ws://host:65535/" + "x" * PATH_LIMIT, Address("ws", "host", 65535, "/" + "x" * PATH_LIMIT)),
    ],
)
def test_an_address_and_its_parts(text: str, parts: Address) -> None:
    assert parse_address(text) == parts
    assert parse_address(str(parts)) == parts


def test_what_is_meant_where_no_scheme_is_named() -> None:
    for scheme in SCHEMES:
        path = "/rafty" if scheme.startswith("ws") else ""
        assert parse_address("host:1", scheme) == Address(scheme, "host", 1, path)
    assert parse_address("tcp://host:1", "wss").scheme == "tcp"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("http://host:1", "begins with none of tcp://, tls://, ws://, wss://"),
        ("://host:1", "begins with none of"),
        ("WS://host:1", "begins with none of"),
        ("tcp://host:1/path", "only WebSockets have one"),
        ("host:1/", "only WebSockets have one"),
        ("tls://host:1/../../etc/passwd", "only WebSockets have one"),
        ("ws://host:1/a?b", "has other characters"),
        ("ws://host:1/a b", "has other characters"),
        ("ws://host:1/a\r\nHost: other", "has other characters"),
        ("ws://host:1/é", "has other characters"),
        ("ws://host:1/" + "x" * (PATH_LIMIT + 1), "or too many"),
    ],
)
def test_an_address_that_is_none_is_refused_in_one_short_sentence(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as refused:
        parse_address(text)
    assert len(str(refused.value)) < 250
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("port", ["", "x", "-1", "+1", " 1", "1_0", "65536", "99999999999", "1²", "٣"])
def test_a_port_is_a_number_in_ascii_up_to_65535(port: str) -> None:
    with pytest.raises(ValueError, match="an address is host:port"):
        split_address(f"host:{port}")


@pytest.mark.parametrize("secured", ["tls", "wss"])
def test_a_node_without_a_certificate_must_not_promise_encryption(secured: str) -> None:
    address = parse_address(f"{secured}://host:1")
    check_encryption(address, certificate=True)
    with pytest.raises(ValueError, match=f"{secured}://host:1 is encrypted, and this node has no certificate"):
        check_encryption(address, certificate=False)


@pytest.mark.parametrize(("plain", "secured"), [("tcp", "tls"), ("ws", "wss")])
def test_a_node_with_a_certificate_must_not_speak_plain_text(plain: str, secured: str) -> None:
    address = parse_address(f"{plain}://host:1")
    check_encryption(address, certificate=False)
    with pytest.raises(ValueError, match=f"this node has a certificate; use {secured}://"):
        check_encryption(address, certificate=True)
