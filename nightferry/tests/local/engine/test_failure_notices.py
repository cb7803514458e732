"""An execution that failed, timed out or was stopped sends one notice, which does not belong to its definition."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import RunFilter
from nightferry.backend.states.causes import find_failed_step
from nightferry.contract import Privacy, format_replacement
from nightferry.environments.project import Project
from nightferry.lambdas import failure_notice
from nightferry.local.backend import LocalBackend
from tests.local.toy import make_project

FAIL = {"Type": "Fail", "Error": "Broken", "Cause": "because"}
PASS = {"Type": "Pass"}
THREE = {"TaskDefinition": "three", "Overrides": {"ContainerOverrides": [{"Name": "three"}]}}
FAILS = {
    "StartAt": "three",
    "States": {
        "three": {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": THREE, "End": True}
    },
}
MAP = {"Type": "Map", "Items": [1, 2], "QueryLanguage": "JSONata", "End": True}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def backend(tmp_path: Path, out: Path) -> LocalBackend:
    project = Project.find(make_project(tmp_path / "project", out=out))
    return LocalBackend(project, project.environment("local"))


def work(backend: LocalBackend, id: str) -> WorkflowExecution:
    asyncio.run(backend.work(lambda: backend.execution(id).status != "RUNNING"))
    return backend.execution(id)


def run(backend: LocalBackend, workflow: str, definition: dict[str, Any] | None = None) -> WorkflowExecution:
    """Run an execution with another definition than the workflow's, if one is given."""
    backend.store.add_execution("e", workflow, definition or FAILS, {})
    return work(backend, "e")


def notices(backend: LocalBackend) -> list[dict[str, Any]]:
    return [json.loads(found["message"]) for found in backend.store.notifications()]


def test_a_failure_is_reported_with_step_error_and_cause(backend: LocalBackend) -> None:
    assert run(backend, "fails").status == "FAILED"
    (found,) = backend.store.notifications()
    assert (found["topic"], found["subject"]) == ("failures", "Workflow fails failed in local")
    assert json.loads(found["message"]) == {
        "workflow": "fails",
        "environment": "local",
        "execution": "arn:aws:states:local:000000000000:execution:fails:e",
        "status": "FAILED",
        "step": "three",
        "error": "States.TaskFailed",
        "cause": "Task three ended with exit code 3.",
        "command": "nightferry status e --env local",
        "link": None,
    }


def test_personal_data_in_a_cause_is_not_part_of_the_notice(backend: LocalBackend) -> None:
    fail = {"Type": "Fail", "Error": "Bad", "Cause": "customer 123-45-6789, password=hunter2"}
    run(backend, "fails", {"StartAt": "A", "States": {"A": fail}})
    assert notices(backend)[0]["cause"] == "customer 123-45-6789, password=[redacted]"


def test_the_policy_of_the_catalog_applies_to_a_cause(tmp_path: Path, out: Path) -> None:
    project = Project.find(make_project(tmp_path / "project", out=out))
    project.catalog.privacy = Privacy.STRICT
    backend = LocalBackend(project, project.environment("local"))
    fail = {"Type": "Fail", "Error": "Bad", "Cause": "customer 123-45-6789, password=hunter2"}
    run(backend, "fails", {"StartAt": "A", "States": {"A": fail}})
    assert notices(backend)[0]["cause"] == "customer *********, password=[redacted]"


def test_a_success_is_not_reported(backend: LocalBackend) -> None:
    assert run(backend, "fails", {"StartAt": "A", "States": {"A": PASS | {"End": True}}}).status == "SUCCEEDED"
    assert notices(backend) == []


def test_a_redrive_runs_the_failed_task_again_and_can_fail_again(backend: LocalBackend) -> None:
    run(backend, "fails")
    backend.redrive("e")
    assert work(backend, "e").status == "FAILED"
    assert len(backend.runs(RunFilter(task="three"))) == 2
    assert [(notice["status"], notice["step"]) for notice in notices(backend)] == [("FAILED", "three")] * 2


def test_a_stop_and_a_timeout_are_reported(backend: LocalBackend) -> None:
    wait = {"StartAt": "Rest", "States": {"Rest": {"Type": "Wait", "Seconds": 600, "End": True}}}
    backend.store.add_execution("e", "stays", wait, {})
    backend.stop("e", "by hand")
    assert work(backend, "e").status == "ABORTED"
    backend.store.add_execution("f", "stays", wait | {"TimeoutSeconds": 1}, {})
    assert work(backend, "f").status == "TIMED_OUT"
    found = [(notice["status"], notice["step"], notice["cause"]) for notice in notices(backend)]
    assert found == [("ABORTED", None, "by hand"), ("TIMED_OUT", "Rest", None)]


def test_an_execution_that_was_replaced_is_not_reported(backend: LocalBackend) -> None:
    wait = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
    backend.store.add_execution("e", "fails", wait, {})
    backend.store.request_stop("e", format_replacement("f"))
    assert work(backend, "e").status == "ABORTED"
    assert notices(backend) == []
    assert backend.store.executions_with_notice_due() == []


def test_the_next_engine_sends_the_notice_of_a_killed_one(backend: LocalBackend) -> None:
    """The end is recorded, and the engine dies before it has added the notification."""
    definition = {"StartAt": "A", "States": {"A": FAIL}}
    backend.store.add_execution("e", "fails", definition, {})
    backend.store.mark_execution_ended("e", "FAILED", None, "Broken", "because")
    assert notices(backend) == []
    for later in ("f", "g"):
        backend.store.add_execution(later, "fails", {"StartAt": "A", "States": {"A": PASS | {"End": True}}}, {})
        work(backend, later)
    assert [notice["error"] for notice in notices(backend)] == ["Broken"]


def nested(kind: str, inner: dict[str, Any], name: str = "Inner") -> dict[str, Any]:
    """Return a state with ``inner`` as its branch or iteration."""
    body = {"StartAt": name, "States": {name: inner}}
    if kind == "Parallel":
        branches = [{"StartAt": "Fine", "States": {"Fine": PASS | {"End": True}}}, body]
        return {"Type": "Parallel", "Branches": branches, "End": True}
    mode = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"} if kind == "Distributed" else {"Mode": "INLINE"}
    return MAP | {"ItemProcessor": {"ProcessorConfig": mode, **body}}


DEFINITIONS = {
    "top": ({"Outer": FAIL}, "Outer"),
    "second": ({"Outer": PASS | {"Next": "Next"}, "Next": FAIL}, "Next"),
    "map": ({"Outer": nested("Map", FAIL)}, "Inner"),
    "parallel": ({"Outer": nested("Parallel", FAIL)}, "Inner"),
    "map in parallel": ({"Outer": nested("Parallel", nested("Map", FAIL), "Between")}, "Inner"),
    "distributed map": ({"Outer": nested("Distributed", FAIL)}, "Outer"),
    "caught before": (
        {
            "Outer": nested("Parallel", FAIL) | {"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Next"}]},
            "Next": FAIL,
        },
        "Next",
    ),
    "evaluation": (
        {"Outer": PASS | {"QueryLanguage": "JSONata", "Output": "{% $error('no') %}", "End": True}},
        "Outer",
    ),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", DEFINITIONS)
def test_the_innermost_step_that_failed_is_found_here_and_by_the_function_on_aws(
    backend: LocalBackend, name: str
) -> None:
    states, step = DEFINITIONS[name]
    assert run(backend, "fails", {"StartAt": "Outer", "States": states}).status == "FAILED"
    (notice,) = notices(backend)  # one notice, not one per child execution
    history = backend.store.events("e")
    raw = [event.to_aws() for event in history if not event.child]
    assert notice["step"] == find_failed_step(history) == failure_notice.find_failed_step(reversed(raw)) == step
