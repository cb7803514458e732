from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.states import run
from nightferry.states.language.choice import COMPARISONS
from nightferry.testing.tiers import examples


def is_chosen(rule: dict[str, Any], data: Any) -> bool:
    definition = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [{**rule, "Next": "Yes"}], "Default": "No"},
            "Yes": {"Type": "Pass", "Result": True, "End": True},
            "No": {"Type": "Pass", "Result": False, "End": True},
        },
    }
    result = run(definition, data)
    assert result.status == "SUCCEEDED", result.cause
    return bool(result.output)


@pytest.mark.parametrize(
    ("operator", "operand", "value", "holds"),
    [
        ("StringMatches", "a*c", "abbc", True),
        ("StringMatches", "*.log", "x.txt", False),
        ("StringMatches", r"a\*c", "a*c", True),
        ("StringMatches", r"a\*c", "abc", False),
        ("StringMatches", r"a\\*", "a\\b", True),
        ("StringMatches", "a.c", "abc", False),
        ("StringMatches", "*", "", True),
        ("StringMatches", "1", 1, False),
        ("StringMatches", "a*a", "a", False),
        ("StringMatches", "ab*bc", "abc", False),
        ("StringMatches", "a*b*c", "abxbc", True),
        ("StringMatches", "a**c", "ac", True),
        ("StringMatches", "", "", True),
        ("StringMatches", "a\\", "a\\", True),
        ("StringMatches", "*a" * 361 + "b", "a" * 723, False),
        ("StringMatches", "*a" * 60_000 + "*b", "a" * 250_000, False),
        ("StringMatches", "*" + "a" * 2_000 + "b*" + "a" * 2_000 + "b", "a" * 250_000, False),
        ("StringLessThan", "b", "a", True),
        ("StringGreaterThanEquals", "b", "b", True),
        ("NumericEquals", 1, 1.0, True),
        ("NumericEquals", 1, True, False),
        ("NumericLessThanEquals", 1, "1", False),
        ("BooleanEquals", True, 1, False),
        ("TimestampEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("TimestampLessThan", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.499999999Z", True),
        ("TimestampGreaterThan", "2026-01-01T00:00:00.000000001Z", "2026-01-01T00:00:00.000000002Z", True),
        ("TimestampEquals", "2026-01-01T00:00:00Z", "2026-01-01", False),
        ("IsTimestamp", True, "2026-13-01T00:00:00Z", False),
        ("IsTimestamp", True, "2026-01-01t00:00:00z", False),
        ("IsString", True, "", True),
        ("IsNumeric", True, False, False),
        ("IsBoolean", False, None, True),
        ("IsNull", True, None, True),
        ("IsPresent", True, None, True),
    ],
)
def test_operator(operator: str, operand: Any, value: Any, holds: bool) -> None:
    assert is_chosen({"Variable": "$.v", operator: operand}, {"v": value}) is holds


def test_is_present_for_a_missing_value() -> None:
    assert is_chosen({"Variable": "$.v", "IsPresent": False}, {})
    assert not is_chosen({"Variable": "$.v.w", "IsPresent": True}, {"v": 1})


def test_and_or_not() -> None:
    present = {"Variable": "$.v", "IsPresent": True}
    three = {"Variable": "$.v", "NumericEquals": 3}
    assert is_chosen({"And": [present, three]}, {"v": 3})
    # And stops at the first rule that does not hold; the second rule would fail without a value.
    assert not is_chosen({"And": [present, three]}, {})
    assert is_chosen({"Or": [{"Not": present}, three]}, {})
    assert not is_chosen({"Or": [{"Not": present}, three]}, {"v": 4})


def test_a_comparison_with_a_missing_value_fails_the_execution() -> None:
    definition = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.v", "IsNull": True, "Next": "E"}]},
            "E": {"Type": "Succeed"},
        },
    }

    result = run(definition, {})

    assert result.error == "States.Runtime"
    assert "$.v" in str(result.cause)


def test_no_choice_matched() -> None:
    definition = {
        "StartAt": "C",
        "States": {
            "C": {"Type": "Choice", "Choices": [{"Variable": "$.v", "IsNull": True, "Next": "E"}]},
            "E": {"Type": "Succeed"},
        },
    }

    result = run(definition, {"v": 1})

    assert (result.status, result.error) == ("FAILED", "States.NoChoiceMatched")
    assert result.history[-1]["type"] == "ExecutionFailed"


def test_operands_can_be_variables_and_the_context_object() -> None:
    definition = {
        "StartAt": "A",
        "States": {
            "A": {"Type": "Pass", "Assign": {"limit": 5}, "Next": "C"},
            "C": {
                "Type": "Choice",
                "Choices": [
                    {
                        "And": [
                            {"Variable": "$.v", "NumericLessThanPath": "$limit"},
                            {"Variable": "$$.State.Name", "StringEquals": "C"},
                        ],
                        "Assign": {"limit": 6},
                        "Next": "E",
                    }
                ],
            },
            "E": {"Type": "Pass", "Parameters": {"limit.$": "$limit"}, "End": True},
        },
    }

    assert run(definition, {"v": 4}).output == {"limit": 6}


@given(pattern=st.text(r"ab*\\", max_size=8), text=st.text(r"ab*\\", max_size=8))
@settings(max_examples=examples(200), deadline=None)
def test_string_matches_equals_a_regular_expression(pattern: str, text: str) -> None:
    parts = re.findall(r"\\\\|\\\*|\*|[^\\*]+|\\", pattern)
    expression = "".join(".*" if p == "*" else re.escape(p[1:] if p in ("\\\\", "\\*") else p) for p in parts)

    assert COMPARISONS["StringMatches"](text, pattern) is (re.fullmatch(expression, text) is not None)
