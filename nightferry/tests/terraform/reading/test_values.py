"""Terraform expressions are evaluated as far as their values are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from nightferry.terraform.reading.values import Unknown, decode, evaluate_text, to_json


class Names:
    """A scope with two known names and a resource whose ARN is unknown."""

    def resolve(self, root: str, steps: Sequence[Any]) -> tuple[Any, int]:
        known = {
            "local": {"name": "load", "rules": [{"sid": "A"}, {"sid": "B"}], "env": {"B": "2", "A": "1", "C": ""}},
            "none": None,
        }
        if root in known:
            return known[root], 0
        return Unknown.from_expression(root, exists=root == "aws_x"), 0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("to_json", "to_json"),
        ("$${not} %%{this}", "${not} %{this}"),
        ("a ${local.name} b", "a load b"),
        ("${1 + 2 * 3}", 7),
        ("${(1 + 2) * 3}", 9),
        ("${-1 < 0 && !false}", True),
        ('${local.name == "load" ? [1] : []}', [1]),
        ('${local.name != "load" || 2 >= 3}', False),
        ("${none == null}", True),
        ("${aws_x.y.arn == null}", False),
        ("${local.rules[1].sid}", "B"),
        ("${local.rules[*].sid}", ["A", "B"]),
        ("${local.rules[0].absent}", None),
        ('${[for key, value in local.env : "${key}=${value}" if value != ""]}', ["A=1", "B=2"]),
        ("${{ for key, value in local.env : value => key if length(value) > 0 }}", {"1": "A", "2": "B"}),
        ("${[for rule in local.rules : rule.sid]}", ["A", "B"]),
        ('${merge(local.env, {C = "3"}, null)}', {"B": "2", "A": "1", "C": "3"}),
        ('${sort(distinct(concat(["b"], ["a", "b"])))}', ["a", "b"]),
        ('${join(",", values(local.env))}', "1,2,"),
        ('${substr(replace("a:b:c", ":b", ":d"), 0, 3)}', "a:d"),
        ("${one([])}", None),
        ('${"quoted \\"text\\" ${local.name}"}', 'quoted "text" load'),
    ],
)
def test_a_known_value(text: str, value: Any) -> None:
    assert evaluate_text(text, Names()) == value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("${aws_x.y.arn}", "${aws_x.y.arn}"),
        ("${aws_x.y[0].arn}:*", "${aws_x.y[0].arn}:*"),
        ('${replace(aws_x.y.arn, local.name, "b")}', '${replace(aws_x.y.arn, "load", "b")}'),
        ("${var.tag == null ? 1 : local.name}", '${var.tag == null ? 1 : "load"}'),
        ("${[for one in var.list : one.name]}", "${[for one in var.list : one.name]}"),
        ("${timestamp()}", "${timestamp()}"),
        ("${length(none)}", "${length(null)}"),
        ("${1 / 0}", "${1 / 0}"),
        ('${coalesce(none, "")}', '${coalesce(null, "")}'),
        ("$${local.name} ${var.x}", "$${local.name} ${var.x}"),
        ("%{ if true }yes%{ endif }", "%{ if true }yes%{ endif }"),
        ("${local.name ...}", "${local.name ...}"),
    ],
)
def test_an_unknown_value_remains_text(text: str, shown: str) -> None:
    value = evaluate_text(text, Names())
    assert isinstance(value, Unknown)
    assert to_json(value) == shown


def test_json_with_unknown_values_can_be_read_back() -> None:
    value = evaluate_text('${jsonencode({b = [aws_x.y.arn, "$${c}"], a = local.name})}', Names())
    assert decode(value) == {"a": "load", "b": ["${aws_x.y.arn}", "$${c}"]}
