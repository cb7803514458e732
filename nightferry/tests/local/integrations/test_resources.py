"""Test functions, child executions and declared resources with the real engine and real processes."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import ExecutionFilter
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.module_names import module_name

pytestmark = pytest.mark.sampled(8)

CATALOG = '''
import os, time
from pydantic import BaseModel
from nightferry import Catalog, Image
from nightferry.states import StatesError

class Settings(BaseModel):
    """A shell command."""
    out: str = ""

catalog = Catalog("calls", image=Image("calls"))
arn = catalog.setting("arn", default="arn:aws:lambda:us-east-1:000000000000:function:any")
ME = __name__
for name in ("double", "fails", "raises", "dies", "hangs"):
    catalog.function(name, local=f"{ME}:{name}", arn=arn)
SEND = "arn:aws:states:::sqs:sendMessage"
catalog.resource(SEND, local=f"{ME}:double")
mark = catalog.task("mark", config=Settings, command=["sh", "-c", 'sleep 0.3; echo "$NIGHTFERRY_RUN_ID" >> "$OUT"'],
                    env={"OUT": catalog.setting("out")})
slow = catalog.task("slow", config=Settings, command=["sh", "-c", "echo started; sleep 60"])

def double(payload):
    print("discarded")
    return {"twice": payload["n"] * 2}

def fails(payload):
    raise ValueError("a secret value")

def raises(payload):
    raise StatesError("Teapot", "short and stout")

def dies(payload):
    os._exit(3)

def hangs(payload):
    time.sleep(60)

def task(resource, **more):
    return {"Type": "Task", "Resource": resource, **more}

def one(state):
    return {"StartAt": "S", "States": {"S": {**state, "End": True}}}

def run(name):
    return task("arn:aws:states:::ecs:runTask.sync", Parameters={"TaskDefinition": "${task:" + name + "}"})

def start(name, how=""):
    return task(f"arn:aws:states:::states:startExecution{how}",
                Parameters={"StateMachineArn": "${workflow:" + name + "}", "Input": {"n.$": "$.n"}})

def invoke(name, **more):
    return task("arn:aws:states:::lambda:invoke",
                Parameters={"FunctionName": "${function:" + name + "}", "Payload.$": "$"}, **more)

catalog.workflow("answers", one({"Type": "Pass", "Parameters": {"was.$": "$.n"}}))
catalog.workflow("breaks", one({"Type": "Fail", "Error": "Boom", "Cause": "as declared"}) | {
    "States": {"S": {"Type": "Fail", "Error": "Boom", "Cause": "as declared"}}})
catalog.workflow("marks", one(run("mark")))
catalog.workflow("stays", one(run("slow")))
catalog.workflow("alone", one(run("slow")), overlap="skip")
for name in ("double", "fails", "raises", "dies"):
    catalog.workflow(f"invoke-{name}", one(invoke(name)))
catalog.workflow("hang", one(invoke("hangs", TimeoutSeconds=1)))
catalog.workflow("send", one(task(SEND)))
for child in ("answers", "breaks", "marks", "stays", "alone"):
    catalog.workflow(f"sync-{child}", one(start(child, ".sync")))
catalog.workflow("sync2-answers", one(start("answers", ".sync:2")))
catalog.workflow("starts-marks", one(start("marks")))
catalog.workflow("deep-stays", one(start("sync-stays", ".sync")))
'''


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    (root / "environments").mkdir(parents=True)
    module = module_name("calls", root)
    (root / "pyproject.toml").write_text(f'[tool.nightferry]\ncatalog = "{module}:catalog"\n')
    (root / f"{module}.py").write_text(CATALOG)
    (root / "environments" / "local.toml").write_text(f'backend = "local"\n[settings]\nout = "{tmp_path / "out"}"\n')
    return Project.find(root)


@pytest.fixture
def backend(project: Project) -> LocalBackend:
    return LocalBackend(project, project.environment("local"))


def execute(backend: LocalBackend, workflow: str) -> WorkflowExecution:
    id = backend.start_workflow(workflow, {"n": 21})
    asyncio.run(backend.work(lambda: backend.execution(id).status != "RUNNING"))
    return backend.execution(id)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def event_types(backend: LocalBackend, id: str) -> list[str]:
    return [event.type for event in backend.store.events(id)]


def test_a_function_is_implemented_by_a_callable(backend: LocalBackend) -> None:
    ended = execute(backend, "invoke-double")

    assert ended.output == {"ExecutedVersion": "$LATEST", "Payload": {"twice": 42}, "StatusCode": 200}
    assert event_types(backend, ended.id)[2:5] == ["TaskScheduled", "TaskStarted", "TaskSucceeded"]


@pytest.mark.long
def test_a_declared_resource_is_implemented_by_a_callable(backend: LocalBackend) -> None:
    assert execute(backend, "send").output == {"twice": 42}


@pytest.mark.parametrize(
    ("function", "error", "cause"),
    [
        ("fails", "ValueError", '{"errorType": "ValueError", "errorMessage": ""}'),
        ("raises", "Teapot", '{"errorType": "Teapot", "errorMessage": "short and stout"}'),
        ("dies", "Lambda.Unknown", "The callable's process ended without a result (exit code 3)."),
    ],
)
def test_a_callable_that_fails(backend: LocalBackend, function: str, error: str, cause: str) -> None:
    ended = execute(backend, f"invoke-{function}")

    assert (ended.status, ended.error, ended.cause) == ("FAILED", error, cause)
    assert "secret" not in (backend.store.file.with_name("engine.sqlite-wal")).read_bytes().decode("latin-1")


def test_a_callable_that_exceeds_its_timeout_is_killed(backend: LocalBackend) -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}

    ended = execute(backend, "hang")

    assert (ended.status, ended.error) == ("FAILED", "States.Timeout")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_an_execution_waits_for_its_child(backend: LocalBackend) -> None:
    ended = execute(backend, "sync-answers")

    [child] = backend.executions(ExecutionFilter(workflow="answers"))
    assert ended.output["Status"] == "SUCCEEDED"
    assert (ended.output["Name"], json.loads(ended.output["Output"])) == (child.id, {"was": 21})
    assert event_types(backend, ended.id)[2:6] == ["TaskScheduled", "TaskStarted", "TaskSubmitted", "TaskSucceeded"]


def test_a_child_may_exceed_the_limit_of_executions(project: Project, backend: LocalBackend) -> None:
    file = project.root / "environments" / "local.toml"
    file.write_text(file.read_text() + "[engine]\nexecutions = 1\n")

    assert execute(LocalBackend(project, project.environment("local")), "sync-answers").status == "SUCCEEDED"


def test_sync_2_parses_the_output(backend: LocalBackend) -> None:
    assert execute(backend, "sync2-answers").output["Output"] == {"was": 21}


def test_a_child_that_fails_fails_its_state(backend: LocalBackend) -> None:
    ended = execute(backend, "sync-breaks")

    assert (ended.status, ended.error) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended.cause or "")
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "Boom", "as declared")


def test_a_child_that_is_only_started_is_independent(backend: LocalBackend, tmp_path: Path) -> None:
    ended = execute(backend, "starts-marks")

    [child] = backend.executions(ExecutionFilter(workflow="marks"))
    assert ended.status == "SUCCEEDED"
    assert ended.output["ExecutionArn"].endswith(child.id)
    assert child.status == "SUCCEEDED"  # The engine runs until nothing is open.
    assert len((tmp_path / "out").read_text().splitlines()) == 1


def test_children_are_stopped_with_their_parent(backend: LocalBackend) -> None:
    id = backend.start_workflow("deep-stays", {"n": 1})

    async def stop_when_it_runs() -> None:
        while not any(list(backend.log([run.id])) for run in backend.runs()):
            await asyncio.sleep(0.02)
        backend.stop(id, "enough")

    async def both() -> None:
        await asyncio.gather(backend.work(lambda: backend.execution(id).status != "RUNNING"), stop_when_it_runs())

    asyncio.run(both())
    assert {execution.status for execution in backend.executions()} == {"ABORTED"}
    assert len(backend.executions()) == 3
    assert [run.status for run in backend.runs()] == ["STOPPED"]


def test_a_child_with_overlap_skip_that_is_already_open(backend: LocalBackend) -> None:
    first = backend.start_workflow("alone", {"n": 1})
    id = backend.start_workflow("sync-alone", {"n": 1})

    async def stop_the_first() -> None:
        while backend.execution(id).status == "RUNNING":
            await asyncio.sleep(0.02)
        backend.stop(first, "enough")

    async def both() -> None:
        await asyncio.gather(backend.work(lambda: backend.execution(first).status != "RUNNING"), stop_the_first())

    asyncio.run(both())
    ended = backend.execution(id)
    assert (ended.status, ended.error) == ("FAILED", "States.TaskFailed")
    assert first in (ended.cause or "")


def start_engine(project: Project, workflow: str) -> int:
    """Start an engine in a separate process and return its process ID."""
    pid = os.fork()
    if pid == 0:
        try:
            execute(LocalBackend(project, project.environment("local")), workflow)
        finally:
            os._exit(0)
    return pid


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.3])
def test_a_child_starts_once_across_a_killed_engine(
    project: Project, backend: LocalBackend, tmp_path: Path, delay: float
) -> None:
    pid = start_engine(project, "sync-marks")
    until(lambda: len(backend.executions()) == 2 if delay else bool(backend.executions()))
    time.sleep(delay)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    [parent] = backend.executions(ExecutionFilter(workflow="sync-marks"))

    asyncio.run(backend.work(lambda: backend.execution(parent.id).status != "RUNNING"))

    [child] = backend.executions(ExecutionFilter(workflow="marks"))
    ended = backend.execution(parent.id)
    # The kill may end the running task, which fails the child and its parent. In both cases all of them have ended.
    assert ended.status == child.status
    assert child.status in ("SUCCEEDED", "FAILED")
    assert event_types(backend, parent.id).count("TaskScheduled") == 1
    assert not backend.store.open_executions()
    assert not backend.store.open_runs()


def test_a_child_whose_parent_ended_while_no_engine_ran_is_stopped(project: Project, backend: LocalBackend) -> None:
    pid = start_engine(project, "deep-stays")
    until(lambda: any(list(backend.log([run.id])) for run in backend.runs()))
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    [parent] = backend.executions(ExecutionFilter(workflow="deep-stays"))
    until(lambda: backend.execution(parent.id).interrupted)

    backend.stop(parent.id, "not today")

    assert {execution.status for execution in backend.executions()} == {"ABORTED"}
    assert {run.status for run in backend.runs()} == {"STOPPED"}
