from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

import pytest

from nightferry.states import run
from tests.states.machines import one


def call(text: str, data: Any = None) -> Any:
    result = run(one({"Type": "Pass", "Parameters": {"v.$": text}}), {} if data is None else data)
    assert result.status == "SUCCEEDED", result.cause
    return result.output["v"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("States.Format('{} and {}', 'a', 1)", "a and 1"),
        ("States.Format('{}', null)", "null"),
        ("States.Format('{}', true)", "true"),
        ("States.Format('{}', 1.5)", "1.5"),
        (r"States.Format('it\'s \{{}\}', 'x')", "it's {x}"),
        (r"States.Format('a\\b')", "a\\b"),
        (r"States.Format('a\\{}', 1)", "a\\1"),
        (r"States.Array('\{x\}', 'it\'s')", ["{x}", "it's"]),
        ("States.Array()", []),
        ("States.Array(1, 'a', null, true, -1.5)", [1, "a", None, True, -1.5]),
        ("States.ArrayPartition(States.Array(1, 2, 3), 2)", [[1, 2], [3]]),
        ("States.ArrayContains(States.Array(1, 'a'), 'a')", True),
        ("States.ArrayContains(States.Array(1), true)", False),
        ("States.ArrayRange(1, 9, 2)", [1, 3, 5, 7, 9]),
        ("States.ArrayRange(3, 1, -1)", [3, 2, 1]),
        ("States.ArrayGetItem(States.Array('a', 'b'), 1)", "b"),
        ("States.ArrayLength(States.Array(1, 2))", 2),
        ("States.ArrayUnique(States.Array(1, 1, 'a', true, 1))", [1, "a", True]),
        ("States.Base64Encode('Grüße')", "R3LDvMOfZQ=="),
        ("States.Base64Decode('R3LDvMOfZQ==')", "Grüße"),
        ("States.Hash('x', 'SHA-1')", hashlib.sha1(b"x").hexdigest()),
        (
            """States.JsonMerge(States.StringToJson('{"a":1}'), States.StringToJson('{"a":2,"b":3}'), false)""",
            {"a": 2, "b": 3},
        ),
        ("States.JsonToString(States.Array(1, 'ü'))", '[1,"ü"]'),
        ("States.StringToJson('[1, 2]')", [1, 2]),
        ("States.MathAdd(1, -3)", -2),
        ("States.StringSplit('a.b-c', '.-')", ["a", "b", "c"]),
        ("States.StringSplit('a,,b', ',')", ["a", "b"]),
    ],
)
def test_value(text: str, value: Any) -> None:
    assert call(text) == value


def test_object_equality_ignores_the_order_of_members() -> None:
    data = {"items": [{"a": 1, "b": {"c": 2, "d": 3}}], "one": {"b": {"d": 3, "c": 2}, "a": 1}}

    assert call("States.ArrayContains($.items, $.one)", data)
    assert call("States.ArrayUnique(States.Array($.items[0], $.one))", data) == data["items"]


def test_an_object_is_formatted_as_in_java() -> None:
    assert call("States.Format('{}', $.o)", {"o": {"a": 1, "b": ["x", None]}}) == "{a=1, b=[x, null]}"


@pytest.mark.parametrize(
    "text",
    [
        "States.Format('{} {}', 1)",
        "States.Format('x', 1)",
        "States.Format(1)",
        "States.ArrayPartition(States.Array(1), 0)",
        "States.ArrayRange(1, 2000, 1)",
        "States.ArrayRange(1, 2, 0)",
        "States.ArrayGetItem(States.Array(1), 1)",
        "States.ArrayLength('text')",
        "States.Base64Decode('*')",
        "States.Hash('x', 'CRC')",
        "States.JsonMerge(1, 2, false)",
        "States.StringToJson('{')",
        "States.MathAdd('1', 2)",
        "States.MathAdd(true, 2)",
        "States.MathAdd(9223372036854775807, 1)",
        "States.MathRandom(0, 9999999999, 1)",
        "States.StringToJson('1e999')",
        "States.StringToJson('-Infinity')",
        "States.StringToJson('[NaN]')",
        f"States.StringToJson('{'9' * 5000}')",
        f"States.StringToJson('{'[' * 100_000}')",
        "States.Format('{', 1)",
        "States.Format('{}}', 1)",
        "States.Format('{a}', 1)",
        "States.Format('a{b', 1)",
        "States.Format('}')",
        r"States.Format('\{}}')",
        "States.MathRandom(5, 5)",
        "States.StringSplit(1, ',')",
    ],
)
def test_a_failure_names_the_call_and_can_be_caught(text: str) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"v.$": text}}
    caught = {"Catch": [{"ErrorEquals": ["States.IntrinsicFailure"], "Next": "C"}], "Next": "C"}

    result = run(
        {"StartAt": "S", "States": {"S": {**task, **caught}, "C": {"Type": "Pass", "End": True}}},
        tasks={"arn:aws:states:::lambda:invoke": lambda _: "not reached"},
    )

    assert result.status == "SUCCEEDED", result.cause
    assert text in result.output["Cause"]


def test_random_numbers_are_in_range_and_differ_within_a_state() -> None:
    numbers = call("States.Array(States.MathRandom(1, 1000000), States.MathRandom(1, 1000000))")

    assert all(1 <= number < 1_000_000 for number in numbers)
    assert numbers[0] != numbers[1]


def test_a_seed_determines_the_random_number() -> None:
    assert call("States.MathRandom(1, 1000000, 7)") == call("States.MathRandom(1, 1000000, 7)")


def test_uuid() -> None:
    assert uuid.UUID(call("States.UUID()")).version == 4


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{a}", "matching '}' not found for '{'"),
        ("{} {", "matching '}' not found for '{'"),
        ("a}", "matching '{' not found for '}'"),
    ],
)
def test_an_unescaped_brace_has_the_cause_of_aws(template: str, reason: str) -> None:
    result = run(one({"Type": "Pass", "Parameters": {"v.$": f"States.Format('{template}', 1)"}}))

    assert result.error == "States.IntrinsicFailure"
    assert str(result.cause).endswith(f"had the following error: {reason}")


def test_a_value_that_is_nested_deeply_is_no_internal_error() -> None:
    nested = json.loads("[" * 900 + "]" * 900)
    for text in ("States.JsonToString($)", "States.Format('{}', $)", "States.ArrayUnique($)", "$..*"):
        result = run(one({"Type": "Pass", "Parameters": {"v.$": text}}), nested)
        assert (result.status, result.error) in (
            ("FAILED", "States.IntrinsicFailure"),
            ("FAILED", "States.DataLimitExceeded"),
            ("SUCCEEDED", None),
        )
