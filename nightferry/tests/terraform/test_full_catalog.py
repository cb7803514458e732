"""Synthesis of all tasks of a state agency, which reaches limits that small catalogs do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightferry.terraform import synthesize
from nightferry.terraform.reading.expansion import expand
from nightferry.terraform.reading.values import to_json
from tests.terraform import full_catalog


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    catalog = full_catalog.make_catalog()
    assert (len(catalog.tasks), len(catalog.schedules), len(catalog.object_triggers)) == (39, 19, 3)
    return synthesize(catalog, full_catalog.make_environment(catalog))


def resources(files: dict[str, str], kind: str) -> list[Any]:
    return [to_json(dict(found.arguments)) for found in expand(files, "ecs-tasks/test") if found.type == kind]


def test_names_fit_and_are_unique(files: dict[str, str]) -> None:
    roles = [role["name"] for role in resources(files, "aws_iam_role")]
    # Each task has two roles; the workflow, its failure notice, two chats, and each schedule and trigger have one.
    assert len(roles) == len(set(roles)) == 2 * 39 + 1 + 19 + 3 + 1 + 2
    assert max(map(len, roles)) <= 64
    alarms = [alarm["alarm_name"] for alarm in resources(files, "aws_cloudwatch_metric_alarm")]
    assert len(alarms) == len(set(alarms)) > 2 * 39


def test_texts_stay_below_the_limits_of_aws(files: dict[str, str]) -> None:
    rules = resources(files, "aws_cloudwatch_event_rule")
    assert rules
    for rule in rules:
        assert len(rule["event_pattern"]) <= 2048
    dashboards = json.loads(files["ecs-tasks/test/alarms.tf.json"])["resource"]["aws_cloudwatch_dashboard"]
    for dashboard in dashboards.values():
        assert len(dashboard["dashboard_body"]) < 1_000_000
        for widget in json.loads(dashboard["dashboard_body"])["widgets"]:
            assert len(widget["properties"].get("metrics", [])) <= 500
