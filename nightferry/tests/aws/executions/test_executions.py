"""Workflows on AWS: idempotent starts, lookup by id prefix, and their states, runs and lines."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nightferry.aws.backend import AwsBackend
from nightferry.backend.errors import CannotRedrive, Unreachable
from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.cli.terminal.follow import SeenExecution, follow_execution
from nightferry.errors import NightferryError, UnknownName
from nightferry.states.machine.history import get_details_key
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from tests.aws.processes import run
from tests.aws.project import make_aws_project
from tests.states.recorded import redrives

BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def submitted(id: str, **more: Any) -> dict[str, Any]:
    """Return an ECS task in the form of a Step Functions history."""
    return {
        "TaskArn": f"arn:aws:ecs:us-east-1:123456789012:task/toy-test/{id}",
        "TaskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/toy-test-three:1",
        "LastStatus": "PROVISIONING",
        "CreatedAt": int(BEGIN * 1000),
        "Containers": [{"Name": "three", "LastStatus": "PENDING"}],
        **more,
    }


def failing(id: str) -> list[dict[str, Any]]:
    """Return the history of an execution whose task exited with code 3."""
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


def test_an_execution_is_reported_with_its_states_runs_and_lines(
    root: Path, backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    make_aws_project(root, log_quiet_seconds=1.5)  # the commands below run in real time
    fargate.script("three", TaskScript(lines=[ScriptedLine(0.5, "leaving")], exit_code=3))
    task = backend.run_task(RunRequest("three"))
    clock.sleep(60)
    id = backend.start_workflow("fails", {"key": "1"})
    fargate.set_history(id, failing(task), status="FAILED", error="States.TaskFailed", cause="it left")
    clock.sleep(6 * 86400)  # ECS has forgotten the task, but the history contains it
    for name in (id, id[:14], f"arn:aws:states:us-east-1:123456789012:execution:toy-test-fails:{id}"):
        execution = backend.execution(name)
        assert (execution.id, execution.workflow, execution.status) == (id, "fails", "FAILED")
        assert (execution.input, execution.error) == ({"key": "1"}, "States.TaskFailed")
    [state] = backend.state_history(id)
    assert (state.name, state.failed, state.error, state.runs) == ("three", True, "States.TaskFailed", (task,))
    workflows = run(root, fargate.variables, "nightferry", "workflows", "--env", "test", "--json").stdout
    last = {item["name"]: item["last_execution"] for item in json.loads(workflows)}
    assert (last["fails"]["id"], last["fails"]["status"], last["marks"]) == (id, "FAILED", None)
    [found] = backend.runs(RunFilter(execution=id))
    assert (found.id, found.exit_code, found.status) == (task, 3, "STOPPED")

    shown = run(root, fargate.variables, "nightferry", "status", id[:14], "--env", "test")
    assert f"Execution {id}: FAILED" in shown.stdout
    assert "exit code 3" in shown.stdout
    assert "5.0 s" in shown.stdout
    assert run(root, fargate.variables, "nightferry", "logs", "fails", "--env", "test").stdout == "leaving\n"
    following = run(root, fargate.variables, "nightferry", "logs", id, "--env", "test", "--follow")
    assert (following.returncode, following.stdout) == (0, "leaving\n")


def test_a_workflow_starts_once_even_if_the_response_is_lost(backend: AwsBackend, fargate: FakeFargate) -> None:
    fargate.inject_errors("StartExecution", "ThrottlingException", times=2)  # fails one whole call
    with pytest.raises(Unreachable):
        backend.start_workflow("marks", {})
    [left] = list((backend.journal_folder).glob("*.json"))
    id = backend.start_workflow("marks", {})
    assert id == f"marks-{left.stem}"
    assert [execution.id for execution in backend.executions()] == [id]
    assert not left.exists()


def test_overlap_policies_and_stop(backend: AwsBackend, fargate: FakeFargate) -> None:
    first = backend.start_workflow("replaced", {"key": 1})
    fargate.set_history(first, [], status="RUNNING")
    second = backend.start_workflow("replaced", {"key": 2})
    fargate.set_history(second, [], status="RUNNING")
    assert backend.execution(first).status == "ABORTED"
    backend.stop(second[:12], "lunch")
    assert backend.execution(second).status == "ABORTED"
    failed = backend.start_workflow("marks", {"key": 0})
    fargate.set_history(failed, [], status="FAILED")
    one = backend.start_workflow("marks", {"key": 1})
    fargate.set_history(one, [], status="RUNNING")
    assert backend.start_workflow("marks", {"key": 2}) == one, "skip returns the open execution"
    with pytest.raises(CannotRedrive, match=f"Execution {one} of marks is running"):
        backend.redrive(failed, dry_run=True)
    fargate.set_history(one, [], status="SUCCEEDED")
    assert backend.redrive(failed, dry_run=True) == failed


def test_unknown_and_ambiguous_ids_are_errors(backend: AwsBackend, fargate: FakeFargate) -> None:
    for _ in range(2):
        backend.start_workflow("queued", {"key": _})
    with pytest.raises(NightferryError, match="matches several executions"):
        backend.execution("queued-")
    with pytest.raises(UnknownName):
        backend.execution("nothing")
    with pytest.raises(UnknownName):
        backend.run("0123456789abcdef0123456789abcdef")


def test_the_output_of_a_redrive_shows_only_what_is_new(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("three", TaskScript(exit_code=3), TaskScript())
    first = backend.run_task(RunRequest("three"))
    clock.sleep(60)
    id = backend.start_workflow("fails", {})
    history = failing(first)
    fargate.set_history(id, history, status="FAILED")
    seen = SeenExecution.read(backend, id)

    second = backend.run_task(RunRequest("three"))
    clock.sleep(60)
    resource = {"resourceType": "ecs", "resource": "runTask.sync"}
    ended = submitted(
        second,
        LastStatus="STOPPED",
        StartedAt=int(BEGIN * 1000) + 22000,
        StoppedAt=int(BEGIN * 1000) + 29000,
        Containers=[{"Name": "three", "LastStatus": "STOPPED", "ExitCode": 0}],
    )
    output = {**resource, "output": json.dumps({"Tasks": [submitted(second)]})}
    for kind, key, details in (
        ("ExecutionRedriven", "executionRedrivenEventDetails", {"redriveCount": 1}),
        ("TaskScheduled", "taskScheduledEventDetails", {**resource, "region": "us-east-1", "parameters": "{}"}),
        ("TaskStarted", "taskStartedEventDetails", resource),
        ("TaskSubmitted", "taskSubmittedEventDetails", output),
        ("TaskSucceeded", "taskSucceededEventDetails", {**resource, "output": json.dumps(ended)}),
        ("TaskStateExited", "stateExitedEventDetails", {"name": "three", "output": "{}"}),
        ("ExecutionSucceeded", "executionSucceededEventDetails", {"output": "{}"}),
    ):
        n = len(history)
        history.append({"timestamp": BEGIN + 20 + n, "type": kind, "id": n + 1, "previousEventId": n, key: details})
    fargate.set_history(id, history, status="SUCCEEDED")
    shown = io.StringIO()
    follow_execution(backend, id, Console(file=shown), env="test", clock=clock, seen=seen)
    assert shown.getvalue().splitlines() == [
        f"three: started (run {second[:12]}, attempt 2)",
        "three: succeeded after 29 s",
    ]


def test_the_output_of_a_redriven_parallel_shows_only_the_branches_that_run_again(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    """The history is recorded from AWS; its activities are replaced by tasks of ECS."""
    fargate.script("three", *[TaskScript(exit_code=code) for code in (0, 3, 143, 0, 0)])
    runs = [backend.run_task(RunRequest("three")) for _ in range(5)]
    clock.sleep(60)
    history = [replace_activity(event, dict(zip((12, 13, 14, 25, 28), runs, strict=True))) for event in RECORDED]
    id = backend.start_workflow("fails", {})
    fargate.set_history(id, history[:21], status="FAILED")
    assert [state.failed for state in backend.state_history(id)] == [False, True, False, True, True]
    seen = SeenExecution.read(backend, id)
    assert seen.runs == set(runs[:3])
    fargate.set_history(id, history, status="SUCCEEDED")
    shown = io.StringIO()
    follow_execution(backend, id, Console(file=shown), env="test", clock=clock, seen=seen)
    again = {"FailedSibling": runs[4], "AbortedSibling": runs[3]}
    assert [line.rpartition(" after ")[0] or line for line in shown.getvalue().splitlines()] == [
        line
        for name, run in again.items()
        for line in (f"{name}: started (run {run[:12]}, attempt 2)", f"{name}: succeeded")
    ]


RECORDED = redrives.read_events(redrives.PARALLEL)


def replace_activity(event: dict[str, Any], runs: dict[int, str]) -> dict[str, Any]:
    """Return the event of an activity as that of a task. ``runs`` are those that started by the event."""
    event = {**event, "timestamp": event["timestamp"].timestamp()}
    resource = {"resourceType": "ecs", "resource": "runTask.sync"}
    details: dict[str, Any] | None = None
    match event["type"]:
        case "ActivityScheduled":
            event["type"], details = "TaskScheduled", {**resource, "region": "us-east-1", "parameters": "{}"}
        case "ActivityStarted":
            output = json.dumps({"Tasks": [submitted(runs[event["id"]])]})
            event["type"], details = "TaskSubmitted", {**resource, "output": output}
        case "ActivitySucceeded":
            event["type"], details = "TaskSucceeded", {**resource, "output": "{}"}
        case "ActivityFailed":
            event["type"], details = "TaskFailed", {**resource, "error": "States.TaskFailed", "cause": "no"}
    return event if details is None else {**event, get_details_key(event["type"]): details}
