"""Every path of a deployed environment on an emulated account: from a trigger, a schedule or a person to a task's end.

The Lambda functions run from their real archives. The emulator differs from AWS: it enforces no policies of roles, its
JSONata is the port that we use too, it retries no delivery of a log subscription, and it ignores the time zone of a
schedule. These tests do not cover that.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.deployment.emulator.account import (
    EmulatedAws,
    emulated_account,
    requires_emulator,
    wait_until,
)
from tests.deployment.emulator.new_relic import LogApi, log_api
from tests.deployment.workflow import Repository, terraform

pytestmark = [pytest.mark.long, requires_emulator, pytest.mark.timeout(900)]

PREFIX = "paid-leave-api-test"
BUCKET = "example-test-agency-transfer"


@pytest.fixture(scope="module")
def new_relic() -> Iterator[LogApi]:
    with log_api() as api:
        yield api


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, new_relic: LogApi) -> Iterator[EmulatedAws]:
    """Return the account after terraform apply of the environment test."""
    folder = tmp_path_factory.mktemp("paths")
    repository = Repository(folder / "origin")
    with emulated_account(folder, "test", repository.folder, LOG_API_URL=new_relic.url) as aws:
        root = repository.folder / "paidleave" / "infra" / "ecs-tasks" / "test"
        terraform(root, aws, "init", "-input=false")
        terraform(root, aws, "apply", "-input=false", "-auto-approve", "-var", "image_tag=deployed")
        yield aws


@pytest.fixture
def aws(deployed: EmulatedAws) -> Iterator[EmulatedAws]:
    yield deployed
    deployed.script()


def overrides(task: dict[str, Any]) -> dict[str, str]:
    """Return the variables that the caller of RunTask set."""
    (container,) = task["overrides"]["containerOverrides"]
    return {variable["name"]: variable["value"] for variable in container.get("environment", [])}


# ── triggers ──────────────────────────────────────────────────────────────────────────────────────────────────

OBJECTS = {
    "dor/received/DORDUADFML_20261129": "dor-import-exempt",
    "dor/received/DORDUADFML_SUBMISSION_20261129": "dor-pending-filing-response-import",
    "dfml/received/CompaniesReturningToStatePlan 1+1.csv": "dor-create-pending-filing-submission",
}


@pytest.mark.parametrize(("key", "task"), OBJECTS.items())
def test_an_uploaded_object_starts_its_task(aws: EmulatedAws, key: str, task: str) -> None:
    before = len(aws.tasks(task))
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"content")
    started = wait_until(lambda: aws.tasks(task)[before:], f"a run of {task}")[0]
    assert overrides(started)["S3_KEY"] == key
    assert overrides(started)["S3_BUCKET"] == BUCKET
    assert started["startedBy"].startswith("trigger/")
    assert f":task-definition/{PREFIX}-{task}:" in started["taskDefinitionArn"]


def test_an_object_beside_the_triggers_starts_nothing(aws: EmulatedAws) -> None:
    before = aws.all_tasks()
    for key in ("dor/received/DORDFML_20261129", "dfml/received/CompaniesReturningToStatePlan.txt", "other"):
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"content")
    # This object is the last, and its task shows that the others were processed.
    test_an_uploaded_object_starts_its_task(aws, "dor/received/DORDUADFML_2last", "dor-import-exempt")
    assert len(aws.all_tasks()) == len(before) + 1


def test_a_start_without_capacity_becomes_a_dead_letter_that_redrive_starts(aws: EmulatedAws) -> None:
    key = "dor/received/DORDUADFML_2no capacity"
    before = len(aws.tasks("dor-import-exempt"))
    aws.script(dor_import_exempt=[{"failure": "Capacity is unavailable at this time."}])
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"content")
    queue = aws.client("sqs").get_queue_url(QueueName=f"{PREFIX}-triggers-dead-letters")["QueueUrl"]
    wait_until(lambda: aws.queue_length(queue), "a dead letter")
    assert len(aws.tasks("dor-import-exempt")) == before

    code, output = aws.nightferry("redrive", "triggers", "--env", "test")
    assert (code, aws.queue_length(queue)) == (1, 1), output
    assert "Capacity is unavailable at this time." in output

    aws.script()
    code, output = aws.nightferry("redrive", "triggers", "--env", "test")
    assert (code, aws.queue_length(queue)) == (0, 0), output
    (task,) = aws.tasks("dor-import-exempt")[before:]
    assert overrides(task)["S3_KEY"] == key


# ── schedules ─────────────────────────────────────────────────────────────────────────────────────────────────


def fire(aws: EmulatedAws, name: str) -> None:
    """Create a schedule that is due now, with the target of a declared one."""
    scheduler = aws.client("scheduler")
    schedule = scheduler.get_schedule(Name=f"{PREFIX}-{name}", GroupName=PREFIX)
    same = {member: schedule[member] for member in ("GroupName", "Target", "FlexibleTimeWindow")}
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    scheduler.create_schedule(Name=f"{name}-now", ScheduleExpression=f"at({now})", **same)


def test_a_schedule_that_fires_starts_its_task(aws: EmulatedAws) -> None:
    before = len(aws.tasks("fineos-bucket-tool"))
    fire(aws, "fineos-data-export-tool")
    started = wait_until(lambda: aws.tasks("fineos-bucket-tool")[before:], "a run of fineos-bucket-tool")[0]
    assert started["startedBy"].startswith("chronos-schedule/")
    assert overrides(started)["FROM_PATH"].startswith("s3://")
    assert overrides(started)["RECURSIVE"] == "true"


def test_a_refused_start_of_a_schedule_becomes_a_dead_letter_that_redrive_starts(aws: EmulatedAws) -> None:
    before = len(aws.tasks("fineos-bucket-tool"))
    aws.refuse(RunTask="fineos-bucket-tool")
    fire(aws, "fineos-report-extracts-tool")
    queue = aws.client("sqs").get_queue_url(QueueName=f"{PREFIX}-schedules-dead-letters")["QueueUrl"]
    wait_until(lambda: aws.queue_length(queue), "a dead letter")
    aws.refuse()
    code, output = aws.nightferry("redrive", "schedules", "--env", "test")
    assert (code, aws.queue_length(queue)) == (0, 0), output
    (task,) = aws.tasks("fineos-bucket-tool")[before:]
    assert overrides(task)["TO_PATH"].endswith("fineos/dataexports")


def test_a_schedule_that_fires_starts_its_workflow(aws: EmulatedAws) -> None:
    fire(aws, "fineos-error-extracts")
    execution = wait_until(lambda: aws.executions("cps-errors", "SUCCEEDED"), "an execution of cps-errors")[0]
    assert execution["status"] == "SUCCEEDED"


# ── workflows ─────────────────────────────────────────────────────────────────────────────────────────────────

WORKFLOWS = {
    "dor-fineos-etl": ["fineos-import-employee-updates", "dor-import", "load-employers-to-fineos"],
    "generated-dor-fineos-etl": ["dor-generate", "dor-import", "fineos-eligibility-feed-export"],
    "cps-errors": ["fineos-bucket-tool", "cps-errors-crawler"],
}


@pytest.mark.parametrize(("workflow", "tasks"), WORKFLOWS.items())
def test_a_workflow_runs_its_tasks_to_its_end(aws: EmulatedAws, workflow: str, tasks: list[str]) -> None:
    before = {task: len(aws.tasks(task)) for task in tasks}
    code, output = aws.nightferry("start", workflow, "--env", "test")
    assert code == 0, output
    for task in tasks:
        started = aws.tasks(task)[before[task] :]
        assert started, task
        assert {run["containers"][0]["exitCode"] for run in started} == {0}


def subscribe(aws: EmulatedAws, topic: str) -> Callable[[], dict[str, str]]:
    """Subscribe a queue to a topic; return a function that waits for its next message."""
    sqs, sns = aws.client("sqs"), aws.client("sns")
    queue = sqs.create_queue(QueueName=f"subscriber-of-{topic}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topics = [found["TopicArn"] for found in sns.list_topics()["Topics"]]
    (topic_arn,) = (found for found in topics if found.endswith(f":{PREFIX}-{topic}"))
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)

    def receive() -> dict[str, str]:
        read = lambda: sqs.receive_message(QueueUrl=queue).get("Messages")  # noqa: E731
        (message,) = wait_until(read, f"a message of {topic}")
        body: dict[str, str] = json.loads(message["Body"])
        return body

    return receive


def test_a_failed_workflow_sends_its_notice(aws: EmulatedAws) -> None:
    messages = subscribe(aws, "task-failures")
    aws.script(dor_import=[{"exit_code": 1, "line": "the file cannot be decrypted"}])
    code, output = aws.nightferry("start", "dor-fineos-etl", "--env", "test")
    assert code == 1, output
    notice = messages()
    assert notice["Subject"] == "The DOR to FINEOS ETL failed"
    assert "dor-import" in notice["Message"]


# ── logs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lines_and_the_states_of_a_task_reach_new_relic(aws: EmulatedAws, new_relic: LogApi) -> None:
    aws.script(paidleave_check=[{"line": "a line for New Relic"}])
    code, output = aws.nightferry("run", "paidleave-check", "--env", "test")
    assert code == 0, output
    assert "a line for New Relic" in output
    wait_until(lambda: new_relic.has("a line for New Relic"), "the line in New Relic")
    wait_until(lambda: new_relic.has("paidleave-check", "STOPPED", "exitCode"), "the task's state in New Relic")
    assert new_relic.keys == {"secret"}
