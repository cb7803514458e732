"""Check that docs/states.md names existing tests, and every operator, function and error of the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from random import Random

import pytest

from nightferry.states.data.intrinsic_functions import FUNCTIONS
from nightferry.states.data.jsonata_worker import make_functions
from nightferry.states.language.choice import COMPARISONS, TYPE_TESTS
from nightferry.states.language.error_fields import PREDEFINED_ERRORS
from nightferry.states.language.resources import INVOKE, PUBLISH, RUN_TASK, START_EXECUTION

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "states.md").read_text(encoding="utf-8")
TABLE = [line for line in PAGE.splitlines() if line.startswith("|") and ".py::" in line]
OWN = [name.removesuffix("_") for name in make_functions(Random(0))]
STATES = ["Pass", "Succeed", "Fail", "Wait", "Choice", "Task", "Parallel", "Map"]


@cache
def named_tests(file: str) -> set[str]:
    tree = ast.parse(next(HERE.rglob(file)).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.split("|")[1].strip()[:60])
def test_the_tests_in_a_row_exist(row: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(\w+)`", row)

    assert named
    for file, test in named:
        assert test in named_tests(file), f"{file} has no {test}"


@pytest.mark.parametrize(
    "name", [*STATES, *COMPARISONS, *TYPE_TESTS, "IsPresent", *FUNCTIONS, *sorted(PREDEFINED_ERRORS)]
)
def test_every_feature_of_the_code_has_a_row(name: str) -> None:
    assert any(re.search(rf"\b{re.escape(name)}\b", row) for row in TABLE)


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_jsonata_function_is_documented(name: str) -> None:
    assert f"${name}" in PAGE


@pytest.mark.parametrize("resource", [RUN_TASK, PUBLISH, INVOKE, *START_EXECUTION])
def test_every_resource_is_documented(resource: str) -> None:
    name = resource.removeprefix("arn:aws:states:::")
    assert f"`{name.partition('.')[0]}" in PAGE
