"""Nothing of the acceptance data is passed over: each rule and each table is tested, or set aside with its reason."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from tests.acceptance import data, set_aside

HERE = Path(__file__).parent


def rules_with_tests() -> Iterator[str]:
    """The ids in the names of the tests beside this file: `test_rule_5_4_03_...` tests 5.4-03."""
    for path in sorted(HERE.glob("test_*.py")):
        for section, number in re.findall(r"^def test_rule_([a-z0-9_]+?)_(\d\d)_", path.read_text(), re.MULTILINE):
            yield f"{section.replace('_', '.').upper()}-{number}"


def test_every_rule_is_tested_or_set_aside() -> None:
    """And none is both."""
    tested, aside = set(rules_with_tests()), set(set_aside.RULES)
    rules = set(data.rule_ids())
    assert rules - tested - aside == set()
    assert tested & aside == set()
    assert tested - rules == set()


def test_every_rule_set_aside_exists() -> None:
    """The list holds no id of a rule that is gone."""
    assert set(set_aside.RULES) - set(data.rule_ids()) == set()


def test_every_table_is_used_or_set_aside() -> None:
    """And none is both. The tables are asked for where their tests are defined, so these are imported first."""
    for path in sorted({*HERE.glob("test_tables_*.py"), *HERE.glob("test_rules_*.py")}):
        import_module(f"tests.acceptance.{path.stem}")
    data.table("inflights_window")
    data.table("election_timeout_spread")
    aside = set(set_aside.TABLES)
    assert set(data.names("tables")) - data.tables_used - aside == set()
    assert data.tables_used & aside == set()
