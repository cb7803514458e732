"""The workload imports only public names of the toolkit, which docs/architecture.md lists."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Public names of the toolkit")[2].partition("\n## ")[0]
ROWS = [line.split("|")[1] for line in SECTION.splitlines() if line.startswith("| `")]
PUBLIC = {name for row in ROWS for name in re.findall(r"`([\w.]+)`", row)}
SOURCE = ROOT / "paidleave" / "src"


def list_public_names(module: str) -> set[str]:
    """Return the names in ``__all__``, or those that the module itself defines."""
    found = importlib.import_module(module)
    defined = {name for name, value in vars(found).items() if getattr(value, "__module__", None) == module}
    return set(getattr(found, "__all__", None) or (name for name in defined if not name.startswith("_")))


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_only_public_names_of_the_toolkit_are_imported(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.partition(".")[0] == "nightferry"]
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "nightferry":
            names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in PUBLIC}
            assert not names or node.module in PUBLIC, f"{node.module} is not public"
            assert names <= (list_public_names(node.module) if names and node.module else set()), node.module
