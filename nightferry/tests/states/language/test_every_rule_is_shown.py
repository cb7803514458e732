"""Check that a fixture of tests/states/language/refused reaches every line that rejects a definition."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import nightferry.states
from nightferry.states import validate
from nightferry.states.language.parser import DEFINITION_LIMIT_BYTES

STATES = Path(nightferry.states.__file__).parent
MODULES = [
    "choice_parser", "error_fields", "expressions", "fields", "intrinsics", "jsonata_references", "map_parser",
    "parser", "path_filters", "paths", "resources", "rules",
]  # fmt: skip
PATHS = {file.stem: file for file in STATES.rglob("*.py") if file.stem in MODULES}
FIXTURES = sorted(Path(__file__).with_name("refused").glob("*.json"))


def find_rejections(module: str) -> dict[int, str]:
    """Return the lines of a module that report a problem or create a syntax error, with their source."""
    source = PATHS[module].read_text(encoding="utf-8")
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            function = ast.unparse(node.func)
            if function.endswith((".report", ".fail")) or function in ("Problem", "BadExpression", "FilterSyntaxError"):
                found[node.lineno] = ast.unparse(node)[:100]
        elif module == "jsonata_references" and isinstance(node, ast.Return) and "refers to" in ast.unparse(node):
            found[node.lineno] = ast.unparse(node)[:100]
    return found


def trace_fixtures() -> set[tuple[str, int]]:
    """Return the lines that run while all fixtures are validated."""
    lines: set[tuple[str, int]] = set()
    files = {str(PATHS[module]): module for module in MODULES}

    def trace_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            lines.add((files[frame.f_code.co_filename], frame.f_lineno))
        return trace_line

    def trace_call(frame: FrameType, _event: str, _: Any) -> Any:
        return trace_line if frame.f_code.co_filename in files else None

    from nightferry.states.data import intrinsics, jsonata, paths

    for cached in (intrinsics.parse, jsonata.parse, paths.parse):
        cached.cache_clear()
    before = sys.gettrace()
    sys.settrace(trace_call)
    try:
        for fixture in FIXTURES:
            validate(json.loads(fixture.read_text(encoding="utf-8"))["definition"])
        validate(" " * (DEFINITION_LIMIT_BYTES + 1))  # generated, because a fixture would be too large
    finally:
        sys.settrace(before)
    return lines


def test_every_rule_has_a_fixture() -> None:
    traced = trace_fixtures()

    missing = [
        f"{module}.py:{line}: {text}"
        for module in MODULES
        for line, text in find_rejections(module).items()
        if (module, line) not in traced
        and "self.problems.append" not in text
        and "self.path if name is None" not in text
        and "self.problems.append" not in text
        and "self.path if name is None" not in text
    ]

    assert not missing, "\n".join(missing)


def test_the_rejections_are_found() -> None:
    assert sum(len(find_rejections(module)) for module in MODULES) > 100
