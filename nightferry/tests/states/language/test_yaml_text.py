"""YAML definitions: the values of JSON, and errors instead of surprises."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from nightferry.states.data.payload import NotJson
from nightferry.states.language.yaml_text import load_yaml
from nightferry.testing.tiers import SEED, examples


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("010", "010"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        (".5", ".5"),
        (".nan", ".nan"),
        ("=", "="),
        ("12", 12),
        ("-1.5", -1.5),
        ("1e3", 1000.0),
        ("true", True),
        ("null", None),
        ("~", None),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("${Name}", "${Name}"),
        ("{% $states.input %}", NotJson),
        ("'{% $states.input %}'", "{% $states.input %}"),
        ("|\n  a\n  b\n", "a\nb\n"),
    ],
)
def test_a_value(text: str, value: Any) -> None:
    if value is NotJson:
        with pytest.raises(NotJson):
            load_yaml(f"a: {text}")
    else:
        assert load_yaml(f"a: {text}") == {"a": value}


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs twice"),
        ("a: &x [1]\nb: *x", r"line 2: aliases \(\*NAME\) are not supported"),
        ("a: !Ref A", "line 1: could not determine a constructor for the tag '!Ref'"),
        ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
        ("1: a", "line 1: the key 1 is not a text"),
        ("[a]: 1", "is not a text"),
        ("a: 1\n---\nb: 2", "line 2: expected a single document"),
        ("[" * 5_000, "nested too deeply"),
        ("a: [1", "line 1: while parsing a flow sequence"),
        ("a: 1e999", "not JSON compliant"),
        (f"a: {'1' * 5000}", "."),
        ("a: \x00", "."),
        ('a: "\\ud800"', "surrogate"),
        ("a: !!binary aGk=", "."),
        ("a: !!set {b}", "."),
        ("a: !!timestamp 2026-01-01", "."),
    ],
)
def test_yaml_that_json_cannot_express(text: str, reason: str) -> None:
    with pytest.raises(NotJson, match=reason):
        load_yaml(text)


def test_any_text_is_a_value_or_an_error() -> None:
    random = Random(SEED)
    pieces = [
        "a",
        ": ",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ",",
        "'",
        '"',
        "|",
        ">",
        "&x",
        "*x",
        "!",
        "%",
        "?",
        "\t",
        "\\",
        "#",
        "1",
    ]
    for _ in range(examples(300)):
        text = "".join(random.choices(pieces, k=random.randint(0, 12)))
        with suppress(NotJson):
            json.dumps(load_yaml(text))
