"""Settings that make no sense are refused."""

from typing import Any

import pytest

from rafty_core import Config


def test_defaults_are_accepted() -> None:
    config = Config(id="n1")
    assert (config.election_timeout, config.heartbeat_interval, config.boot) == (0.5, 0.1, 1)


@pytest.mark.parametrize(
    "settings",
    [
        {"id": "with space"},
        {"boot": 0},
        {"heartbeat_interval": 0.5},
        {"heartbeat_interval": 0.0},
        {"election_timeout": float("nan")},
        {"max_batch_bytes": 0},
        {"max_inflight_messages": -1},
        {"max_inflight_bytes": -1},
        {"forward_timeout": 0.0},
    ],
    ids=str,
)
def test_senseless_setting_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings)).partition("_")[0]):
        Config(**{"id": "n1", **settings})


def test_no_bound_of_bytes_in_flight_is_allowed() -> None:
    assert Config(id="n1", max_inflight_bytes=0).max_inflight_bytes == 0
