"""Starts by schedules and triggers on AWS: found by what they started, and not known where AWS has no record."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.executions import starts
from nightferry.backend.queries import Count, Cursor
from nightferry.backend.starts import NotKnown, Start, StartFilter
from nightferry.contract import format_scheduled_time
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.aws.executions.test_backfill import CLUSTER, ROLE

SKIPPED = '{"skipped": "An earlier execution is running.", "running": ["arn:aws:states:x:1:execution:m:earlier"]}'


@pytest.fixture
def declared(project: Project) -> None:
    catalog = project.catalog
    catalog.schedule("nightly", catalog.tasks["three"], "cron(0 5 * * ? *)")
    catalog.schedule("hourly", catalog.workflows["marks"], "cron(0 * * * ? *)")
    inbox = catalog.buckets["inbox"]
    catalog.object_trigger("arrival", catalog.tasks["hello"], bucket=inbox, prefix="in/", suffix=".csv")
    catalog.object_trigger(
        "report-of-an-arrival-with-a-long-name", catalog.workflows["marks"], bucket=inbox, prefix="report/"
    )


def run_task(task: str, started_by: str, variables: dict[str, str]) -> str:
    (started,) = boto3.client("ecs", region_name="us-east-1").run_task(
        cluster=CLUSTER,
        taskDefinition=f"toy-test-{task}",
        launchType="FARGATE",
        startedBy=started_by,
        networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}},
        overrides={
            "containerOverrides": [
                {"name": task, "environment": [{"name": key, "value": value} for key, value in variables.items()]}
            ]
        },
    )["tasks"]
    return str(started["taskArn"]).rpartition("/")[2]


class Machine:
    """The deployed state machine of the workflow ``marks``. An execution with a pause stays open."""

    def __init__(self) -> None:
        self._states = boto3.client("stepfunctions", region_name="us-east-1")
        self.arn = self._states.create_state_machine(
            name="toy-test-marks", definition='{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}', roleArn=ROLE
        )["stateMachineArn"]

    def start(self, name: str, input: Any) -> None:
        self._states.start_execution(stateMachineArn=self.arn, name=name, input=json.dumps(input))


def list_all(backend: AwsBackend, wanted: StartFilter, limit: int = 2) -> list[Start]:
    found: list[Start] = []
    before = None
    while True:
        page = backend.starts(wanted, before=before, limit=limit)
        assert not isinstance(page, NotKnown)
        found += page
        if page.next is None:
            return found
        before = Cursor.parse(str(page.next))


def test_runs_of_schedules_and_triggers_are_starts(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, declared: None
) -> None:
    for task in ("three", "hello"):
        fargate.script(task, *[TaskScript(exit_code=3 if task == "three" else 0)] * 8)
    due = clock.now().replace(microsecond=0)
    first = run_task("three", "chronos-schedule/toy-test-nightly", scheduled("nightly", due))
    clock.sleep(60)
    repeat = backend.redrive_run(first)
    of_object = run_task("hello", "trigger/arrival", {"S3_KEY": "in/a.csv", "S3_BUCKET": "b"})
    run_task("hello", "me", {})
    run_task("three", "me", {"SCHEDULED_AT": format_scheduled_time(due)})
    clock.sleep(60)
    again = run_task("three", "backfill/nightly", scheduled("nightly", due - timedelta(days=3)))
    clock.sleep(3 * 3600)  # ECS has forgotten the first ones
    found = list_all(backend, StartFilter())
    assert [(one.source, one.id, one.by_backfill, one.object, one.outcome) for one in found] == [
        ("schedule:nightly", again, True, None, "started"),
        ("trigger:arrival", of_object, False, "in/a.csv", "started"),
        ("schedule:nightly", first, False, None, "started"),
    ]
    assert [one.result for one in found] == ["failed", "succeeded", "failed"]
    assert repeat not in [one.id for one in found]
    assert [one.due_at for one in found if one.source == "schedule:nightly"] == [due - timedelta(days=3), due]
    assert [one.id for one in list_all(backend, StartFilter("schedule:nightly"), 1)] == [again, first]
    assert list_all(backend, StartFilter("schedule:nightly", until=due)) == []
    assert backend.count_starts() == Count(3, complete=True)
    assert backend.count_starts(limit=2) == Count(2, complete=False)


def scheduled(schedule: str, due: datetime) -> dict[str, str]:
    return {"SCHEDULED_AT": format_scheduled_time(due), "NIGHTFERRY_SCHEDULE": schedule}


def test_executions_of_schedules_and_triggers_are_starts(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock, declared: None
) -> None:
    machine, due = Machine(), clock.now().replace(microsecond=0)
    bucket = backend._resources.bucket("inbox").name
    inputs: dict[str, Any] = {
        "marks-by-hand": {"scheduled_at": format_scheduled_time(due), "schedule": "hourly"},
        "0b7e_of-scheduler": {"scheduled_at": format_scheduled_time(due), "schedule": "hourly"},
        f"hourly-{due:%Y%m%dT%H%M%SZ}-2": {"scheduled_at": format_scheduled_time(due), "schedule": "hourly"},
        "a" * 64: {"bucket": bucket, "key": "report/x", "version": "1", "uri": "s3://b/report/x"},
        "b" * 64: {"bucket": bucket, "key": "other/x", "version": "1", "uri": "s3://b/other/x"},
        "of-a-person": {"scheduled_at": "tomorrow", "schedule": "hourly"},
        "of-another": [1],
    }
    for name, input in inputs.items():
        machine.start(name, input)
    found = list_all(backend, StartFilter())
    assert {(one.source, one.id, one.by_backfill, one.object) for one in found} == {
        ("schedule:hourly", "0b7e_of-scheduler", False, None),
        ("schedule:hourly", f"hourly-{due:%Y%m%dT%H%M%SZ}-2", True, None),
        ("trigger:report-of-an-arrival-with-a-long-name", "a" * 64, False, "report/x"),
    }
    assert {one.due_at for one in found if one.source == "schedule:hourly"} == {due}
    (of_trigger,) = list_all(backend, StartFilter("trigger:report-of-an-arrival-with-a-long-name"))
    assert of_trigger.kind == "workflow"


def test_an_execution_is_described_once_and_never_without_limit(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, declared: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, due = Machine(), clock.now().replace(microsecond=0)
    calls: Counter[str] = Counter()
    backend.aws.stepfunctions.meta.events.register(
        "before-call", lambda model, **_: calls.update([model.name]), unique_id="count"
    )
    for n in range(9):
        machine.start(f"e{n}", {"scheduled_at": format_scheduled_time(due), "schedule": "hourly"})
    monkeypatch.setattr(starts, "DESCRIBED", 4)
    wanted = StartFilter("schedule:hourly")
    page = backend.starts(wanted, limit=20)
    assert not isinstance(page, NotKnown)
    assert len(page) == 4
    assert page.next is not None
    assert calls["DescribeExecution"] <= 5
    assert backend.count_starts(wanted) == Count(8, complete=False)
    assert len({one.id for one in list_all(backend, wanted, 20)}) == 9
    assert calls["DescribeExecution"] == 9
    list_all(backend, wanted, 20)
    assert calls["DescribeExecution"] == 9
    assert calls["ListExecutions"] < 10


def test_a_skipped_execution_names_the_open_one(backend: AwsBackend, fargate: FakeFargate, declared: None) -> None:
    machine = Machine()
    machine.start("e1", {"scheduled_at": "2026-11-01T05:00:00Z", "schedule": "hourly"})
    fargate.set_history("e1", [], status="SUCCEEDED", output=SKIPPED)
    found = list_all(backend, StartFilter("schedule:hourly", "skipped"))
    (start,) = found
    assert (start.id, start.outcome) == ("earlier", "skipped")
    assert start.note == "Execution earlier was open and the overlap policy is skip."
    assert list_all(backend, StartFilter("schedule:hourly", "started")) == []


def test_what_aws_does_not_record_is_not_known_and_dead_letters_are_counted(
    backend: AwsBackend, fargate: FakeFargate, declared: None
) -> None:
    missed = backend.starts(StartFilter(outcome="missed"))
    assert isinstance(missed, NotKnown)
    assert "nightferry redrive schedules --env test --dry-run" in missed.reason
    assert backend.count_starts(StartFilter(outcome="missed")) == missed
    gone = backend.starts(StartFilter("schedule:gone"))
    assert isinstance(gone, NotKnown)
    assert "'gone' is not declared" in gone.reason
    assert isinstance(backend.starts(StartFilter("schedule:nightly", "skipped")), NotKnown)
    assert isinstance(backend.schedule_progress(), NotKnown)
    assert isinstance(backend.seen_objects("arrival"), NotKnown)
    check_dead_letters(backend)


def check_dead_letters(backend: AwsBackend) -> None:
    """Check that messages are counted without being received."""
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.create_queue(QueueName="toy-test-schedules-dead-letters")["QueueUrl"]
    assert backend.dead_letters() == {"schedules": 0}
    for n in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
    sqs.receive_message(QueueUrl=url)  # a redrive has one
    calls: list[str] = []
    backend.aws.sqs.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    for _ in range(3):
        assert backend.dead_letters() == {"schedules": 3}
    assert set(calls) == {"GetQueueUrl", "GetQueueAttributes"}
