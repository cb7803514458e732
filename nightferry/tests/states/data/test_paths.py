from __future__ import annotations

from typing import Any

import pytest

from nightferry.states import run
from nightferry.states.data import path_filters, paths
from nightferry.states.data.jsonata_pool import WorkerPool
from tests.states.machines import one

DATA: dict[str, Any] = {
    "a": {"b": [10, 20, 30, 40], "c-d": "dash", "weird key": 1},
    "books": [
        {"title": "A", "price": 8, "tags": ["x", "y"]},
        {"title": "B", "price": 12.5, "sold": True},
        {"title": "C", "price": 20, "tags": []},
    ],
    "null": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", DATA),
        ("$.a.b", [10, 20, 30, 40]),
        ("$.a.b[0]", 10),
        ("$.a.b[-1]", 40),
        ("$['a']['c-d']", "dash"),
        ("$.a.c-d", "dash"),
        ("$.a.['weird key']", 1),
        ('$.a.["c-d"]', "dash"),
        ("$.a['weird key']", 1),
        ("$.null", None),
        ("$.a.b[*]", [10, 20, 30, 40]),
        ("$.a.b[1:3]", [20, 30]),
        ("$.a.b[:2]", [10, 20]),
        ("$.a.b[-2:]", [30, 40]),
        ("$.a.b[::2]", [10, 30]),
        ("$.a.b[0,2]", [10, 30]),
        ("$.a['b','c-d']", [{"b": [10, 20, 30, 40], "c-d": "dash"}]),
        ("$.books[*].title", ["A", "B", "C"]),
        ("$..title", ["A", "B", "C"]),
        ("$.books[?(@.price < 13)].title", ["A", "B"]),
        ("$.books[?(@.sold)].title", ["B"]),
        ("$.books[?(!(@.sold) && @.price >= 8)].title", ["A", "C"]),
        ("$.books[?(@.title == 'A' || @.title == 'C')].price", [8, 20]),
        ("$.books[?(@.title =~ /[ab]/i)].title", ["A", "B"]),
        ("$.books[?(@.title =~ /a|b/)].title", []),
        ("$.books[?(@.price =~ /8/)].title", []),
        ("$.books[?(@.title =~ /A/ || @.title =~ /C/ && @.price > 8)].title", ["A", "C"]),
        ("$.books[?(@.tags subsetof ['x', 'y', 'z'])].title", ["A", "C"]),
        ("$.books[?(@.tags anyof ['y', 1])].title", ["A"]),
        ("$.books[?(@.tags noneof ['y', 1])].title", ["C"]),
        ("$.books[?(@.title in ['B', 'C'])].title", ["B", "C"]),
        ("$.books[?(@.title nin ['B', 'C'])].title", ["A"]),
        ("$.books[?(@.tags empty true)].title", ["C"]),
        ("$.books[?(@.tags size 2)].title", ["A"]),
        ("$.books[?(@.tags contains 'x')].title", ["A"]),
        ("$.books[?(@.sold == 1)].title", []),
        ("$.books.length()", 3),
        ("$.a.b.sum()", 100),
        ("$.a.b.max()", 40),
        ("$.books[*].price.min()", 8),
        ("$.missing[*]", []),
        ("$.missing.deep[1:].x", []),
        ("$.missing[?(@.x)]", []),
    ],
)
def test_find(path: str, value: Any) -> None:
    assert paths.parse(path).find(DATA) == value


@pytest.mark.parametrize(
    ("path", "data", "value"),
    [
        # A backslash is part of the name, as on AWS.
        (r"""$['a\""b']""", {'a""b': 1, r"""a\""b""": 2}, 2),
        (r"""$['a\"b']""", {r"""a\"b""": 1, 'a"b': 2}, 1),
        (r"""$["a\'b"]""", {r"""a\'b""": 1, "a'b": 2}, 1),
        # If there is no such member, JsonPath's reading counts.
        (r"""$['a\"b']""", {'a"b': 2}, 2),
        (r"""$['a\\b']""", {r"a\b": 2}, 2),
        (r"""$['\u0041\n']""", {"A\n": 2}, 2),
        # The enclosing quote has no other form.
        (r"""$['it\'s']""", {"it's": 3}, 3),
        (r"""$["say \"x\""]""", {'say "x"': 3}, 3),
        ("$['a]b']['.']", {"a]b": {".": 4}}, 4),
        ("$.abc.['def ghi']", {"abc": {"def ghi": 5}}, 5),
        ("$.abc.[0].[ 'x' ].y", {"abc": [{"x": {"y": 5}}]}, 5),
        ("$.['a'].[*]", {"a": [5]}, [5]),
        (r"""$['a','b\'c']""", {"a": 1, "b'c": 2}, [{"a": 1, "b'c": 2}]),
        (r"""$..['b\'c']""", {"a": {"b'c": 2}}, [2]),
        (r"""$.a[?(@['b\'c'] == 1 && @.['d e'] == 2)].x""", {"a": [{"b'c": 1, "d e": 2, "x": 6}]}, [6]),
    ],
)
def test_a_name_in_brackets(path: str, data: Any, value: Any) -> None:
    assert paths.parse(path).find(data) == value


def test_a_name_in_brackets_in_every_place() -> None:
    """Parameters, functions, InputPath and ResultPath read names alike."""
    state = {
        "Type": "Pass",
        "InputPath": "$.abc.['def ghi']",
        "Parameters": {"text.$": r"States.Format('{} {}', $['it\'s'], $.['a,b'])", "x.$": r"""$['a\""b']"""},
        "ResultPath": r"$.out.['it\'s']",
        "End": True,
    }
    data = {"abc": {"def ghi": {"it's": 1, "a,b": 2, r"""a\""b""": 3}}, "out": {}}

    result = run(one(state), data)

    assert result.output == {**data, "out": {"it's": {"text": "1 2", "x": 3}}}


@pytest.mark.parametrize(
    "path", ["$['it''s']", '$["a""b"]', "$['a'", "$['a]", "$['a\\']", "$['a',]", "$['a'b]", "$.[", "$.a."]
)
def test_a_name_that_is_not_quoted_correctly(path: str) -> None:
    with pytest.raises(paths.PathSyntaxError):
        paths.parse(path)


@pytest.mark.parametrize("path", ["$.missing", "$.a.b[4]", "$.a.b.c", "$.null.x", "$.books['title']", "$.a.length().x"])
def test_a_definite_path_without_a_match_fails(path: str) -> None:
    with pytest.raises((paths.PathNotFound, paths.PathSyntaxError)):
        paths.parse(path).find(DATA)


@pytest.mark.parametrize("path", ["", "a", "$a-b", "$.", "$[", "$['a", "$.a[b]", "$.a[?(", "$..", "$.a..", "$.a b["])
def test_invalid_paths(path: str) -> None:
    with pytest.raises(paths.PathSyntaxError):
        paths.parse(path)


@pytest.mark.parametrize(
    ("data", "path", "value", "result"),
    [
        ({}, "$.a.b", 1, {"a": {"b": 1}}),
        ({"a": {"x": 1}}, "$.a.b", 2, {"a": {"x": 1, "b": 2}}),
        ({"a": [1, 2]}, "$.a[1]", 3, {"a": [1, 3]}),
        ({"a": None}, "$.a.b", 1, {"a": {"b": 1}}),
        ({"a": 1}, "$", 5, 5),
    ],
)
def test_put(data: Any, path: str, value: Any, result: Any) -> None:
    keys = paths.parse(path).keys
    assert keys is not None
    before = repr(data)

    assert paths.put(data, keys, value) == result
    assert repr(data) == before, "the data is shared and must not change"


def test_a_result_path_into_a_string_fails() -> None:
    result = run(one({"Type": "Pass", "Result": 1, "ResultPath": "$.a.b"}), {"a": "text"})

    assert result.error == "States.ResultPathMatchFailure"


def test_a_missing_path_is_reported_with_the_input() -> None:
    result = run(one({"Type": "Pass", "Parameters": {"x": {"y.$": "$.no"}}}), {"a": 1})

    assert (result.status, result.error) == ("FAILED", "States.Runtime")
    assert "'$.no'" in str(result.cause)
    assert "'y.$'" in str(result.cause)
    assert '{"a":1}' in str(result.cause)


def test_a_regular_expression_ends_at_the_limits_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = WorkerPool(1, seconds=0.2)
    monkeypatch.setattr(path_filters, "POOL", pool)
    items = [{"text": "a" * 40 + "!"}, {"text": "b"}]

    result = run(one({"Type": "Pass", "Parameters": {"v.$": "$[?(@.text =~ /(a+)+/)]"}}), items)

    assert result.error == "States.DataLimitExceeded"
    assert "the regular expression /^(?:(a+)+)$/ needs too much time" in str(result.cause)
    pool.close()
