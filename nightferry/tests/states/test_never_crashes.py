"""Any definition is either rejected with problems or runs to a result; it never causes another exception."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nightferry.states import InvalidDefinition, InvalidInput, StatesError, UnknownResource, run, validate
from nightferry.testing.tiers import examples
from tests.states.definitions import TASKS, definitions
from tests.states.machine.test_recorded_cases import CASES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ODD = JSON | st.sampled_from(
    [
        "$",
        "$.a",
        "$.a[*]",
        "$$",
        "$x",
        "States.UUID()",
        "States.Format('{}', $.a)",
        "{% $states.input %}",
        "{% $nope %}",
    ]
)
# Recorded definitions without the many comparisons that have the same shape.
KINDS = [case for case in CASES if "#" not in case["name"]]


def list_paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every part of a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += list_paths(item, (*path, key))
    return found


def boom(_: Any) -> Any:
    raise StatesError("Boom", None)


CALLABLES = {
    f"{TASKS}{name}": (boom if name == "boom" else (lambda value: value))
    for name in ("ok", "boom", "flaky", "slow", "work.sync")
}


@settings(max_examples=examples(75), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_definition_is_rejected_or_runs(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(KINDS))
    definition = copy.deepcopy(case["definition"])
    for _ in range(data.draw(st.integers(1, 2))):
        *parents, last = data.draw(st.sampled_from(list_paths(definition)))
        parent = definition
        for key in parents:
            parent = parent[key]
        match data.draw(st.sampled_from(["drop", "odd", "rename"])):
            case "drop":
                del parent[last]
            case "odd":
                parent[last] = data.draw(ODD)
            case "rename" if isinstance(parent, dict):
                parent[data.draw(st.sampled_from(["Next", "End", "Type", "Output", "x.$", "ItemsPath"]))] = parent.pop(
                    last
                )
        if not list_paths(definition):
            break

    problems = validate(definition)
    value = data.draw(st.sampled_from([case["input"], {}, None, [1], "x", {"a": 1}]))
    if problems:
        with pytest.raises(InvalidDefinition) as refused:
            run(definition, value)
        assert list(refused.value.problems) == problems
        return
    try:
        result = run(definition, value)
    except UnknownResource:
        return
    assert result.status in ("SUCCEEDED", "FAILED", "TIMED_OUT")


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(definitions(), JSON)
def test_a_generated_definition_ends(definition: dict[str, Any], data: Any) -> None:
    result = run(definition, data, tasks=CALLABLES)

    assert result.status in ("SUCCEEDED", "FAILED") or (result.status == "TIMED_OUT" and "TimeoutSeconds" in definition)
    json.dumps([event.to_json() for event in result.events])
    ids = [event["id"] for event in result.history]
    assert ids == list(range(1, len(ids) + 1))
    assert all(0 <= event["previousEventId"] < event["id"] for event in result.history)


@settings(max_examples=examples(50), deadline=None)
@given(ODD)
@example({"StartAt": "A", "States": {"A": {"Type": []}}})
@example({"StartAt": {}, "States": {"A": {"Type": "Pass", "End": 1}}})
def test_validate_accepts_any_value(value: Any) -> None:
    assert isinstance(validate(value), list)
    assert isinstance(validate(json.dumps(value)), list)


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", {1, 2}, 10**5000],
    ids=["NaN", "Infinity", "surrogate", "set", "long"],
)
def test_a_value_that_is_not_json_is_refused_or_fails_its_state(value: Any) -> None:
    task = {
        "Type": "Task",
        "Resource": f"{TASKS}odd",
        "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "E"}],
        "Next": "E",
    }
    definition = {"StartAt": "T", "States": {"T": task, "E": {"Type": "Succeed"}}}

    assert run(definition, tasks={f"{TASKS}odd": lambda _: value}).status == "SUCCEEDED"
    with pytest.raises(InvalidInput):
        run(definition, [value], tasks={f"{TASKS}odd": dict})
    assert validate({**definition, "Comment": value})
