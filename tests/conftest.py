"""Shared by all tests: every test that touches IO runs on asyncio and on trio."""

import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The two backends of anyio; a test marked `anyio` runs on each."""
    return str(request.param)
