"""R202: an authority has signed a certificate whose names are no text.

Found by attacking a node with credentials: TLS accepts such a certificate, but Python cannot tell what stands in it.
The error was nobody's, and ended the node: as it answered the bearer of such a certificate, as it dialed one, and as it
looked whether one may replace its own.
"""

import ssl
from pathlib import Path

import anyio
import pytest

from rafty_transports.interfaces import Refused
from rafty_transports.security import Credentials, WrongCredentials
from tests.transports.tls_kit import Authority, Files, meet, sentence_of

pytestmark = pytest.mark.anyio

NO_TEXT = b"\x30\x05\x82\x03n\xff2"
"""A subjectAltName with one DNS name of three bytes, which are no UTF-8."""


def bearer(files: Files) -> Credentials:
    """Credentials of somebody who does not look at his own certificate."""
    return Credentials(files.context(ssl.PROTOCOL_TLS_SERVER), files.context(ssl.PROTOCOL_TLS_CLIENT))


async def test_its_bearer_is_refused_in_both_directions(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.issue("n1", "n1").credentials()
    odd = bearer(authority.issue("n2", alternative=NO_TEXT))
    said, refused = await meet(odd, mine, "n1")
    assert "names nobody" in sentence_of(refused)
    assert "names nobody" in sentence_of(said)
    refused, _ = await meet(mine, odd, "n2")
    assert "has a certificate for nobody, not for n2" in sentence_of(refused, Refused)


async def test_it_replaces_no_other(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("n1", "n1")
    credentials = files.credentials()
    credentials.check_own("n1")
    known = await credentials.contexts()
    authority.issue("n1", alternative=NO_TEXT)
    with anyio.fail_after(5):
        assert await credentials.contexts() == known
    with pytest.raises(WrongCredentials, match="is for nobody, and this node is n1"):
        files.credentials().check_own("n1")
