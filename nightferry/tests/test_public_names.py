"""Test that the public modules in docs/architecture.md exist, have docstrings and export their names."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Public names of the toolkit")[2].partition("\n## ")[0]
ROWS = [line.split("|")[1] for line in SECTION.splitlines() if line.startswith("| `")]
PUBLIC = [name for row in ROWS for name in re.findall(r"`([\w.]+)`", row)]


@pytest.mark.parametrize("module", PUBLIC)
def test_a_public_module_has_a_docstring_and_exports_its_names(module: str) -> None:
    public = importlib.import_module(module)
    assert public.__doc__
    names = getattr(public, "__all__", ())
    assert sorted(names, key=str.lower) == sorted(set(names), key=str.lower)
    for name in names:
        assert getattr(public, name) is not None


def test_declarations_can_be_imported_without_optional_packages() -> None:
    program = "import sys, nightferry; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pydantic", "rich", "typer", "starlette", "boto3", "psycopg"} & set(loaded)
