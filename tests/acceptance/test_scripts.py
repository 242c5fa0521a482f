"""Every script of the acceptance data, played on a cluster of cores."""

import pytest

from tests.acceptance import data
from tests.acceptance.comparing import UnknownInScript
from tests.acceptance.script_runner import ScriptRunner


@pytest.mark.parametrize("name", data.names("scripts"))
def test_script_plays_as_recorded(name: str) -> None:
    """After each operation every node is in the state that the script gives."""
    script = data.script(name)
    ScriptRunner(script).play()


def test_unknown_operation_fails_loudly() -> None:
    """A script that asks for more than the runner knows is not passed over."""
    with pytest.raises(UnknownInScript, match="operation 'levitate' is not known"):
        ScriptRunner({"steps": [{"line": 1, "op": "levitate"}]}).play()
