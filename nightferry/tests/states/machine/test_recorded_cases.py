"""Results recorded from AWS (see recorded/README.md): status, output, error, cause and history must match."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nightferry.states import run

_FILE = Path(__file__).parents[1] / "recorded" / "recorded_cases.jsonl"
CASES = [json.loads(line) for line in _FILE.read_text(encoding="utf-8").splitlines()]

RECORDED = datetime(2026, 11, 24, tzinfo=UTC)
"""The date of the recordings: two cases are just below and above the longest wait, counted from this date."""


def test_all_cases_are_read() -> None:
    assert len(CASES) == 462


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].split("/", 1)[1])
def test_recorded_case(case: dict[str, Any]) -> None:
    result = run(case["definition"], case["input"], start=RECORDED, workflow_type=case.get("type", "STANDARD"))

    assert result.status == case["status"], f"{result.error}: {result.cause}"
    assert_same(result.output, case.get("output"), "output")
    assert_same(result.error, case.get("error"), "error")
    assert_same(result.cause, case.get("cause"), "cause")
    if "events" in case:
        assert [event["type"] for event in result.history] == [event["type"] for event in case["events"]]
        for ours, recorded in zip(result.history, case["events"], strict=True):
            ours = {name: value for name, value in ours.items() if name != "timestamp"}
            assert_same(ours, recorded, f"event {recorded['id']}")


def assert_same(ours: Any, recorded: Any, at: str) -> None:
    """Assert that our value equals the recorded one, where ``__ANY__`` is a wildcard and JSON text may be parsed."""
    if isinstance(recorded, str) and "__ANY__" in recorded:
        parsed = ours if isinstance(ours, str) else json.dumps(ours, separators=(",", ":"))
        pattern = ".*".join(re.escape(part) for part in recorded.split("__ANY__"))
        assert re.fullmatch(pattern, parsed, re.DOTALL), f"{at}: {parsed} is not {recorded}"
    elif isinstance(recorded, dict):
        ours = json.loads(ours) if isinstance(ours, str) else ours
        assert isinstance(ours, dict), f"{at}: {ours!r} is not an object"
        assert ours.keys() == recorded.keys(), at
        for name, value in recorded.items():
            assert_same(ours[name], value, f"{at}.{name}")
    elif isinstance(recorded, list):
        ours = json.loads(ours) if isinstance(ours, str) else ours
        assert isinstance(ours, list), f"{at}: {ours!r} is not an array"
        assert len(ours) == len(recorded), at
        for index, (one, other) in enumerate(zip(ours, recorded, strict=True)):
            assert_same(one, other, f"{at}[{index}]")
    elif isinstance(recorded, str) and _is_json(recorded):
        # A payload that is not an object was recorded as text.
        parsed = json.loads(ours) if isinstance(ours, str) and _is_json(ours) else ours
        assert parsed == json.loads(recorded) or ours == recorded, f"{at}: {ours!r} is not {recorded!r}"
    else:
        assert type(ours) is type(recorded), at
        assert ours == recorded, at


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
