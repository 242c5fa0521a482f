"""The README's code runs, and prints what the README says it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```\s*(.*?)\n\n", README, re.DOTALL)


def test_there_are_examples_that_say_what_they_print() -> None:
    assert len(EXAMPLES) == 3
    assert all("It prints" in after for _, after in EXAMPLES)


@pytest.mark.parametrize(("code", "after"), EXAMPLES, ids=["node", "machine", "core"])
def test_an_example_prints_what_it_says(code: str, after: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    claims = re.findall(r"`([^`]*)`", after.split("It prints")[1].split(".")[0].replace("\n", " "))
    assert done.stdout.split("\n")[:-1] == claims


def test_both_commands_of_a_fresh_machine_make_their_own_environment() -> None:
    commands = re.findall(r"```sh\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv && .venv/bin/pip install") for command in commands)
    assert commands[0].endswith("rafty demo")
    assert commands[1].endswith("-m pytest -n auto")
