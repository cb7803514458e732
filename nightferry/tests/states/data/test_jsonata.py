from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from nightferry.states import StatesError, run
from tests.states.machines import INVOKE, details, one, types


def machine(state: dict[str, Any], **others: Any) -> dict[str, Any]:
    return {"QueryLanguage": "JSONata", **one(state, **others)}


def output(expression: Any, data: Any = None) -> Any:
    result = run(machine({"Type": "Pass", "Output": expression}), data)
    assert result.status == "SUCCEEDED", result.cause
    return result.output


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("{% $states.input.a + 1 %}", 3),
        ("{% $states.input.list[$ > 1] %}", [2, 3]),
        ("{% $states.input.list[$ > 2] %}", 3),
        ("{% [1..3] %}", [1, 2, 3]),
        ("{% [1] %}", [1]),
        ("{% $states.input.nothing %}", None),
        ("{% null %}", None),
        ("{% 'x' & $string($states.input.a) %}", "x2"),
        ("{% {'a': [$states.input.nothing]} %}", {"a": [None]}),
        ("{% $partition([1,2,3], 2) %}", [[1, 2], [3]]),
        ("{% $range(0, 6, 3) %}", [0, 3, 6]),
        ("{% $hash('x', 'MD5') %}", "9dd4e461268c8034f5c8564e155c67a6"),
        ("{% $parse('{\"a\":[1]}').a %}", [1]),
        ("{% $random(5) = $random(5) %}", True),
        ("{% $states.context.State.Name %}", "S"),
        (
            {"a": "{% 1 %}", "b": ["{% 2 %}", {"c": "{%3%}"}], "d": " {% 4 %}"},
            {"a": 1, "b": [2, {"c": 3}], "d": " {% 4 %}"},
        ),
    ],
)
def test_value(expression: Any, value: Any) -> None:
    assert output(expression, {"a": 2, "list": [1, 2, 3], "nothing": None}) == value


def test_time_and_random_numbers_are_the_machines() -> None:
    start = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)
    state = {"Type": "Pass", "Output": ["{% $now() %}", "{% $uuid() %}", "{% $uuid() %}", "{% $millis() %}"]}

    first, second = (run(machine(state), start=start).output for _ in range(2))

    assert first == second
    assert first[0] == "2026-11-24T01:02:03.000Z"
    assert first[3] == int(start.timestamp() * 1000)
    assert uuid.UUID(first[1]).version == 4
    assert first[1] != first[2]


@pytest.mark.parametrize(
    ("expression", "location", "cause"),
    [
        ({"a": {"b": "{% $states.input.no %}"}}, "Output/a/b", "returned nothing (undefined)"),
        ("{% 'a' + 1 %}", "Output", "T2001"),
        ("{% $nope(1) %}", "Output", "T1006"),
        ("{% $eval('1') %}", "Output", "T1006"),
        ("{% $sum %}", "Output", "unsupported result type"),
        (["{% $states.input.no %}"], "Output[0]", "undefined"),
    ],
)
def test_a_failed_evaluation_names_the_field(expression: Any, location: str, cause: str) -> None:
    result = run(machine({"Type": "Pass", "Output": expression}))

    assert (result.status, result.error) == ("FAILED", "States.QueryEvaluationError")
    assert types(result)[2:] == ["EvaluationFailed", "ExecutionFailed"]
    (failed,) = details(result, "EvaluationFailed")
    assert failed["location"] == location
    assert failed["state"] == "S"
    assert cause in failed["cause"]
    assert "(entered at the event id #2)" in failed["cause"]


def test_a_task_in_jsonata() -> None:
    state = {
        "Type": "Task",
        "Resource": INVOKE,
        "Arguments": {"n": "{% $states.input.n %}"},
        "TimeoutSeconds": "{% $states.input.n * 2 %}",
        "Assign": {"kept": "{% $states.result.value %}"},
        "Output": {"in": "{% $states.input %}", "out": "{% $states.result.value %}"},
        "Next": "E",
    }
    end = {"Type": "Pass", "Output": {"kept": "{% $kept %}", "was": "{% $states.input.out %}"}, "End": True}

    result = run(machine(state, E=end), {"n": 4}, tasks={INVOKE: lambda p: {"value": p["n"] * 2}})

    assert result.output == {"kept": 8, "was": 8}
    assert details(result, "TaskScheduled")[0]["timeoutInSeconds"] == 8


def test_a_caught_error_in_jsonata() -> None:
    def call(_: Any) -> Any:
        raise StatesError("Mine", "why")

    catch = {
        "ErrorEquals": ["States.ALL"],
        "Output": {"e": "{% $states.errorOutput.Error %}", "in": "{% $states.input.n %}"},
        "Assign": {"cause": "{% $states.errorOutput.Cause %}"},
        "Next": "E",
    }
    state = {"Type": "Task", "Resource": INVOKE, "Catch": [catch], "Next": "E"}
    end = {"Type": "Pass", "Output": ["{% $states.input %}", "{% $cause %}"], "End": True}

    assert run(machine(state, E=end), {"n": 4}, tasks={INVOKE: call}).output == [{"e": "Mine", "in": 4}, "why"]


def test_a_catcher_does_not_catch_its_own_failure() -> None:
    def call(_: Any) -> Any:
        raise StatesError("Mine", "why")

    catch = {"ErrorEquals": ["States.ALL"], "Output": "{% $nope %}", "Next": "E"}
    state = {"Type": "Task", "Resource": INVOKE, "Catch": [catch], "Next": "E"}

    result = run(machine(state, E={"Type": "Succeed"}), tasks={INVOKE: call})

    assert (result.status, result.error) == ("FAILED", "States.QueryEvaluationError")


NO_TIMESTAMP = "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: "


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Type": "Wait", "Seconds": "{% 'x' %}"}, "'number', but was 'string'"),
        ({"Type": "Wait", "Timestamp": "{% 'x' %}"}, f"{NO_TIMESTAMP}x"),
        ({"Type": "Wait", "Timestamp": "{% '2026-01-01' %}"}, f"{NO_TIMESTAMP}2026-01-01"),
        ({"Type": "Wait", "Timestamp": "{% '2026-01-01T00:00:00' %}"}, f"{NO_TIMESTAMP}2026-01-01T00:00:00"),
        ({"Type": "Wait", "Timestamp": "{% 5 %}"}, f"{NO_TIMESTAMP}5"),
        ({"Type": "Wait", "Timestamp": "{% null %}"}, f"{NO_TIMESTAMP}null"),
        ({"Type": "Wait", "Timestamp": "{% {'a': [true]} %}"}, NO_TIMESTAMP + '{"a":[true]}'),
        ({"Type": "Wait", "Seconds": "{% 1e20 %}"}, "out of range: 100000000000000000000"),
        ({"Type": "Task", "Resource": INVOKE, "TimeoutSeconds": "{% 1e9 %}"}, "out of range: 1000000000"),
        ({"Type": "Fail", "Error": "{% 1 %}"}, "'string', but was 'number'"),
        ({"Type": "Choice", "Choices": [{"Condition": "{% 1 %}", "Next": "E"}]}, "'boolean', but was 'number'"),
    ],
)
def test_a_value_of_the_wrong_type(state: dict[str, Any], expected: str) -> None:
    others = {"E": {"Type": "Succeed"}} if state["Type"] == "Choice" else {}

    result = run(machine(state, **others), tasks={INVOKE: dict})

    assert result.error == "States.QueryEvaluationError"
    assert expected in str(result.cause)
    assert str(result.cause).endswith(expected) or not expected.startswith(NO_TIMESTAMP)


def test_a_state_can_use_jsonata_in_a_jsonpath_machine() -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Parameters": {"x.$": "$.a"}, "Assign": {"v.$": "$.x"}, "Next": "B"},
            "B": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% $v + $states.input.x %}", "End": True},
        },
    }

    assert run(definition, {"a": 2}).output == 4


def test_the_input_is_never_changed() -> None:
    data = {"a": [{"b": None}, {"b": 1}]}
    state = {"Type": "Pass", "Output": ["{% $states.input ~> |a|{'c': 1}| %}", "{% $states.input %}"]}

    changed, same = run(machine(state), data).output

    assert changed == {"a": [{"b": None, "c": 1}, {"b": 1, "c": 1}]}
    assert same == data == {"a": [{"b": None}, {"b": 1}]}
