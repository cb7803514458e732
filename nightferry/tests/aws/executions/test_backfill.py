"""Backfills on AWS: each time starts once, as the deployed schedule would start it, also after a crash."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.queries import RunFilter
from nightferry.catalog.declarations import Schedule
from nightferry.cli.run.backfill_loop import TerminalBackfill
from nightferry.contract import format_scheduled_time
from nightferry.environments.project import Project
from nightferry.presentation.schedules.backfill import BackfillTime
from nightferry.testing import FakeClock, FakeFargate, TaskScript

CLUSTER = "arn:aws:ecs:us-east-1:123456789012:cluster/toy-test"
ROLE = "arn:aws:iam::123456789012:role/x"
KEYWORD = "<aws.scheduler.scheduled-time>"


def deploy(target: dict[str, Any]) -> None:
    """Create the schedule as Terraform does."""
    scheduler = boto3.client("scheduler", region_name="us-east-1")
    scheduler.create_schedule_group(Name="toy-test")
    scheduler.create_schedule(
        GroupName="toy-test",
        Name="toy-test-nightly",
        ScheduleExpression="cron(0 5 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"RoleArn": ROLE, **target},
    )


@pytest.fixture
def nightly(project: Project, fargate: FakeFargate) -> Schedule:
    """Return a schedule of a task, which is deployed."""
    schedule = project.catalog.schedule("nightly", project.catalog.tasks["three"], "cron(0 5 * * ? *)")
    variables = {"SCHEDULED_AT": KEYWORD, "NIGHTFERRY_SCHEDULE": "nightly", "COLOR": "of the deployment"}
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    input = {"containerOverrides": [{"name": "three", "environment": environment}]}
    network = {"awsvpcConfiguration": {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"]}}
    definition = "arn:aws:ecs:us-east-1:123456789012:task-definition/toy-test-three"
    ecs = {"TaskDefinitionArn": definition, "LaunchType": "FARGATE", "NetworkConfiguration": network}
    deploy({"Arn": CLUSTER, "EcsParameters": ecs, "Input": json.dumps(input)})
    return schedule


def fire(task: str, variables: dict[str, str]) -> str:
    """Start a task as EventBridge does for a schedule, and return the ID of its run."""
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    network = {"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"]}}
    (started,) = boto3.client("ecs", region_name="us-east-1").run_task(
        cluster=CLUSTER,
        taskDefinition=f"toy-test-{task}",
        launchType="FARGATE",
        networkConfiguration=network,
        overrides={"containerOverrides": [{"name": task, "environment": environment}]},
    )["tasks"]
    return str(started["taskArn"]).rpartition("/")[2]


def make_times(clock: FakeClock, number: int = 3) -> list[datetime]:
    today = clock.now().replace(hour=5, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=days) for days in range(number, 0, -1)]


def backfill(
    backend: AwsBackend, schedule: Schedule, times: list[datetime], clock: FakeClock, concurrency: int = 1
) -> tuple[TerminalBackfill, list[str]]:
    """Run a backfill to its end, and return it with its lines."""
    lines: list[str] = []
    found = backend.find_scheduled(schedule, times)
    entries = [BackfillTime(time, found.get(time), was_started=time in found) for time in times]
    report = TerminalBackfill(backend, schedule, entries, concurrency, "test", clock)
    report.run("Continue with: …", lines.append)
    return report, lines


def read_times(fargate: FakeFargate, backend: AwsBackend) -> list[datetime | None]:
    return [backend.run(id).scheduled_at for id in fargate.run_ids("three")]


def test_each_time_starts_once_as_the_schedule_would(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, nightly: Schedule
) -> None:
    fargate.script("three", TaskScript())
    times = make_times(clock)
    report, lines = backfill(backend, nightly, times, clock)
    assert report.succeeded
    assert lines[-1] == "3 of 3 times succeeded"
    assert read_times(fargate, backend) == times
    run = backend.run(fargate.run_ids("three")[0])
    assert (run.started_by, run.env["COLOR"]) == ("backfill/nightly", "of the deployment")
    clock.sleep(30 * 3600)  # ECS has forgotten the tasks and the tokens
    report, lines = backfill(backend, nightly, [*times, times[-1] + timedelta(days=1)], clock)
    assert report.succeeded
    assert len(fargate.run_ids("three")) == 4
    assert sum("left out, because an earlier start succeeded" in line for line in lines) == 3


def test_a_crash_between_two_starts_loses_and_repeats_none(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock, nightly: Schedule
) -> None:
    """The response of the last start is lost too, so that the command has no record of it."""
    fargate.script("three", TaskScript())
    times = make_times(clock, 4)
    for time in times[:2]:
        backend.start_scheduled(nightly, time)
    fargate.lose_responses("RunTask", times=2)
    with pytest.raises(Exception, match="temporarily unavailable"):
        backend.start_scheduled(nightly, times[2])
    again = AwsBackend(project, project.environment("test"), clock=clock)
    report, _ = backfill(again, nightly, times, clock, concurrency=2)
    assert report.succeeded
    assert read_times(fargate, again) == times
    assert again.start_scheduled(nightly, times[0]) == fargate.run_ids("three")[0]


def test_a_run_of_the_schedule_itself_and_its_repeat_are_found(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, nightly: Schedule
) -> None:
    fargate.script("three", TaskScript(exit_code=3), TaskScript(), TaskScript(exit_code=3))
    times = make_times(clock)
    variables = {"SCHEDULED_AT": format_scheduled_time(times[0]), "NIGHTFERRY_SCHEDULE": "nightly"}
    first = fire("three", variables)
    fire("hello", {**variables, "SCHEDULED_AT": format_scheduled_time(times[1])})
    clock.sleep(60)
    repeat = backend.redrive_run(first)
    clock.sleep(60)
    assert backend.find_scheduled(nightly, times) == {times[0]: repeat}
    report, lines = backfill(backend, nightly, times, clock)
    assert not report.succeeded
    assert [entry["state"] for entry in report.to_json()] == ["succeeded", "failed", "failed"]
    assert "exit code 3" in lines[-4]
    assert lines[-1] == "Start a failed one again with: nightferry redrive ID --env test"
    assert len(fargate.run_ids("three")) == 4


def test_at_most_the_permitted_number_runs_at_once(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock, nightly: Schedule
) -> None:
    fargate.script("three", TaskScript())
    most = []

    class Counting(AwsBackend):
        def start_scheduled(self, schedule: Schedule, time: datetime) -> str | None:
            id = super().start_scheduled(schedule, time)
            most.append(sum(run.status != "STOPPED" for run in self.runs(RunFilter(task="three"))))
            return id

    counting = Counting(project, project.environment("test"), clock=clock)
    assert backfill(counting, nightly, make_times(clock, 5), clock, concurrency=2)[0].succeeded
    assert max(most) == 2


def test_a_workflow_that_must_not_overlap_waits_and_starts_each_time_once(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock
) -> None:
    """Scheduler names the executions that it starts, so that only their input has their time."""
    schedule = project.catalog.schedule("nightly", project.catalog.workflows["marks"], "cron(0 5 * * ? *)")
    states = boto3.client("stepfunctions", region_name="us-east-1")
    definition = '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
    machine = states.create_state_machine(name="toy-test-marks", definition=definition, roleArn=ROLE)["stateMachineArn"]
    deploy({"Arn": machine, "Input": json.dumps({"scheduled_at": KEYWORD, "schedule": "nightly"})})
    first, second, third = times = make_times(clock)
    first_id = backend.start_scheduled(schedule, first)
    assert first_id == f"nightly-{first:%Y%m%d}T050000Z"
    assert backend.execution(first_id).input == {"scheduled_at": format_scheduled_time(first), "schedule": "nightly"}
    assert backend.start_scheduled(schedule, second) is None
    states.stop_execution(executionArn=f"{machine.replace(':stateMachine:', ':execution:')}:{first_id}")
    assert backend.start_scheduled(schedule, second) is not None
    now = clock.now().replace(microsecond=0)
    states.start_execution(
        stateMachineArn=machine,
        name="of-scheduler",
        input=json.dumps({"scheduled_at": format_scheduled_time(now), "schedule": "nightly"}),
    )
    found = backend.find_scheduled(schedule, [*times, now])
    assert found.pop(now) == "of-scheduler"
    assert found.keys() == {first, second}
    assert third not in found


def test_a_schedule_that_is_not_deployed_is_named(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock
) -> None:
    schedule = project.catalog.schedule("nightly", project.catalog.tasks["three"], "cron(0 5 * * ? *)")
    with pytest.raises(Exception, match="Schedule toy-test-nightly is not deployed"):
        backend.start_scheduled(schedule, make_times(clock)[0])
    assert fargate.run_ids("three") == []
