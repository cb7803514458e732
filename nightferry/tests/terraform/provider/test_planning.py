"""Plans of single resources: defaults, unknown values, changes in place, replacements, and what counts as equal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightferry.terraform.provider.equality import are_equal
from nightferry.terraform.provider.planning import plan
from nightferry.terraform.provider.rules import find_problems, find_warnings
from nightferry.terraform.provider.schema import complete, load
from nightferry.terraform.provider.values import UNKNOWN, decode, encode

PROVIDER = {"region": "us-east-1", "default_tags": {"application": "x"}}


def plan_group(prior: dict[str, Any] | None, **config: Any) -> tuple[dict[str, Any], list[str]]:
    kind = load().resources["aws_cloudwatch_log_group"]
    return plan(kind, prior, complete(kind.body, config), PROVIDER)


def test_a_new_resource_has_defaults_and_unknown_attributes() -> None:
    planned, replaced = plan_group(None, name="g", tags={"a": "b"})
    assert planned["retention_in_days"] == 0
    assert planned["arn"] is UNKNOWN
    assert planned["kms_key_id"] is None
    assert planned["tags_all"] == {"application": "x", "a": "b"}
    assert replaced == []


def test_an_update_keeps_what_aws_chose_and_a_new_name_replaces_the_resource() -> None:
    prior, _ = plan_group(None, name="g")
    prior = {**prior, "arn": "arn:g", "id": "g", "log_group_class": "STANDARD", "name_prefix": ""}
    assert plan_group(prior, name="g")[0] == prior
    planned, replaced = plan_group(prior, name="g", retention_in_days=7)
    assert (planned["retention_in_days"], planned["arn"], replaced) == (7, "arn:g", [])
    assert plan_group(prior, name="other")[1] == ["name"]
    assert plan_group({**prior, "kms_key_id": "someone's"}, name="g")[0]["kms_key_id"] is None


@pytest.mark.parametrize(
    ("kind", "old", "new", "equal"),
    [
        ("json", {"a": [1, 2]}, {"a": [2, 1]}, False),
        ("policy", {"Statement": [{"Action": "x"}]}, {"Statement": {"Action": ["x"]}}, True),
        ("policy", {"Statement": [{"Action": "x"}]}, {"Statement": {"Action": ["x", "y"]}}, False),
        ("containers", [{"name": "a"}], [{"name": "a", "essential": True, "cpu": 0, "mountPoints": []}], True),
        ("containers", [{"name": "a", "environment": [{"name": "b"}, {"name": "a"}]}],
         [{"name": "a", "environment": [{"name": "a"}, {"name": "b"}]}], True),
        # The provider does not remove empty lists of nested structures (terraform-aws-modules/terraform-aws-ecs#176).
        ("containers", [{"name": "a", "linuxParameters": {"capabilities": {"drop": ["ALL"]}}}],
         [{"name": "a", "linuxParameters": {"capabilities": {"drop": ["ALL"], "add": []}}}], False),
    ],
)  # fmt: skip
def test_texts_that_the_provider_treats_as_equal(kind: str, old: Any, new: Any, equal: bool) -> None:
    assert are_equal(json.dumps(old), json.dumps(new), compare=kind) is equal


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"name": "x" * 65}, "length of name"),
        ({"name": "a", "name_prefix": "b"}, "conflicts with"),
        ({"state": "OFF"}, "expected state to be one of"),
        ({"flexible_time_window": [{"mode": "FLEXIBLE", "maximum_window_in_minutes": 0}]}, "in the range"),
    ],
)
def test_the_rules_of_the_provider(config: dict[str, Any], problem: str) -> None:
    kind = load().resources["aws_scheduler_schedule"]
    found = list(find_problems(kind, complete(kind.body, config)))
    assert any(problem in one for one in found), found


def test_one_of_several_arguments_and_valid_json_are_required() -> None:
    kind = load().resources["aws_lambda_function"]
    assert any("must be specified" in one for one in find_problems(kind, complete(kind.body, {})))
    role = load().resources["aws_iam_role"]
    config = complete(role.body, {"assume_role_policy": "{", "managed_policy_arns": ["a"]})
    assert any("invalid JSON" in one for one in find_problems(role, config))
    assert list(find_warnings(role, config)) == [
        "managed_policy_arns is deprecated: use aws_iam_role_policy_attachment"
    ]


def test_values_survive_the_wire() -> None:
    value = {"a": [1, None, {"b": UNKNOWN}], "c": True, "d": "x"}
    assert decode(encode(value)) == value
