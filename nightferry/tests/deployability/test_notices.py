"""A failure reaches a chat as deployed: event, function, topic, function, webhook. IAM is enforced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.environments.environment import parse
from nightferry.states.builder import Notify
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount, Failed
from nightferry.testing.iam.agent import Agent
from nightferry.testing.iam.report import find_unneeded
from nightferry.testing.iam.services import Services, make_failure_event
from tests.lambdas.chat import PATH, Chat
from tests.lambdas.servers import serve

KEY = "arn:aws:kms:us-east-1:123456789012:key/parameters"
PARAMETER = "/service/notices/test/slack-webhook"
TOPIC = "arn:aws:sns:us-east-1:123456789012:notices-test-failures"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:notices-test-nightly"
ENVIRONMENT = f"""
backend = "aws"
[notices.failures]
emails = ["on-call@example.gov"]
slack = "slack-webhook"
[aws]
account = "123456789012"
region = "us-east-1"
cluster = "notices-test"
vpc = "vpc-0123456789abcdef0"
subnets = ["subnet-0123456789abcdef0"]
parameters_key = "{KEY}"
[aws.alarms]
low = "failures"
"""
ROLES = [f"arn:aws:iam::123456789012:role/notices-test-{name}" for name in ("failure-notices", "failures-slack")]


def make_catalog() -> Catalog:
    catalog = Catalog("notices", image=Image("notices"))
    failures = catalog.topic("failures")
    definition = {"StartAt": "load", "States": {"load": {"Type": "Fail", "Error": "Broken"}}}
    catalog.workflow("nightly", definition, on_failure=Notify(failures))
    return catalog


@pytest.mark.long
def test_a_failure_reaches_the_chat_and_each_permission_is_needed(emulated_aws: str, tmp_path: Path) -> None:
    catalog = make_catalog()
    deployment = Deployment(catalog, parse("test", ENVIRONMENT, catalog, Path("environments/test.toml")), tmp_path)
    plan = deployment.apply_and_plan("first")
    assert plan.changes == {}, plan.text
    account = EnforcedAccount(emulated_aws, "us-east-1")
    with serve(Chat()) as chat:
        account.administer("ssm").put_parameter(Name=PARAMETER, Value=chat.url, Type="SecureString", KeyId=KEY)
        account.enforce()
        agent = Agent(account, {})
        services = Services(account, agent, "notices-test", deployment.root / ".terraform")
        services.states.create(MACHINE)
        output = services.invoke("notices-test-failure-notices", make_failure_event(MACHINE))
        assert "published" in output
        failure = {"workflow": "nightly", "environment": "test", "execution": "e1", "status": "FAILED", "step": "load"}
        (delivered,) = services.notify(TOPIC, json.dumps(failure), "The nightly load failed")
        assert json.loads(delivered)["decision"] == "delivered"
        assert chat.received[0]["text"] == "🔴 The nightly load failed"
        for name in ("failure-notices", "failures-slack"):
            services.discard_event(f"notices-test-{name}")
        statements = {role: account.statements(role) for role in ROLES}
        assert all(call["allowed"] for call in account.calls())
        assert find_unneeded(statements, account.requirements()) == {}
        for sid in ("ReadWebhook", "DecryptWebhook"):
            with account.without(ROLES[1], sid), pytest.raises(Failed, match="with the webhook's URL cannot be read"):
                services.notify(TOPIC, "x")
        assert len(chat.received) == 1
    state = (deployment.root / "terraform.tfstate").read_text()
    assert PARAMETER in state
    assert PATH not in state
    deployment.destroy("first")
    assert deployment.resources_by_address() == {}
