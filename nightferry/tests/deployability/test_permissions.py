"""The roles of a catalog whose buckets, topics, parameters and lease are encrypted are sufficient and minimal."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret
from nightferry.environments.environment import parse
from nightferry.states.builder import Choose, Notify, Output, Retry, RunTask, Steps, When
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount, Failed
from nightferry.testing.iam.agent import Agent
from nightferry.testing.iam.report import find_unneeded, find_unused_actions, format_table
from nightferry.testing.iam.services import (
    Services,
    make_failure_event,
    make_notice_event,
    make_object_event,
    make_stopped_event,
)
from tests.deployability.jobs import WorkSettings
from tests.lambdas.chat import Chat
from tests.lambdas.log_api import LogApi
from tests.lambdas.servers import serve

ROOT = Path(__file__).parents[2]
WORK = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.deployability.jobs import main; main()"
KEYS = "arn:aws:kms:us-east-1:123456789012:key"
VENDOR = "arn:aws:iam::210987654321:role/vendor"
ENVIRONMENT = f"""
backend = "aws"
[aws]
account = "123456789012"
region = "us-east-1"
cluster = "proof-test"
vpc = "vpc-0123456789abcdef0"
subnets = ["subnet-0123456789abcdef0"]
bucket_prefix = "org"
parameters_key = "{KEYS}/parameters"
guardduty_agent = "arn:aws:ecr:us-east-1:593207742271:repository/aws-guardduty-agent-fargate"
[aws.new_relic_forwarder]
license_key = "license-key"
[notices.news]
slack = "slack"
[aws.buckets.vault]
name = "org-test-vault"
key = "{KEYS}/vault"
[aws.buckets.leases]
name = "org-test-leases"
key = "{KEYS}/leases"
[aws.buckets.drop]
name = "org-test-drop"
notifications = "ours"
[aws.buckets.results]
name = "org-test-results"
key = "{KEYS}/results"
"""


def make_catalog() -> Catalog:
    catalog = Catalog("proof", image=Image("proof"))
    vault, drop, leases, outbox = map(catalog.bucket, ("vault", "drop", "leases", "vendor-outbox"))
    catalog.results = catalog.bucket("results") / "counts"
    catalog.leases = leases / "running"
    news = catalog.topic("news")
    role_arn, external_id = catalog.setting("vendor.arn", VENDOR), catalog.setting("vendor.id", "ours")
    vendor = catalog.role("vendor", arn=role_arn, external_id=external_id)
    work = catalog.task(
        "work",
        command=["python", "-c", WORK],
        config=WorkSettings,
        env={
            "FOLDER": vault / "in",
            "VENDOR_FOLDER": outbox / "in",
            "VENDOR_ROLE": role_arn,
            "VENDOR_EXTERNAL_ID": external_id,
            "TOPIC": "arn:aws:sns:us-east-1:123456789012:proof-test-news",
            "NOTE_SSM_PATH": "/service/proof/test/note",
        },
        secrets={"TOKEN": Secret("token")},
        grants=[vault.read_write("in/*"), news.publish(), vendor.assume()],
        overlap="skip",
        retry=Retry(attempts=1, interval=3600),
    )
    catalog.function(
        "score",
        local="jobs:score",
        arn=catalog.setting("score", "arn:aws:lambda:us-east-1:123456789012:function:score"),
    )
    child = catalog.workflow("child", Steps(RunTask(work)), on_failure=Notify(news))
    parent = catalog.workflow("parent", PARENT, overlap="replace")
    catalog.workflow("newest", Steps(RunTask(work)), overlap="replace")
    count = catalog.task("count", main="tests.deployability.jobs:count")
    again = Choose(When(Output(count, "objects") > 1, RunTask(count, name="again")))
    catalog.schedule("count", catalog.workflow("count", Steps(RunTask(count), again)), "rate(1 day)")
    catalog.object_trigger("start-task", work, bucket=drop, prefix="task/")
    catalog.object_trigger("start-workflow", parent, bucket=drop, prefix="workflow/", via="eventbridge")
    catalog.schedule("task", work, "rate(1 day)")
    catalog.schedule("workflow", child, "rate(1 day)")
    return catalog


S3 = "arn:aws:states:::s3:"
PARENT: dict[str, Any] = {
    "StartAt": "Child",
    "States": {
        "Child": {
            "Type": "Task",
            "Resource": "arn:aws:states:::states:startExecution.sync:2",
            "Parameters": {"StateMachineArn": "${workflow:child}"},
            "Next": "Score",
        },
        "Score": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Parameters": {"FunctionName": "${function:score}"},
            "Next": "Publish",
        },
        "Publish": {
            "Type": "Task",
            "Resource": "arn:aws:states:::sns:publish",
            "Parameters": {"TopicArn": "${topic:news}", "Message": "scored"},
            "Next": "Each",
        },
        "Each": {
            "Type": "Map",
            "ItemReader": {
                "Resource": f"{S3}getObject",
                "ReaderConfig": {"InputType": "JSON"},
                "Parameters": {"Bucket": "${bucket:vault}", "Key": "items.json"},
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Nothing",
                "States": {"Nothing": {"Type": "Pass", "End": True}},
            },
            "ResultWriter": {
                "Resource": f"{S3}putObject",
                "Parameters": {"Bucket": "${bucket:results}", "Prefix": "runs"},
            },
            "Next": "List",
        },
        "List": {
            "Type": "Map",
            "ItemReader": {
                "Resource": f"{S3}listObjectsV2",
                "Parameters": {"Bucket": "${bucket:vault}", "Prefix": "in/"},
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Nothing too",
                "States": {"Nothing too": {"Type": "Pass", "End": True}},
            },
            "End": True,
        },
    },
}
NOT_USED = {
    "PullImage ecr:BatchCheckLayerAvailability": "the agent of some platform versions",
    "ReadWriteDeleteVault s3:AbortMultipartUpload": "an upload that fails",
    "DescribeAndStopExecutions states:StopExecution": "an execution that is stopped",
    "WriteResultsResults s3:AbortMultipartUpload": "a Map that is stopped; the guide lists it",
    "WriteResultsResults s3:GetObject": "the guide lists it",
    "WriteResultsResults s3:ListMultipartUploadParts": "the guide lists it",
    "EncryptResults kms:Encrypt": "the guide lists it",
}


@pytest.fixture
def chat() -> Iterator[Chat]:
    with serve(Chat()) as chat:
        yield chat


@pytest.mark.long
@pytest.mark.timeout(0)
def test_each_statement_is_needed(emulated_aws: str, tmp_path: Path, chat: Chat) -> None:
    catalog = make_catalog()
    environment = parse("test", ENVIRONMENT, catalog, Path("environments/test.toml"))
    deployment = Deployment(catalog, environment, tmp_path)
    deployment.apply("first")
    account = EnforcedAccount(emulated_aws, "us-east-1")
    prepare(account, chat.url)
    account.enforce()
    agent = Agent(account, {})
    services = Services(account, agent, deployment.resources.aws.cluster, deployment.root / ".terraform")

    steps = list(make_steps(services, catalog, chat))
    needed: dict[tuple[str, str], Callable[[], object]] = {}
    for step in steps:
        before = len(account.calls())
        put_objects(account)
        step()
        for one in account.requirements(since=before):
            if len(one.statements) == 1:
                needed.setdefault((one.role, one.statements[0]), step)
    statements = {role: account.statements(role) for role in account.list_roles()}
    requirements = account.requirements()
    print(format_table(statements, requirements))
    # S3 denies the call for a missing object, and the object's listing reports it as missing.
    denied = {call["call"] for call in account.calls() if not call["allowed"]}
    assert all(call.endswith(" of a missing object") for call in denied), denied
    assert find_unneeded(statements, requirements) == {}
    unused = {name for names in find_unused_actions(statements, requirements).values() for name in names}
    assert unused == NOT_USED.keys()
    dispensable = []
    for role, found in statements.items():
        for sid in found:
            put_objects(account)
            with account.without(role, sid), suppress(Failed):
                needed[role, sid]()
                dispensable.append(f"{role} {sid}")
    assert dispensable == []


def make_steps(services: Services, catalog: Catalog, chat: Chat) -> Iterator[Callable[[], object]]:
    """Yield each start of each declaration, which the removal of a statement repeats."""
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:proof-test"
    for workflow in catalog.workflows:
        yield partial(services.states.create, f"{machine}-{workflow}")
    for schedule in catalog.schedules:
        yield partial(services.fire, "proof-test", f"proof-test-{schedule}")
        yield partial(services.give_up, "proof-test", f"proof-test-{schedule}")
    for trigger in catalog.object_triggers:
        event = make_object_event("org-test-drop", f"{trigger}/a", timedelta(hours=2))
        yield partial(services.invoke, f"proof-test-{trigger}-trigger", event)
        yield partial(services.discard_event, f"proof-test-{trigger}-trigger")
    for workflow in ("parent", "newest"):
        yield partial(replace_an_execution, services, f"{machine}-{workflow}")
    yield partial(notify_of_a_failure, services, f"{machine}-child")
    for id, age in (("a" * 32, timedelta()), ("b" * 32, timedelta(hours=2))):  # planned, and started at once
        yield partial(services.invoke, "proof-test-retries", make_stopped_event("proof-test", "work", id, age))
    yield partial(services.fire, "proof-test-retries", "a" * 32)
    yield partial(services.give_up, "proof-test-retries", "a" * 32)
    for function in ("newrelic-forwarder", "failure-notices", "retries"):
        yield partial(services.discard_event, f"proof-test-{function}")
    yield partial(services.discard_event, "proof-test-news-slack")
    yield partial(forward_a_log, services)
    yield partial(deliver_a_notice, services, chat)


def forward_a_log(services: Services) -> None:
    with serve(LogApi()) as api:
        services.invoke("proof-test-newrelic-forwarder", LOG_EVENT, LOG_API_URL=api.url)


def deliver_a_notice(services: Services, chat: Chat) -> None:
    chat.reset()
    services.invoke("proof-test-news-slack", make_notice_event("arn:aws:sns:us-east-1:123456789012:proof-test-news"))
    if not chat.received:
        raise Failed("The chat has received nothing.")


def prepare(account: EnforcedAccount, webhook: str) -> None:
    """Create the secrets, the image and the vendor's role."""
    ssm = account.administer("ssm")
    for name, value in {"token": "secret", "note": "note", "license-key": "license", "slack": webhook}.items():
        ssm.put_parameter(
            Name=f"/service/proof/test/{name}", Value=value, Type="SecureString", KeyId=f"{KEYS}/parameters"
        )
    manifest = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'
    account.administer("ecr").put_image(repositoryName="proof", imageTag="first", imageManifest=manifest)
    iam = account.client("arn:aws:iam::210987654321:role/administrator", "iam")
    trust = {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Condition": {"StringEquals": {"sts:ExternalId": "ours"}},
    }
    allow = {
        "Sid": "Put",
        "Effect": "Allow",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::org-test-vendor-outbox/*",
    }
    iam.create_role(
        RoleName="vendor", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="vendor", PolicyName="put", PolicyDocument=policy)


def put_objects(account: EnforcedAccount) -> None:
    """Store the input, and delete the lease, which the first run finds missing."""
    s3 = account.administer("s3")
    s3.delete_object(Bucket="org-test-leases", Key="running/work.lease")
    s3.put_object(Bucket="org-test-vault", Key="in/a", Body=b"a", Tagging="scan=clean")
    s3.put_object(Bucket="org-test-vault", Key="items.json", Body=b"[1, 2]")


def replace_an_execution(services: Services, machine: str) -> None:
    services.states.start_earlier(machine)
    services.run_workflow(machine)


def notify_of_a_failure(services: Services, machine: str) -> None:
    output = services.invoke("proof-test-failure-notices", make_failure_event(machine))
    if "history not read" in output:
        raise Failed(output)


PAYLOAD = {
    "messageType": "DATA_MESSAGE",
    "owner": "123456789012",
    "logGroup": "g",
    "logStream": "s",
    "subscriptionFilters": ["f"],
    "logEvents": [{"id": "1", "timestamp": 1_800_000_000_000, "message": "x"}],
}
LOG_EVENT = {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(PAYLOAD).encode())).decode()}}
