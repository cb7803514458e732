"""Test starts by schedules and triggers: once per token, atomic with other writes, by the overlap policy."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.local.runs.starts import Starter, StartRequest
from nightferry.local.services.services import Services
from nightferry.local.store import Store
from tests.local.toy import make_project

DUE = datetime(2026, 11, 24, 20, 30, tzinfo=UTC)


@pytest.fixture
def starter(tmp_path: Path) -> Starter:
    project = Project.find(make_project(tmp_path / "project"))
    services = Services(project.catalog, project.environment("local"), project.state)
    return Starter(Store(project.state / "engine.sqlite"), project.catalog, services.resolve)


def start_request(kind: str, target: str, token: str = "trigger:t:a.csv:1") -> StartRequest:
    return StartRequest(
        token, "trigger:t", "task" if kind == "task" else "workflow", target, DUE, input={"key": "a.csv"}
    )


def test_a_token_starts_a_task_once(starter: Starter) -> None:
    store = starter._store
    first = starter.start(start_request("task", "hello"))
    assert first.id is not None
    run = store.run(first.id)
    assert run is not None
    assert (run.run.status, run.run.started_by, run.token) == ("QUEUED", "trigger:t", "trigger:t:a.csv:1")
    assert starter.start(start_request("task", "hello")) == first
    assert len(store.open_runs()) == 1


def test_references_in_a_tasks_variables_are_substituted(starter: Starter) -> None:
    variables = {"COLOR": "${setting:color}"}
    first = starter.start(
        StartRequest("t", "schedule:s", "task", "hello", DUE, ["echo", "${setting:color}"], variables)
    )
    run = starter._store.run(first.id or "")
    assert run is not None
    assert (run.run.args, run.environment) == (("echo", "blue"), {"COLOR": "blue"})


def test_a_token_starts_a_workflow_once_with_its_input(starter: Starter) -> None:
    first = starter.start(start_request("workflow", "queued"))
    assert starter.start(start_request("workflow", "queued")) == first
    [execution] = starter._store.open_executions()
    assert (execution.id, execution.input) == (first.id, {"key": "a.csv"})
    assert "${task:" not in json.dumps(starter._store.definition(execution.id))


def test_an_open_execution_is_treated_according_to_the_overlap_policy(starter: Starter) -> None:
    def twice(workflow: str) -> list[str]:
        first = starter.start(start_request("workflow", workflow, f"{workflow}:1"))
        second = starter.start(start_request("workflow", workflow, f"{workflow}:2"))
        if second.outcome == "skipped":
            assert (second.id, second.note) == (
                first.id,
                f"Execution {first.id} was open and the overlap policy is skip.",
            )
        return [first.outcome, second.outcome, *(["stop"] if first.id in starter._store.stop_requests() else [])]

    assert twice("marks") == ["started", "skipped"]
    assert twice("queued") == ["started", "started"]
    assert twice("replaced") == ["started", "started", "stop"]


def test_a_start_is_atomic_with_the_callers_writes(starter: Starter) -> None:
    def fail() -> None:
        with starter._store.transaction():
            starter.start(start_request("task", "hello"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert starter._store.open_runs() == []
    assert starter._store.start("trigger:t:a.csv:1") is None
