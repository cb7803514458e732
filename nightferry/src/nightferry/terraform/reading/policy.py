"""Render the JSON of an IAM policy from the arguments of ``aws_iam_policy_document``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nightferry.terraform.reading.values import Value, as_list, encode


def render_policy(arguments: Mapping[str, Value]) -> Value:
    """Return the policy as JSON text, which is unknown if any part of it is unknown."""
    return encode(
        {"Version": "2012-10-17", "Statement": [_render_statement(one) for one in as_list(arguments["statement"])]}
    )


def _render_statement(block: Mapping[str, Value]) -> dict[str, Value]:
    statement: dict[str, Value] = {
        "Sid": block.get("sid"),
        "Effect": block.get("effect", "Allow"),
        "Principal": _render_principals(as_list(block.get("principals", []))),
        "Action": block.get("actions"),
        "Resource": block.get("resources"),
        "Condition": _render_conditions(as_list(block.get("condition", []))),
    }
    # Other arguments are shown under their names in Terraform.
    rest = {
        key: value
        for key, value in block.items()
        if key not in ("sid", "effect", "principals", "actions", "resources", "condition")
    }
    return {key: value for key, value in statement.items() if value not in (None, {})} | rest


# The provider joins the lists of blocks with the same type, or with the same test and variable: see MarshalJSON in its
# internal/service/iam/policy_model.go.


def _render_principals(blocks: list[Any]) -> dict[str, Value]:
    principals: dict[str, Value] = {}
    for block in blocks:
        principals[block["type"]] = _append(principals.get(block["type"]), block["identifiers"])
    return principals


def _render_conditions(blocks: list[Any]) -> dict[str, Value]:
    conditions: dict[str, Any] = {}
    for block in blocks:
        variables = conditions.setdefault(block["test"], {})
        variables[block["variable"]] = _append(variables.get(block["variable"]), block["values"])
    return conditions


def _append(items: Value, more: Value) -> Value:
    return more if items is None else [*as_list(items), *as_list(more)]
