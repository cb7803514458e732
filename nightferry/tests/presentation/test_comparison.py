"""Test the comparison of runs and executions: everything that differs, once, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.reports import Report
from nightferry.backend.runs import TaskRun
from nightferry.backend.states.values import StateExecution
from nightferry.presentation.comparison import (
    MOST_DIFFERENCES,
    Comparison,
    Difference,
    compare_executions,
    compare_runs,
    flatten,
)
from nightferry.testing.tiers import examples

START = datetime(2026, 11, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RUN = TaskRun(
    "a", "load", "STOPPED", START, START + MINUTE, START + 3 * MINUTE, 0,
    args=("--all",), started_by="anna", execution=None, reason=None,
    env={"COLOR": "red", "OLD": "1"}, cpu=256, revision="toy-load:7", image="toy:1@sha256:00",
)  # fmt: skip


def list_differences(comparisons: list[Comparison]) -> dict[str, dict[str, tuple[str | None, str | None, str]]]:
    return {
        one.title: {found.name: (found.a, found.b, found.change) for found in one.differences}
        for one in comparisons
        if one.differences
    }


def test_only_what_differs_between_two_runs_is_listed() -> None:
    other = replace(
        RUN, id="b", stopped_at=START + 9 * MINUTE, exit_code=3, reason="exit code 3", attempt=2,
        env={"COLOR": "blue", "NEW": "2"}, cpu=512, image="toy:2@sha256:11",
    )  # fmt: skip
    report = Report("1", "a", "load", "import", "x.csv", START, 10, {"created": 8, "rejected": 2})
    more = replace(report, run="b", total=40, counts={"created": 40, "rejected": 0})
    found = compare_runs(
        RUN, other, results=({"rows": 10, "same": [1]}, {"rows": 40, "same": [1]}), reports=([report], [more, more]),
        measures=({"peak memory in MiB": 100}, {"peak memory in MiB": 150}), now=START,
    )  # fmt: skip
    assert list_differences(found) == {
        "Outcome": {
            "exit code": ("0", "3", ""),
            "reason": (None, "exit code 3", ""),
            "attempt": ("1", "2", ""),
        },
        "Durations": {
            "took": ("2 min 0 s", "8 min 0 s", "+6 min 0 s (4.0×)"),
            "peak memory in MiB": ("100", "150", "+50 (1.5×)"),
        },
        "Inputs": {
            "COLOR": ("red", "blue", ""),
            "OLD": ("1", None, ""),
            "NEW": (None, "2", ""),
            "cpu units": ("256", "512", "+256 (2.0×)"),
        },
        "Code": {"image": ("toy:1@sha256:00", "toy:2@sha256:11", "")},
        "Result": {"rows": ("10", "40", "+30 (4.0×)")},
        "Reports": {
            "import: reports": ("1", "2", "+1 (2.0×)"),
            "import: total": ("10", "80", "+70 (8.0×)"),
            "import: created": ("8", "80", "+72 (10.0×)"),
            "import: rejected": ("2", "0", "−2"),
        },
    }
    equal = {one.title: one.equal for one in found}
    assert equal == {"Outcome": 3, "Durations": 1, "Inputs": 1, "Code": 1, "Result": 1, "Reports": 0}


def test_a_run_has_no_differences_from_itself() -> None:
    assert list_differences(compare_runs(RUN, replace(RUN, id="b"), now=START)) == {}


def state(name: str, minutes: float, *, failed: bool = False, attempts: int = 1) -> StateExecution:
    return StateExecution(name, "Task", START, START + minutes * MINUTE, failed, None, attempts, 0, ())


COUNTS = {"passes": "1", "failed passes": "1"}


def test_the_passes_through_a_state_count_together() -> None:
    a = WorkflowExecution("a", "etl", "SUCCEEDED", START, START + 5 * MINUTE, None, None, input={"day": 1})
    b = replace(a, id="b", status="FAILED", error="X", stopped_at=START + 9 * MINUTE, input={"day": 2, "full": True})
    passes = ([state("load", 1), state("load", 2)], [state("load", 4), state("load", 2), state("end", 1, failed=True)])
    found = list_differences(compare_executions(a, b, states=passes, now=START))
    assert found == {
        "Outcome": {"status": ("SUCCEEDED", "FAILED", ""), "error": (None, "X", "")},
        "Durations": {
            "execution": ("5 min 0 s", "9 min 0 s", "+4 min 0 s (1.8×)"),
            "load": ("3 min 0 s", "6 min 0 s", "+3 min 0 s (2.0×)"),
            "end": (None, "1 min 0 s", ""),
        },
        "States": {f"end: {name}": (None, number, "") for name, number in COUNTS.items()},
        "Input": {"day": ("1", "2", "+1 (2.0×)"), "full": (None, "true", "")},
    }  # fmt: skip


KEYS = st.text("ab", min_size=1, max_size=2)
TEXTS = st.text("ab.[0]", max_size=3) | st.sampled_from(["true", "null", "1", "[]"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
@settings(max_examples=examples(100), deadline=None)
def test_equal_values_have_no_differences_and_different_ones_have_some(a: Any, b: Any) -> None:
    found = list_differences(compare_runs(RUN, RUN, results=(a, b), now=START))
    assert bool(found) == (json.dumps(a, sort_keys=True) != json.dumps(b, sort_keys=True))
    assert all(shown[0] != shown[1] for shown in found.get("Result", {}).values())


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "x", [], {}, [[]], {"a": None}])
def test_every_kind_of_value_has_a_path(value: Any) -> None:
    assert (flatten(value) == {}) == (value is None)


def test_many_and_long_differences_are_shortened() -> None:
    a, b = {str(n): n for n in range(1000)}, {str(n): "x" * 10_000 for n in range(1000)}
    (result,) = (one for one in compare_runs(RUN, RUN, results=(a, b), now=START) if one.title == "Result")
    assert (len(result.differences), result.left_out) == (MOST_DIFFERENCES, 1000 - MOST_DIFFERENCES)
    assert isinstance(result.differences[0], Difference)
    assert str(result.differences[0].b).endswith("x… (10,000 characters)")
