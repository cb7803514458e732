"""The format of AWS's causes: how they name states, fields, paths and inputs."""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.states import run
from tests.states.machines import INVOKE, details, one

CAUSE_PREFIX = "An error occurred while executing the state 'S' (entered at the event id #2). "


def cause(state: dict[str, Any], data: Any, **others: Any) -> str:
    """Run a state that fails with States.Runtime, and return its cause without the prefix."""
    result = run(one(state, **others), data, tasks={INVOKE: lambda _: {"a": 1}})
    assert (result.status, result.error) == ("FAILED", "States.Runtime"), result
    assert str(result.cause).startswith(CAUSE_PREFIX)
    return str(result.cause).removeprefix(CAUSE_PREFIX)


END = {"Type": "Pass", "End": True}
ITEMS = {"ItemProcessor": {"StartAt": "I", "States": {"I": END}}}
DISTRIBUTED = {
    "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I",
        "States": {"I": END},
    }
}


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"Type": "Pass", "Parameters": {"a": [{"deep.$": "$.no"}]}}, "deep.$"),
        ({"Type": "Task", "Resource": INVOKE, "Parameters": {"x": {"y.$": "$.no"}}}, "y.$"),
        ({"Type": "Pass", "Assign": {"v.$": "$.no"}}, "v.$"),
        ({"Type": "Fail", "ErrorPath": "$.no"}, "ErrorPath"),
        ({"Type": "Fail", "CausePath": "$.no"}, "CausePath"),
        ({"Type": "Task", "Resource": INVOKE, "TimeoutSecondsPath": "$.no"}, "TimeoutSecondsPath"),
        ({"Type": "Task", "Resource": INVOKE, "HeartbeatSecondsPath": "$.no"}, "HeartbeatSecondsPath"),
        ({"Type": "Map", "ItemsPath": "$.l", "MaxConcurrencyPath": "$.no", **ITEMS}, "MaxConcurrencyPath"),
        (
            {"Type": "Map", "ItemsPath": "$.l", "ToleratedFailureCountPath": "$.no", **DISTRIBUTED},
            "ToleratedFailureCountPath",
        ),
        (
            {"Type": "Map", "ItemsPath": "$.l", "ToleratedFailurePercentagePath": "$.no", **DISTRIBUTED},
            "ToleratedFailurePercentagePath",
        ),
        ({"Type": "Map", "ItemsPath": "$.l", "ItemSelector": {"i.$": "$.no"}, **ITEMS}, "i.$"),
    ],
)
def test_a_missing_path_is_reported_with_its_field(state: dict[str, Any], field: str) -> None:
    message = cause(state, {"l": [1]})

    assert message == (
        f"The JSONPath '$.no' specified for the field '{field}' could not be found in the input '{{\"l\":[1]}}'"
    )


def test_a_result_selector_reports_the_result_instead_of_the_input() -> None:
    message = cause({"Type": "Task", "Resource": INVOKE, "ResultSelector": {"r.$": "$.b"}}, {"in": 1})

    assert message == "The JSONPath '$.b' specified for the field 'r.$' could not be found in the input '{\"a\":1}'"


@pytest.mark.parametrize("field", ["InputPath", "OutputPath", "ItemsPath"])
@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("$.no", "No results for path: $['no']"),
        ("$.a.b", "No results for path: $['a']['b']"),
        ("$.no.b.c", "Missing property in path $['no']"),
        ("$.l[7]", "No results for path: $['l'][7]"),
    ],
)
def test_a_missing_single_path_has_json_paths_message(field: str, path: str, reason: str) -> None:
    state = {"Type": "Map", **ITEMS} if field == "ItemsPath" else {"Type": "Pass"}

    assert cause({**state, field: path}, {"a": {}, "l": []}) == f"Invalid path '{path}' : {reason}"


def test_a_path_into_a_null_input() -> None:
    first = {"Type": "Pass", "Result": None, "Next": "P"}
    result = run(one(first, P={"Type": "Pass", "Parameters": {"a.$": "$"}, "End": True}))

    assert str(result.cause).endswith("Unable to apply Path transformation to null or empty input.")


def jsonata(state: dict[str, Any], data: Any = None, **others: Any) -> tuple[str, str]:
    """Run a JSONata state whose evaluation fails, and return the location and the cause without the prefix."""
    result = run({"QueryLanguage": "JSONata", **one(state, **others)}, data or {})
    assert result.error == "States.QueryEvaluationError", result
    (failed,) = details(result, "EvaluationFailed")
    assert failed["cause"] == result.cause
    return failed["location"], str(result.cause).removeprefix(CAUSE_PREFIX)


MISSING = "{% $states.input.missing %}"
TRUE = {"Condition": "{% true %}", "Next": "E"}


@pytest.mark.parametrize(
    ("state", "field"),
    [
        ({"Type": "Pass", "Output": MISSING}, "Output"),
        ({"Type": "Pass", "Output": {"a": {"b": [1, [MISSING]]}}}, "Output/a/b[1][0]"),
        ({"Type": "Pass", "Assign": {"x": {"y": MISSING}}}, "Assign/x/y"),
        ({"Type": "Wait", "Seconds": MISSING}, "Seconds"),
        ({"Type": "Wait", "Timestamp": MISSING}, "Timestamp"),
        ({"Type": "Fail", "Error": MISSING}, "Error"),
        ({"Type": "Fail", "Cause": MISSING}, "Cause"),
        ({"Type": "Map", "Items": MISSING, **ITEMS}, "Items"),
        ({"Type": "Map", "Items": [1], "MaxConcurrency": MISSING, **ITEMS}, "MaxConcurrency"),
        ({"Type": "Map", "Items": [1], "ItemSelector": {"i": MISSING}, **ITEMS}, "ItemSelector/i"),
        ({"Type": "Parallel", "Arguments": {"p": MISSING}, "Branches": [{"StartAt": "I", "States": {"I": END}}]},
         "Arguments/p"),
        ({"Type": "Choice", "Choices": [{"Condition": MISSING, "Next": "E"}]}, "Choices[0]/Condition"),
        ({"Type": "Choice", "Choices": [{**TRUE, "Output": {"v": MISSING}}]}, "Choices[0]/Output/v"),
        ({"Type": "Choice", "Choices": [{**TRUE, "Condition": "{% false %}"}, {**TRUE, "Assign": {"v": MISSING}}]},
         "Choices[1]/Assign/v"),
    ],
)  # fmt: skip
def test_an_expression_without_a_value_is_reported_with_its_location(state: dict[str, Any], field: str) -> None:
    others = {"E": END} if state["Type"] == "Choice" else {}

    assert jsonata(state, **others) == (
        field,
        f"The JSONata expression '$states.input.missing' specified for the field '{field}' returned nothing "
        "(undefined).",
    )


@pytest.mark.parametrize("field", ["Output", "Assign"])
def test_a_catchers_expressions_are_reported_with_its_index(field: str) -> None:
    catch = [
        {"ErrorEquals": ["Other"], "Next": "E"},
        {"ErrorEquals": ["States.ALL"], "Next": "E", field: {"v": "{% $states.errorOutput.no %}"}},
    ]
    state = {"Type": "Parallel", "Branches": [{"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "X"}}}]}

    location, message = jsonata({**state, "Catch": catch, "Next": "E"}, E=END)

    assert location == f"Catch[1]/{field}/v"
    assert f"specified for the field '{location}' returned nothing" in message


OUT_OF_RANGE = "returned a value that is out of range"
NOT_AN_INTEGER = "returned an unexpected result type. Expected 'integer', but was 'number'"


@pytest.mark.parametrize(
    ("state", "field", "value", "reason"),
    [
        ({"Type": "Wait"}, "Seconds", "-1", OUT_OF_RANGE),
        ({"Type": "Wait"}, "Seconds", "1.5", NOT_AN_INTEGER),
        ({"Type": "Map", "Items": [1], **ITEMS}, "MaxConcurrency", "-1", OUT_OF_RANGE),
        ({"Type": "Map", "Items": [1], **DISTRIBUTED}, "ToleratedFailureCount", "-1", OUT_OF_RANGE),
        ({"Type": "Map", "Items": [1], **DISTRIBUTED}, "ToleratedFailurePercentage", "101", OUT_OF_RANGE),
        ({"Type": "Map", "Items": [1], **DISTRIBUTED}, "ToleratedFailurePercentage", "'x'", "Expected 'number'"),
    ],
)
def test_an_invalid_field_value_is_an_evaluation_error(
    state: dict[str, Any], field: str, value: str, reason: str
) -> None:
    location, message = jsonata({**state, field: f"{{% {value} %}}"})

    assert location == field
    assert f"The JSONata expression '{value}' specified for the field '{field}'" in message
    assert reason in message


@pytest.mark.parametrize(
    ("expression", "suffix"),
    [
        ("1 + 'a'", '. T2002: The right side of the "+" operator must evaluate to a number'),
        ("$sum(['a'])", '. T0412: Argument 1 of function "sum" must be an array of "numbers"'),
        ("$abs('x')", '. T0410: Argument 1 of function "abs" does not match function signature'),
        ("'a' > 1", '. T2009: The values "a" and 1 either side of operator ">" must be of the same data type'),
        ("-'a'", '. D1002: Cannot negate a non-numeric value: "a"'),
        ("$number('x')", '. D3030: Unable to cast value to a number: "x"'),
        ("$toMillis('x')", '. D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. '
         'Given "x"'),
        ("$sort([{}, {}])", ". D3070: The single argument form of the sort function can only be applied to an array of "
         "strings or an array of numbers.  Use the second argument to specify a comparison function"),
        ("$formatBase(1, 99)",
         ". D3100: The radix of the formatBase function must be between 2 and 36.  It was given 99"),
        ("$error('my words')", ". D3137: my words"),
        ("$eval('1 + 1')", ". T1006: Attempted to invoke a non-function"),
        ("$nope()", ". T1006: Attempted to invoke a non-function"),
        ("1 / 0 + 1", ". D1001: Number out of range: null"),
        ("($f := function($x){ 1 + $f($x) }; $f(1))",
         ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"),
    ],
)  # fmt: skip
def test_an_error_in_an_expression_has_the_references_message(expression: str, suffix: str) -> None:
    _, message = jsonata({"Type": "Pass", "Output": {"r": f"{{% {expression} %}}"}})

    assert message == (
        f"The JSONata expression '{expression}' specified for the field 'Output/r' threw an error during evaluation"
        f"{suffix}"
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$random(42)", 0.7275636800328681),  # java.util.Random, as AWS
        ("1 / 0", "Infinity"),
        ("-2 / 0", "-Infinity"),
        ("1e308 * 10", "Infinity"),
        ("0 / 0", "NaN"),
        ("$parseInteger('abc', '0')", "NaN"),
        ("5.5 % 2", 1.5),
        ("-5 % 3", -2),
        ("$partition([1, 2, 3], 2)", [[1, 2], [3]]),
        ("$range(5, 1, -2)", [5, 3, 1]),
        ("$hash('input', 'SHA-1')", "140f86aae51ab9e1cda9b4254fe98a74eb54c1a1"),
        ("$parse('{\"a\": null}')", {"a": None}),
        ("$parse('null')", None),
        ("$exists($nothing)", False),
        ("($x := [1, 2]; $x[0])", 1),
        ("$map([1, 2], function($v) { $v * 2 })", [2, 4]),
        ("$states.input.l[n > 1].n", 2),
        ("$states.input.l.n", [1, 2]),
    ],
)
def test_an_expression_has_the_same_value_as_on_aws(expression: str, value: Any) -> None:
    machine = {"QueryLanguage": "JSONata", **one({"Type": "Pass", "Output": {"r": f"{{% {expression} %}}"}})}

    assert run(machine, {"l": [{"n": 1}, {"n": 2}]}).output == {"r": value}


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("States.Format('{}', $.big)", "1.5E7"),
        ("States.Format('{}', $.small)", "1.0E-4"),
        ("States.Format('{} {}', 1.5, $.list)", "1.5 [1, a, {k=null}]"),
        ("States.JsonToString($)", '{"big":1.5E7,"small":1.0E-4,"list":[1,"a",{"k":null}]}'),
        ("States.MathRandom(0, 100, 42)", 30),  # java.util.Random(42).nextInt(100)
        ("States.MathRandom(10, 12, 42)", 11),
    ],
)
def test_numbers_are_formatted_as_in_java(call: str, value: Any) -> None:
    data = {"big": 1.5e7, "small": 1e-4, "list": [1, "a", {"k": None}]}

    assert run(one({"Type": "Pass", "Parameters": {"r.$": call}}), data).output == {"r": value}
