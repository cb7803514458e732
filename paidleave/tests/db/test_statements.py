"""SQL statement files run by name and begin with a comment line."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path

import psycopg
import pytest

import paidleave
from paidleave.db.statements import Statements

FILES = sorted(Path(str(resources.files(paidleave))).rglob("*.sql"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.parent.name}-{file.stem}")
def test_file_begins_with_a_comment_line(file: Path) -> None:
    assert re.match(r"-- [A-Z][^\n]+[a-z.:,]\n", file.read_text(encoding="utf-8"))


def test_every_statement_file_is_used() -> None:
    for folder in sorted({file.parent for file in FILES if "fineos" in file.parts}):
        code = "".join(module.read_text(encoding="utf-8") for module in folder.parent.glob("*.py"))
        for file in folder.glob("*.sql"):
            assert f'"{file.stem}"' in code, file


def test_names_are_in_execution_order_and_have_a_summary() -> None:
    statements = Statements("paidleave.operations")
    names = statements.list_names("checks")
    assert names == sorted(names)
    assert len(names) == len(list(Path(str(resources.files(paidleave))).glob("operations/sql/checks/*.sql")))
    assert all(statements.read_summary(name) and not statements.read_summary(name).startswith("--") for name in names)


def test_statement_runs_with_values(database: str) -> None:
    with psycopg.connect(database) as connection:
        found = Statements("paidleave.fineos.employers").run(connection, "new_employers_still_new", employers=[])
        assert found.fetchall() == []
