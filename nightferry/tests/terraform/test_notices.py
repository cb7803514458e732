"""The recipients of notices: e-mail subscriptions, and for each webhook a function that can read only its URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.environments.environment import parse
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment

KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


def synthesize_example(text: str = ENVIRONMENT) -> dict[str, str]:
    catalog = make_catalog()
    return synthesize(catalog, make_environment(catalog, text))


def read(files: dict[str, str], name: str) -> Any:
    return json.loads(files[f"ecs-tasks/test/{name}.tf.json"])


def test_each_address_has_a_subscription_and_each_webhook_a_function() -> None:
    files = synthesize_example(ENVIRONMENT.replace("bucket_prefix", f'log_key = "{KEY}"\nbucket_prefix'))
    notices = read(files, "notices")
    assert notices["resource"]["aws_sns_topic_subscription"] == {
        "failures_emails": {
            "for_each": {"on-call@example.gov": "on-call@example.gov", "team@example.gov": "team@example.gov"},
            "topic_arn": "${aws_sns_topic.failures.arn}",
            "protocol": "email",
            "endpoint": "${each.value}",
        }
    }
    assert notices["module"]["failures_slack"] == {
        "source": "../../modules/chat_notices",
        "name": "example-test-failures-slack",
        "topic_arn": "${aws_sns_topic.failures.arn}",
        "chat": "slack",
        "privacy": "secrets-only",
        "webhook_parameter": "/service/example/test/notices/slack",
        "log_retention_days": 365,
        "log_key_arn": KEY,
    }
    assert notices["module"]["failures_teams"]["webhook_parameter"] == "/shared/teams"


@pytest.mark.parametrize("key", ["", KEY])
def test_a_function_may_read_only_its_webhook(key: str) -> None:
    text = ENVIRONMENT.replace("bucket_prefix", f'parameters_key = "{key}"\nbucket_prefix') if key else ENVIRONMENT
    name = "example-test-failures-slack"
    policy = build_inventory(synthesize_example(text), "test").roles[name]["statements"]
    allowed = {action: block["Resource"] for block in policy for action in block["Action"]}
    (parameter,) = allowed.pop("ssm:GetParameter")
    assert parameter.endswith(":parameter/service/example/test/notices/slack")
    assert allowed.pop("kms:Decrypt", None) == ([key] if key else None)
    assert allowed.keys() == {"logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"}


def test_the_function_has_alarms_named_after_it() -> None:
    """The function recognizes alarms about itself by the name."""
    alarms = read(synthesize_example(), "alarms")["resource"]["aws_cloudwatch_metric_alarm"]
    for chat in ("slack", "teams"):
        for problem, metric in (
            ("dead-letters", "ApproximateNumberOfMessagesVisible"),
            ("dropped", "DestinationDelivery"),
        ):
            alarm = alarms[f"failures_{chat}_{problem.replace('-', '_')}"]
            assert alarm["alarm_name"] == f"example-test-failures-{chat}-{problem}"
            assert alarm["metric_name"].startswith(metric)
    assert "nightferry redrive failures-slack" in alarms["failures_slack_dead_letters"]["alarm_description"]


def test_a_name_that_is_too_long_is_reported() -> None:
    topic = "f" * 40
    catalog = Catalog("an-application-of-the-state", image=Image("example"))
    catalog.topic(topic)
    text = ENVIRONMENT.split("[settings]")[0] + ENVIRONMENT[ENVIRONMENT.index("[aws]") :]
    environment = parse("test", f"{text}[notices.{topic}]\nteams = 'x'\n", catalog, Path("environments/test.toml"))
    with pytest.raises(EnvironmentFileError, match=r"the function for the notices of topic 'f+' has 79 characters"):
        synthesize(catalog, environment)
