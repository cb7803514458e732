"""Redrives of runs on AWS: a failed run starts again once, with the same inputs, also after ECS has forgotten it."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.runs.once import NotPlaced
from nightferry.backend.errors import CannotRedrive
from nightferry.backend.runs import RunRequest
from nightferry.contract import parse_arn_id
from nightferry.testing import FakeClock, FakeFargate, TaskScript

pytestmark = pytest.mark.sampled(8)

COMMAND = ("sh", "-c", "exit 3")
VARIABLES = {"COLOR": "red", "S3_BUCKET": "inbox", "S3_KEY": "in/a"}
FAILING = TaskScript(exit_code=3)


def fail(
    backend: AwsBackend,
    fargate: FakeFargate,
    clock: FakeClock,
    *further: TaskScript,
    env: Mapping[str, str] = VARIABLES,
) -> str:
    """Start a task as the trigger's function does, let it fail, and return its ID."""
    fargate.script("three", FAILING, *further)
    parameters = backend.request(RunRequest("three", COMMAND, {}, 512, 1024, "trigger-files"))
    [container] = parameters["overrides"]["containerOverrides"]
    container["environment"] = [{"name": name, "value": value} for name, value in env.items()]
    started = backend.aws.ecs.run_task(**parameters)
    clock.sleep(60)
    return parse_arn_id(started["tasks"][0]["taskArn"])


@pytest.mark.parametrize("age", [timedelta(minutes=1), timedelta(hours=3), timedelta(days=9)])
def test_a_failed_run_starts_again_once(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, age: timedelta
) -> None:
    first = fail(backend, fargate, clock)
    clock.sleep(age.total_seconds())
    assert backend.redrive_run(first, dry_run=True) == first
    assert fargate.run_ids("three") == [first]
    second = backend.redrive_run(first[:10])
    run = backend.run(second)
    assert (run.task, run.args, run.env) == ("three", COMMAND, VARIABLES)
    assert (run.cpu, run.memory, run.repeats) == (512, 1024, first[:28])
    for pause in (0, 60, 2 * 3600, 30 * 3600):  # it runs; it has stopped; ECS has forgotten it; and its token
        clock.sleep(pause)
        with pytest.raises(CannotRedrive, match=f"already started again, as run {second}"):
            backend.redrive_run(first)
    assert backend.find_repeat(first) == second
    assert backend.find_repeat(second) is None
    assert fargate.run_ids("three") == [first, second]


def test_two_operators_start_one_repeat(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    first = fail(backend, fargate, clock, TaskScript(stopped=None))
    found = set()
    with ThreadPoolExecutor(4) as threads:
        for result in [threads.submit(backend.redrive_run, first) for _ in range(4)]:
            try:
                found.add(result.result())
            except CannotRedrive as refused:
                found.add(str(refused).split("as run ")[1][:32])
    assert found == set(fargate.run_ids("three")) - {first}
    assert len(found) == 1


def test_a_repeat_that_ecs_did_not_place_can_be_requested_again(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    refused = TaskScript(refused="Capacity is unavailable at this time.")
    first = fail(backend, fargate, clock, *[refused] * 4, TaskScript())
    with pytest.raises(NotPlaced, match="Capacity is unavailable"):
        backend.redrive_run(first)
    clock.sleep(3600)
    assert backend.redrive_run(first) in fargate.run_ids("three")


def test_a_lost_response_starts_no_second_run(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> None:
    first = fail(backend, fargate, clock)
    fargate.lose_responses("RunTask", times=2)
    with pytest.raises(Exception, match="temporarily unavailable"):
        backend.redrive_run(first)
    with pytest.raises(CannotRedrive):
        backend.redrive_run(first)
    assert len(fargate.run_ids("three")) == 2


def test_a_run_that_succeeded_runs_or_is_a_step_is_refused(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    hello = backend.run_task(RunRequest("hello"))
    with pytest.raises(CannotRedrive, match="only failed runs"):
        backend.redrive_run(hello)
    clock.sleep(60)
    with pytest.raises(CannotRedrive, match="it succeeded"):
        backend.redrive_run(hello)
    arn = "arn:aws:states:us-east-1:123456789012:execution:toy-test-fails:abc"
    step = fail(backend, fargate, clock, env={"SFN_EXECUTION_ID": arn})
    with pytest.raises(CannotRedrive, match=r"a step of execution abc\. Redrive the execution: nightferry redrive abc"):
        backend.redrive_run(step)


def test_the_attempt_and_the_planned_next_one_are_shown(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("late", FAILING)
    parameters = backend.request(RunRequest("late"))
    variables = [{"name": "NIGHTFERRY_ATTEMPT", "value": "2"}]  # as the function of the retries sets it
    overrides = {"containerOverrides": [{"name": "late", "environment": variables}]}
    id = parse_arn_id(backend.aws.ecs.run_task(**parameters, overrides=overrides)["tasks"][0]["taskArn"])
    clock.sleep(60)
    assert (backend.run(id).attempt, backend.run(id).env) == (2, {})
    assert backend.find_planned_retry(id) is None
    scheduler = boto3.client("scheduler", region_name="us-east-1")
    scheduler.create_schedule_group(Name="toy-test-retries")
    scheduler.create_schedule(
        GroupName="toy-test-retries",
        Name=id,
        ScheduleExpression="at(2026-11-29T03:10:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
        },
    )
    assert backend.find_planned_retry(id) == datetime(2026, 11, 29, 3, 10, tzinfo=UTC)
    assert backend.run(backend.redrive_run(id)).attempt == 3
