"""Starts of tasks through the backend: each request starts one task, whatever happens to the responses."""

from __future__ import annotations

import re

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.errors import Refused, Unreachable
from nightferry.backend.runs import RunRequest
from nightferry.testing import FakeClock, FakeFargate, TaskScript

pytestmark = pytest.mark.sampled(8)

TEMPORARY = [
    (
        "InvalidParameterException",
        "Error retrieving subnet information for [subnet-1]: Rate exceeded (ErrorCode: Throttling)",
    ),
    (
        "ClientException",
        "ECS was unable to assume the role 'arn:aws:iam::123456789012:role/r' that was provided for this task.",
    ),
]
CALLS = 6  # attempts until a start is given up


@pytest.mark.parametrize(("code", "message"), TEMPORARY)
def test_a_temporary_refusal_is_retried_with_growing_delays(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, code: str, message: str
) -> None:
    fargate.inject_errors("RunTask", code, times=3, message=message)
    before = clock.now()
    backend.run_task(RunRequest("hello"))
    assert fargate.calls.count("RunTask") == 4
    assert 0.75 * 17 <= (clock.now() - before).total_seconds() <= 17


@pytest.mark.parametrize(("code", "message"), TEMPORARY)
def test_a_lasting_refusal_ends_with_its_reason(
    backend: AwsBackend, fargate: FakeFargate, code: str, message: str
) -> None:
    fargate.inject_errors("RunTask", code, times=CALLS, message=message)
    with pytest.raises(Refused, match=re.escape(message)):
        backend.run_task(RunRequest("hello"))
    assert fargate.calls.count("RunTask") == CALLS
    assert list(backend.journal_folder.glob("*")) == [], "AWS has started nothing, so the token is not needed"


def test_a_parameter_that_is_wrong_is_not_retried(backend: AwsBackend, fargate: FakeFargate) -> None:
    fargate.inject_errors("RunTask", "InvalidParameterException", times=2, message="No Container named x.")
    with pytest.raises(Refused, match="No Container named x"):
        backend.run_task(RunRequest("hello"))
    assert fargate.calls.count("RunTask") == 1


def test_a_start_without_capacity_is_repeated_with_a_new_token(backend: AwsBackend, fargate: FakeFargate) -> None:
    fargate.script("hello", *[TaskScript(refused="Capacity is unavailable at this time.")] * 3, TaskScript())
    backend.run_task(RunRequest("hello"))
    assert len(fargate.run_ids("hello")) == 1
    assert fargate.calls.count("RunTask") == 4


@pytest.mark.parametrize(("hours", "runs"), [(0.9, 10), (2, 10), (2, 30 * 3600), (23, 10)])
def test_a_lost_task_is_found_within_a_day(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, hours: float, runs: int
) -> None:
    """ECS remembers the token for the task's lifetime plus an hour, the log of state changes for longer."""
    fargate.script("hello", TaskScript(stopped=runs))
    fargate.lose_responses("RunTask", times=CALLS)
    with pytest.raises(Unreachable, match="within 24 hours"):
        backend.run_task(RunRequest("hello"))
    [lost] = fargate.run_ids("hello")
    for _ in range(10):  # state changes are written when they happen
        clock.sleep(hours * 360)
        fargate.write_line(lost, "")
    assert backend.run_task(RunRequest("hello")) == lost
    assert fargate.run_ids("hello") == [lost]
    assert list(backend.journal_folder.glob("*")) == []
    assert backend.run_task(RunRequest("hello")) != lost


def test_a_call_that_aws_never_received_starts_the_task_later(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.inject_errors("RunTask", "ServerException", times=CALLS)
    with pytest.raises(Unreachable):
        backend.run_task(RunRequest("hello"))
    clock.sleep(7200)
    backend.run_task(RunRequest("hello"))
    assert len(fargate.run_ids("hello")) == 1
