"""The JSONata library against the published cases of the reference implementation, with the results of version 2.0.6.

The cases are not in this repository. ``make test-long`` reads them from the folder that JSONATA_CASES names:
``cases.jsonl`` and ``datasets.json``.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from jlens import JlensError

from nightferry.states.data.jsonata_worker import compile_expression

SECONDS = 20.0  # for one case


@pytest.mark.long
def test_every_published_case() -> None:
    folder = os.environ.get("JSONATA_CASES")
    if folder is None:
        pytest.skip("JSONATA_CASES does not name a folder with published cases")
    cases, datasets = read_cases(Path(folder)) if folder else ([], {})
    assert cases, f"JSONATA_CASES={folder!r} names no folder with published cases of JSONata"

    failed = [problem for case in cases if (problem := check(case, datasets))]

    assert not failed, f"{len(failed)} of {len(cases)}:\n" + "\n".join(failed)


def read_cases(folder: Path) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text(encoding="utf-8").splitlines()]
    datasets = folder / "datasets.json"
    return [json.loads(line) for line in lines], json.loads(datasets.read_bytes()) if datasets.exists() else {}


def check(case: dict[str, Any], datasets: dict[str, Any]) -> str | None:
    """Return the difference from the case's result, or None."""
    data = datasets[case["dataset"]] if "dataset" in case else case.get("data")
    has_data = "dataset" in case or "data" in case
    actual: dict[str, Any]
    try:
        text = compile_expression(case["expr"]).evaluate_json(
            json.dumps(data) if has_data else None, case.get("bindings"), timeout=SECONDS
        )
        actual = {"undefined": True} if text is None else {"result": json.loads(text)}
    except JlensError as error:
        actual = {"code": error.code}
    except Exception as error:  # an error of a function of ours
        actual = {"code": getattr(error, "code", repr(error))}
    expected = {key: case[key] for key in ("undefined", "result", "code") if key in case}
    return None if is_same(actual, expected) else f"{case['name']}: {case['expr']!r} is {actual}, not {expected}"


def is_same(actual: Any, expected: Any) -> bool:
    """Return True if two values are equal, apart from the last bit of a number. A function appears as null."""
    match actual, expected:
        case None, "<fn>":
            return True
        case dict(), dict():
            return actual.keys() == expected.keys() and all(is_same(actual[key], expected[key]) for key in actual)
        case list(), list():
            return len(actual) == len(expected) and all(map(is_same, actual, expected))
        case (bool(), _) | (_, bool()):
            return actual is expected
        case int() | float(), int() | float():
            return math.isclose(actual, expected, rel_tol=1e-15)
        case _:
            return bool(actual == expected)
