"""Every place in the code that refuses a definition is reached by a fixture of tests/states/refused, or listed here."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import nightferry.states
from nightferry.states import validate
from nightferry.states.language.parser import LONGEST_DEFINITION

STATES = Path(nightferry.states.__file__).parent
MODULES = [
    "choice_parser", "error_fields", "expressions", "fields", "intrinsics", "jsonata_references", "map_parser",
    "parser", "path_filters", "paths", "resources", "rules",
]  # fmt: skip
PATHS = {file.stem: file for file in STATES.rglob("*.py") if file.stem in MODULES}
FIXTURES = sorted(Path(__file__).with_name("refused").glob("*.json"))


def refusals(module: str) -> dict[int, str]:
    """The lines of a module that refuse something: a problem is noted, or a syntax error made."""
    source = PATHS[module].read_text(encoding="utf-8")
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called.endswith((".problem", ".fail")) or called in ("Problem", "BadExpression", "FilterSyntaxError"):
                found[node.lineno] = ast.unparse(node)[:100]
        elif module == "jsonata_references" and isinstance(node, ast.Return) and "refers to" in ast.unparse(node):
            found[node.lineno] = ast.unparse(node)[:100]
    return found


def reached() -> set[tuple[str, int]]:
    """The lines that run while all fixtures are refused."""
    lines: set[tuple[str, int]] = set()
    files = {str(PATHS[module]): module for module in MODULES}

    def within(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.add((files[frame.f_code.co_filename], frame.f_lineno))
        return within

    def entered(frame: FrameType, _event: str, _: Any) -> Any:
        return within if frame.f_code.co_filename in files else None

    from nightferry.states.data import intrinsics, jsonata, paths

    for cached in (intrinsics.parse, jsonata.parse, paths.parse):
        cached.cache_clear()
    before = sys.gettrace()
    sys.settrace(entered)
    try:
        for fixture in FIXTURES:
            validate(json.loads(fixture.read_text(encoding="utf-8"))["definition"])
        validate(" " * (LONGEST_DEFINITION + 1))  # no fixture: a file of that size would help nobody
    finally:
        sys.settrace(before)
    return lines


def test_every_rule_has_a_fixture() -> None:
    ran = reached()

    missing = [
        f"{module}.py:{line}: {text}"
        for module in MODULES
        for line, text in refusals(module).items()
        if (module, line) not in ran and "self.problems.append" not in text and "self.path if name is None" not in text
    ]

    assert not missing, "\n".join(missing)


def test_the_test_finds_the_rules() -> None:
    assert sum(len(refusals(module)) for module in MODULES) > 100
