"""The README's code runs, and prints what the README says it prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```\s*(.*?)\n\n", README, re.DOTALL)
EXAMPLES = [(code, after) for code, after in CODE if "import pytest" not in code]
TESTS = [code for code, _ in CODE if "import pytest" in code]


def test_there_are_examples_that_say_what_they_print() -> None:
    assert len(EXAMPLES) == 3
    assert all("It prints" in after for _, after in EXAMPLES)


@pytest.mark.parametrize(("code", "after"), EXAMPLES, ids=["node", "machine", "core"])
def test_an_example_prints_what_it_says(code: str, after: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    claims = re.findall(r"`([^`]*)`", after.split("It prints")[1].split(".")[0].replace("\n", " "))
    assert done.stdout.split("\n")[:-1] == claims


def test_the_test_of_a_state_machine_passes_and_finds_what_it_searches_for(tmp_path: Path) -> None:
    code = TESTS[1].replace("range(10)", "range(1)")
    assert "passed" in run_as_tests(code, tmp_path, status=0)
    broken = code.replace("int(source.read())", "0")
    assert "the state machine's restore loses or changes something" in run_as_tests(broken, tmp_path, status=1)


def test_the_tests_of_transport_store_and_machine_pass(tmp_path: Path) -> None:
    code, _ = TESTS
    assert "4 passed" in run_as_tests(code, tmp_path, status=0)


def run_as_tests(source: str, directory: Path, status: int) -> str:
    """What pytest says of a file with this source; fail unless it ends with this status."""
    (directory / "test_mine.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-k", "not uvloop", "test_mine.py"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout
    return done.stdout


def test_both_commands_of_a_fresh_machine_make_their_own_environment() -> None:
    commands = re.findall(r"```sh\n(python3 -m venv .*?)\n```", README)
    assert len(commands) == 2
    assert all(command.startswith("python3 -m venv .venv && .venv/bin/pip install") for command in commands)
    assert commands[0].endswith("rafty demo")
    assert commands[1].endswith("-m pytest -n auto")
