"""Test redrives: a failed execution continues at the state that failed, exactly once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightferry.backend.errors import CannotRedrive
from nightferry.backend.executions import WorkflowExecution
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.redrive import redrive
from tests.local.toy import make_project


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def backend(tmp_path: Path, out: Path) -> LocalBackend:
    project = Project.find(make_project(tmp_path / "project", out=out))
    return LocalBackend(project, project.environment("local"))


ANY = Catalog("any", image=Image("any"))
"""A catalog without the workflows of these executions, so that no overlap policy applies."""


def work(backend: LocalBackend, id: str) -> WorkflowExecution:
    asyncio.run(backend.work(lambda: backend.execution(id).status != "RUNNING"))
    return backend.execution(id)


def definition(gate: Path) -> dict[str, object]:
    """Return a definition whose second state fails until the file ``gate`` exists."""

    def run(script: str) -> dict[str, object]:
        container = [{"Name": "three", "Command": ["sh", "-c", script]}]
        return {
            "Type": "Task",
            "Resource": "arn:aws:states:::ecs:runTask.sync",
            "Parameters": {"TaskDefinition": "three", "Overrides": {"ContainerOverrides": container}},
        }

    first = run(f'echo first >> "{gate}.log"') | {"Next": "Second"}
    second = run(f'echo second >> "{gate}.log"; test -e "{gate}"') | {"End": True}
    return {"StartAt": "First", "States": {"First": first, "Second": second}}


def test_it_continues_at_the_state_that_failed(backend: LocalBackend, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    backend.store.add_execution("e", "by-hand", definition(gate), {})
    assert work(backend, "e").status == "FAILED"
    gate.touch()
    assert redrive(backend.store, ANY, "e") == "by-hand"
    reopened = backend.execution("e")
    assert (reopened.status, reopened.error, reopened.stopped_at) == ("RUNNING", None, None)
    assert work(backend, "e").status == "SUCCEEDED"
    # The successful state is not repeated.
    assert gate.with_suffix(".log").read_text().split() == ["first", "second", "second"]
    assert [event.type for event in backend.store.events("e")].count("ExecutionRedriven") == 1


def test_a_redrive_itself_runs_no_state_while_it_locks_the_store(backend: LocalBackend, tmp_path: Path) -> None:
    backend.store.add_execution("e", "by-hand", definition(tmp_path / "gate"), {})
    work(backend, "e")
    failed = backend.store.events("e")
    redrive(backend.store, ANY, "e")
    assert [event.type for event in backend.store.events("e")[len(failed) :]] == ["ExecutionRedriven"]


def test_a_repeated_redrive_is_refused(backend: LocalBackend, tmp_path: Path) -> None:
    backend.store.add_execution("e", "by-hand", definition(tmp_path / "gate"), {})
    work(backend, "e")
    redrive(backend.store, ANY, "e")
    with pytest.raises(CannotRedrive, match="it is RUNNING, and only failed executions"):
        redrive(backend.store, ANY, "e")
    assert work(backend, "e").status == "FAILED"
    redrive(backend.store, ANY, "e")


def test_a_stopped_execution_can_be_redriven(backend: LocalBackend, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    gate.touch()
    backend.store.add_execution("e", "by-hand", definition(gate), {})
    backend.stop("e", "by hand")
    assert work(backend, "e").status == "ABORTED"
    redrive(backend.store, ANY, "e")
    assert work(backend, "e").status == "SUCCEEDED"


def test_an_impossible_redrive_is_refused_with_the_reason(backend: LocalBackend, tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        redrive(backend.store, ANY, "nothing")
    backend.store.add_execution("e", "by-hand", definition(tmp_path / "gate"), {})
    work(backend, "e")
    backend.store.add_execution("f", "by-hand", definition(tmp_path / "gate"), {})
    catalog = Catalog("toy", image=Image("toy"))
    catalog.workflow("by-hand", {"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}, overlap="skip")
    with pytest.raises(CannotRedrive, match="Execution f of by-hand is running"):
        redrive(backend.store, catalog, "e")
    with pytest.raises(CannotRedrive, match="has not started"):
        redrive(backend.store, ANY, "f")
