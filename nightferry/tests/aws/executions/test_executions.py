"""Workflows on AWS: started once, found by their beginnings, told with their states, runs and lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.interface import RunRequest, Unreachable
from nightferry.errors import NightferryError, UnknownName
from nightferry.testing import FakeFargate, Play, Said, ToldClock
from tests.aws.processes import run
from tests.aws.project import make_aws_project

BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def submitted(id: str, **more: Any) -> dict[str, Any]:
    """A task as Step Functions hands it on."""
    return {
        "TaskArn": f"arn:aws:ecs:us-east-1:123456789012:task/toy-test/{id}",
        "TaskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/toy-test-three:1",
        "LastStatus": "PROVISIONING",
        "CreatedAt": int(BEGIN * 1000),
        "Containers": [{"Name": "three", "LastStatus": "PENDING"}],
        **more,
    }


def failing(id: str) -> list[dict[str, Any]]:
    """The history of an execution whose task ended with 3."""
    ended = submitted(
        id,
        LastStatus="STOPPED",
        StopCode="EssentialContainerExited",
        StoppedReason="Essential container in task exited",
        StartedAt=int(BEGIN * 1000) + 2000,
        StoppedAt=int(BEGIN * 1000) + 9000,
        Containers=[{"Name": "three", "LastStatus": "STOPPED", "ExitCode": 3}],
    )
    resource = {"resourceType": "ecs", "resource": "runTask.sync"}
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("ExecutionStarted", "executionStartedEventDetails", {"input": "{}"}),
        ("TaskStateEntered", "stateEnteredEventDetails", {"name": "three", "input": "{}"}),
        ("TaskScheduled", "taskScheduledEventDetails", {**resource, "region": "us-east-1", "parameters": "{}"}),
        ("TaskStarted", "taskStartedEventDetails", resource),
        ("TaskSubmitted", "taskSubmittedEventDetails", {**resource, "output": json.dumps({"Tasks": [submitted(id)]})}),
        (
            "TaskFailed",
            "taskFailedEventDetails",
            {**resource, "error": "States.TaskFailed", "cause": json.dumps(ended)},
        ),
        ("ExecutionFailed", "executionFailedEventDetails", {"error": "States.TaskFailed", "cause": "it left"}),
    ]
    return [
        {"timestamp": BEGIN + n, "type": kind, "id": n + 1, "previousEventId": n, key: details}
        for n, (kind, key, details) in enumerate(kinds)
    ]


def test_an_execution_is_told_with_its_states_runs_and_lines(
    root: Path, place: AwsBackend, told: FakeFargate, clock: ToldClock
) -> None:
    make_aws_project(root, log_quiet_seconds=1.5)  # for the commands, whose clock is the machine's
    told.plays("three", Play(lines=[Said(0.5, "leaving")], exit_code=3))
    task = place.run_task(RunRequest("three"))
    clock.sleep(60)
    id = place.start_workflow("fails", {"day": 1})
    told.history(id, failing(task), status="FAILED", error="States.TaskFailed", cause="it left")
    clock.sleep(6 * 86400)  # ECS has forgotten the task: the history has not
    for name in (id, id[:14], f"arn:aws:states:us-east-1:123456789012:execution:toy-test-fails:{id}"):
        execution = place.execution(name)
        assert (execution.id, execution.workflow, execution.status) == (id, "fails", "FAILED")
        assert (execution.input, execution.error) == ({"day": 1}, "States.TaskFailed")
    [state] = place.state_history(id)
    assert (state.name, state.failed, state.error, state.runs) == ("three", True, "States.TaskFailed", (task,))
    workflows = run(root, told.variables, "nightferry", "workflows", "--env", "test", "--json").stdout
    last = {item["name"]: item["last_execution"] for item in json.loads(workflows)}
    assert (last["fails"]["id"], last["fails"]["status"], last["marks"]) == (id, "FAILED", None)
    [found] = place.runs(execution=id)
    assert (found.id, found.exit_code, found.status) == (task, 3, "STOPPED")

    shown = run(root, told.variables, "nightferry", "status", id[:14], "--env", "test")
    assert f"Execution {id}: FAILED" in shown.stdout
    assert "exit code 3" in shown.stdout
    assert "5.0 s" in shown.stdout
    assert run(root, told.variables, "nightferry", "logs", "fails", "--env", "test").stdout == "leaving\n"
    following = run(root, told.variables, "nightferry", "logs", id, "--env", "test", "--follow")
    assert (following.returncode, following.stdout) == (0, "leaving\n")


def test_a_workflow_is_started_once_whatever_becomes_of_the_answer(place: AwsBackend, told: FakeFargate) -> None:
    told.fault("StartExecution", "ThrottlingException", times=2)  # as often as one call of ours tries
    with pytest.raises(Unreachable):
        place.start_workflow("marks", {})
    [left] = list((place.journal_folder).glob("*.json"))
    id = place.start_workflow("marks", {})
    assert id == f"marks-{left.stem}"
    assert [execution.id for execution in place.executions()] == [id]
    assert not left.exists()


def test_overlap_is_kept_and_stopping_stops(place: AwsBackend, told: FakeFargate) -> None:
    first = place.start_workflow("replaced", {"n": 1})
    told.history(first, [], status="RUNNING")
    second = place.start_workflow("replaced", {"n": 2})
    told.history(second, [], status="RUNNING")
    assert place.execution(first).status == "ABORTED"
    place.stop(second[:12], "lunch")
    assert place.execution(second).status == "ABORTED"
    one = place.start_workflow("marks", {"n": 1})
    told.history(one, [], status="RUNNING")
    assert place.start_workflow("marks", {"n": 2}) == one, "skip joins the open one"


def test_an_id_that_is_unknown_or_means_several_is_told(place: AwsBackend, told: FakeFargate) -> None:
    for _ in range(2):
        place.start_workflow("queued", {"n": _})
    with pytest.raises(NightferryError, match="the beginning of several executions"):
        place.execution("queued-")
    with pytest.raises(UnknownName):
        place.execution("nothing")
    with pytest.raises(UnknownName):
        place.run("0123456789abcdef0123456789abcdef")
