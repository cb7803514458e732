"""JSONata as version 2.0.6 of the reference implementation evaluates it: what definitions rely on.

The values are those of the reference implementation, except where a comment names another source.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jlens import Expression

from nightferry.states import run, validate
from nightferry.testing.tiers import examples
from tests.states.machines import one

ROWS = {"rows": [1, None, 2], "s": "text", "deep": {"list": [[1]], "none": None, "id": 9007199254740993}}


def make_machine(expression: str) -> dict[str, Any]:
    state = {"Type": "Pass", "Output": {"r": f"{{% {expression} %}}"}}
    return {"QueryLanguage": "JSONata", **one(state)}


def evaluate(expression: str, data: Any = ROWS) -> Any:
    result = run(make_machine(expression), data)
    return result.output["r"] if result.status == "SUCCEEDED" else str(result.cause).partition("evaluation")[2]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        # null is a value
        ("$map($states.input.rows, $type)", ["number", "null", "number"]),
        ("null in $states.input.rows", True),
        ("$count($states.input.rows)", 3),
        ("$states.input.rows[$ = null]", None),
        ("$filter($states.input.rows, function($v) { $v = null })", None),
        ("$distinct([null, 1, null])", [None, 1]),
        ("$exists($states.input.deep.none)", True),
        ("$exists($states.input.deep.missing)", False),
        ("$string(null)", "null"),
        ("$append([null], null)", [None, None]),
        ("$merge([{'a': null}])", {"a": None}),
        ("{'a': $states.input.missing, 'b': null}", {"b": None}),
        # numbers
        ("$string(1e15)", "1000000000000000"),
        ("$string(1e20)", "100000000000000000000"),
        ("$string(1e21)", "1e+21"),
        ("$string(0.1 + 0.2)", "0.3"),
        ("$string(9223372036854775807)", "9223372036854776000"),  # as on AWS
        ("1e15 & ''", "1000000000000000"),
        ("7 % -3", 1),
        ("$formatNumber(0.5, '0')", "0"),
        ("$formatNumber(1.5, '0')", "2"),
        ("$formatNumber(2.5, '0')", "2"),
        ("$formatNumber(0.125, '0.00')", "0.12"),
        ("$formatNumber(1234.5, '#,##0')", "1,234"),
        ("$round(2.5)", 2),
        ("$round(3.5)", 4),
        ("$round(125, -1)", 120),
        ("$number('0x10')", 16),
        ("$number('1_000')", '. D3030: Unable to cast value to a number: "1_000"'),
        ("$number(' 1')", '. D3030: Unable to cast value to a number: " 1"'),
        ("$number('١')", '. D3030: Unable to cast value to a number: "١"'),
        ("$number('inf')", '. D3030: Unable to cast value to a number: "inf"'),
        ("$power(10, 400)",
         ". D3061: The power function has resulted in a value that cannot be represented as a JSON number: base=10, "
         "exponent=400"),
        ("$sqrt(-1)", ". D3060: The sqrt function cannot be applied to a negative number: -1"),
        # times
        ("$length($now('[Y0001]-[M01]-[D01]'))", 10),
        ("$fromMillis(0, '[H01]:[m01] [Z]', '+0530')", "05:30 +05:30"),
        ("$fromMillis(0, '[H01]:[m01] [Z]', '+05:30')", "00:05 +00:05"),  # a colon ends the number
        ("$fromMillis(0, '[H01]:[m01] [Z]', '-0800')", "16:00 -08:00"),
        ("$toMillis('2020-01-01T00:00:00+05:30')", 1577817000000),
        ("$toMillis('2020-01-01T00:00:00+0530')", 1577817000000),
        ("$toMillis('2020')", 1577836800000),
        ("$toMillis('2020-01-01 00:00:00')",
         '. D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given "2020-01-01 '
         '00:00:00"'),
        ("$toMillis('20200101')",
         '. D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given "20200101"'),
        ("$toMillis('01/02/2020', '[D]/[M]/[Y]')", 1580515200000),
        # JavaScript's regular expressions
        ("$match('a\\nb', /^b/m).match", "b"),
        ("$match('ABC', /b/i).match", "B"),
        ("$match('٣', /\\d/).match", "returned nothing"),
        ("$match('foobar', /(?<=foo)bar/).match", "bar"),
        ("$match('a\\nb', /a[^]b/).match", "a\nb"),
        ("$replace('abc', /(b)/, '[$1]')", "a[b]c"),
        ("$replace('abc', /b/, '$0$$')", "ab$c"),
        ("$split('a1b2c', /\\d/)", ["a", "b", "c"]),
        ("$contains('a/b', /[/]/)", True),
        # texts
        ("$length('😀')", 1),
        ("$sort(['b', 'A', 'a'])", ["A", "a", "b"]),
        ("$pad('x', -3, '-')", "--x"),
        ("$encodeUrl('a b?c=d&e')", "a%20b?c=d&e"),
        # singletons and sequences
        ("$states.input.deep.list", [[1]]),
        ("$states.input.deep.list[0]", [1]),
        ("[$states.input.rows[0]]", [1]),
        ("$states.input.rows[]", [1, None, 2]),
        ("$reduce([1..5], function($a, $b) { $a * $b })", 120),
    ],
)  # fmt: skip
def test_value(expression: str, value: Any) -> None:
    actual = evaluate(expression.replace("\\n", "\n") if "match('a" in expression else expression)

    if value == "returned nothing":
        assert value in str(run(make_machine(expression), ROWS).cause)
    else:
        assert actual == value
        assert type(actual) is type(value)


@pytest.mark.parametrize(
    "call",
    [
        "$map($l, function($x) {{'a': $x, 'b': 1}})",
        "$filter($l, function($x) {{'a': $x, 'b': 1}.b = 1})",
        "$each({'a': 1}, function($v, $k) {$map($l, function($x) {{'a': $x, 'b': $v}})})",
        "$reduce($l, function($a, $x) {{'a': $x, 'b': $a}.b})",
        "$sort($l, function($a, $b) {{'a': $a, 'b': $b}.a > $b})",
        "$sift({'a': $l}, function($v) {$count($map($v, function($x) {{'a': $x, 'b': 1}})) = 500})",
    ],
)
def test_many_applications_of_a_function_are_no_recursion(call: str) -> None:
    assert not str(evaluate(f"($l := [1..500]; {call})")).startswith(": Stack overflow")


# Functions of Step Functions. Sources: recordings of AWS; measurements of AWS in public issue reports.
@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("$range(-1.7, 2, 1)", [-1, 0, 1, 2]),
        ("$range(1, 1, 1)", 1),
        ("$exists($range(1, 5, -1))", False),
        ("$exists($range(1, 5))", False),
        ("$count($range(1, 360145, 1))", 360145),
        ("$range(1, 360146, 1)",
         ": Expression evaluation memory limit exceeded: Check for excessive memory usage"),
        ("$partition([1, 2, 3], 2.9)", [[1, 2], [3]]),
        ("$exists($partition([1], 0))", False),
        ("$exists($partition([], 2))", False),
        ("$partition([1], -1)", ": $partition: the size must be positive"),
        ("$exists($hash('a'))", False),
        ("$hash({'a': [1, null]}, 'MD5')", "40a187db5bf37396dc45f3af75c3a008"),
        ("$hash('a', 'md5')", ": $hash: the algorithm must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512"),
        ("$type($parse('null'))", "null"),
        ("$parse('[[1]]')", [[1]]),
        ("$exists($parse($nothing))", False),
        ("$map(['1', '[2]'], $parse)", [1, [2]]),
        ("$parse('NaN')", ": NaN is not JSON"),
        ("$parse('1e999')", ": 1e999 is not a number that JSON can represent"),
    ],
)  # fmt: skip
def test_function_of_step_functions(expression: str, value: Any) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression", ["$states.input.a ?? 1", "$states.input.a ?: 1", "$$", "$states.input[$$.a]", "1 + $$.b"]
)
def test_an_operator_that_the_version_does_not_have_is_refused(expression: str) -> None:
    assert len(validate(make_machine(expression))) == 1


@pytest.mark.parametrize(
    "expression",
    [
        "$match('a', /a??b/)",
        "'$$ ?? ?:'",
        "/* $$ ?? */ 1",
        "$states.input.`a??b`",
        "$replace('$5', /\\$/, '$$')",
        "4 / 2 ? 1 : 2 / 1",
        "$split('a/b', /[/?:]/)",
        "$states.input.rows/2 > 1 ? (1/2) : 3",
    ],
)
def test_text_that_looks_like_such_an_operator_is_accepted(expression: str) -> None:
    assert validate(make_machine(expression)) == []


def test_a_path_keeps_whole_numbers_beyond_the_precision_of_javascript() -> None:
    assert evaluate("$states.input.deep.id") == 9007199254740993


MEMBERS = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(data=st.dictionaries(st.sampled_from("abc"), MEMBERS), names=st.lists(st.sampled_from("abc"), max_size=4))
@settings(max_examples=examples(60), deadline=None)
def test_a_path_has_the_same_value_without_the_library(data: Any, names: list[str]) -> None:
    path = ".".join(["$states", "input", *names])
    expected = Expression(path).evaluate_json(None, {"states": {"input": data}})

    result = run(make_machine(path), data)

    if expected is None:
        assert "returned nothing" in str(result.cause)
    else:
        assert result.output == {"r": Expression(path).evaluate(None, {"states": {"input": data}})}
