"""Test mistakes in definitions: each fails its execution and not the engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from nightferry.backend.executions import WorkflowExecution
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.presentation.failures import explain_execution
from nightferry.states import Execution
from nightferry.states.builder import PUBLISH, RUN_TASK
from nightferry.states.data import jsonata
from nightferry.states.data.jsonata_pool import WorkerPool
from tests.local.toy import make_project


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    project = Project.find(make_project(tmp_path / "project"))
    return LocalBackend(project, project.environment("local"))


def execute(backend: LocalBackend, state: dict[str, Any]) -> WorkflowExecution:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Task", **state, "End": True}}}
    backend.store.add_execution("e", "by-hand", definition, {})
    asyncio.run(backend.work(lambda: backend.execution("e").status != "RUNNING"))
    return backend.execution("e")


def overrides(**container: object) -> dict[str, Any]:
    return {"TaskDefinition": "hello", "Overrides": {"ContainerOverrides": [{"Name": "hello", **container}]}}


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("parameters", "cause"),
    [
        (overrides(Command=["echo", 1]), "Command is not a list of strings"),
        (overrides(Command="echo"), "Command is not a list of strings"),
        (overrides(Environment=[{"Name": "A", "Value": 1}]), "Environment is not a list of {Name, Value}"),
        (overrides(Environment=["A=1"]), "Environment is not a list of {Name, Value}"),
        ({"TaskDefinition": "hello", "Overrides": []}, "Overrides is not an object"),
        ({"TaskDefinition": "hello", "Overrides": {"ContainerOverrides": {}}}, "is not a list of objects"),
    ],
)
def test_bad_overrides_fail_the_execution(backend: LocalBackend, parameters: dict[str, Any], cause: str) -> None:
    ended = execute(backend, {"Resource": RUN_TASK, "Parameters": parameters})
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")
    assert cause in (ended.cause or "")
    assert not backend.runs()


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"TaskDefinition": "nothing"}, "Task 'nothing' is not in the catalog with which the engine started"),
        (overrides(Command=["a\0b"]), "null byte"),
        (overrides(Command=["echo", "x" * 200_000]), "Argument list too long"),
    ],
    ids=["unknown", "null byte", "too long"],
)
def test_a_task_that_cannot_start_fails_its_execution(
    backend: LocalBackend, parameters: dict[str, Any], reason: str
) -> None:
    ended = execute(backend, {"Resource": RUN_TASK, "Parameters": parameters})
    assert (ended.status, ended.error) == ("FAILED", "States.TaskFailed")
    [run] = backend.runs()
    assert run.exit_code is None
    assert reason in (run.reason or "")


def test_a_failed_branch_stops_the_others_gently_and_is_the_only_cause(backend: LocalBackend) -> None:
    """A failed Parallel or Map cancels the tasks of its branches when it fails, and again when it ends."""
    scripts = "trap 'sleep 0.3; echo cleaned; exit 0' TERM; sleep 20 & wait; wait", "sleep 0.4; exit 3"
    branches = [
        {
            "StartAt": name,
            "States": {
                name: {
                    "Type": "Task",
                    "Resource": RUN_TASK,
                    "Parameters": overrides(Command=["sh", "-c", script]),
                    "End": True,
                }
            },
        }
        for name, script in zip(("long", "short"), scripts, strict=True)
    ]
    parallel = {"Type": "Parallel", "Branches": branches, "End": True}
    backend.store.add_execution("e", "by-hand", {"StartAt": "A", "States": {"A": parallel}}, {})
    asyncio.run(backend.work(lambda: not (backend.store.open_executions() or backend.store.open_runs())))
    runs = {run.id: run for run in backend.runs()}
    stopped = next(run for run in runs.values() if run.stopped_by_user)
    assert "cleaned" in [line.text for line in backend.log_reader().new([stopped.id])]
    ended = backend.execution("e")
    assert ended.status == "FAILED"
    explained = [*explain_execution(backend, ended, backend.state_history("e"), runs)]
    assert [line.partition(" (")[0] for line in explained[1:]] == ["short: exit code 3"]


def test_an_unknown_resource_fails_the_execution(backend: LocalBackend) -> None:
    ended = execute(backend, {"Resource": "arn:aws:states:::sqs:sendMessage", "Parameters": {}})
    assert (ended.status, ended.error) == ("FAILED", "States.Runtime")


def test_a_notification_is_stored(backend: LocalBackend) -> None:
    parameters = {"TopicArn": "arn:aws:sns:local:0:news", "Subject": "s", "Message": {"n": 1}}
    ended = execute(backend, {"Resource": PUBLISH, "Parameters": parameters})
    assert ended.status == "SUCCEEDED"
    [stored] = backend.store.notifications()
    assert (stored["topic"], stored["subject"], stored["message"]) == ("news", "s", '{"n": 1}')


SLOW = "{% $match('" + "a" * 40 + "!', /^(a+)+$/) %}"


def test_an_expression_that_needs_its_whole_time_delays_no_other_execution(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonata, "POOL", WorkerPool(2, seconds=1))
    for id, output in (("slow", SLOW), ("quick", "{% 1 + 1 %}")):
        state = {"Type": "Pass", "Output": output, "End": True}
        backend.store.add_execution(
            id, "by-hand", {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}}, {}
        )

    asyncio.run(backend.work(lambda: backend.execution("slow").status != "RUNNING"))

    slow, quick = backend.execution("slow"), backend.execution("quick")
    assert (quick.status, slow.status, slow.error) == ("SUCCEEDED", "FAILED", "States.QueryEvaluationError")
    assert quick.stopped_at is not None
    assert slow.stopped_at is not None
    assert quick.stopped_at < slow.stopped_at
    jsonata.POOL.close()


def test_a_long_computation_is_stored_in_parts_and_can_be_stopped(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightferry.local.engine.executor._SLICE_SECONDS", 0.001)
    events: list[int] = []
    advance = Execution.advance

    def count(machine: Execution, *args: Any, **options: Any) -> Any:
        step = advance(machine, *args, **options)
        events.append(len(step.events))
        return step

    async def work() -> None:
        working = asyncio.create_task(backend.work(lambda: backend.execution("e").status != "RUNNING"))
        while len(events) < 20 and not working.done():
            await asyncio.sleep(0)
        backend.store.request_stop("e", "enough")
        await working

    monkeypatch.setattr(Execution, "advance", count)
    choice = {"Type": "Choice", "Choices": [{"Variable": "$.end", "IsPresent": True, "Next": "E"}], "Default": "A"}
    endless = {"A": choice, "E": {"Type": "Succeed"}}
    backend.store.add_execution("e", "by-hand", {"StartAt": "A", "States": endless}, {})

    asyncio.run(work())

    ended = backend.execution("e")
    assert (ended.status, ended.cause) == ("ABORTED", "enough")
    assert sum(events) < 20_000
