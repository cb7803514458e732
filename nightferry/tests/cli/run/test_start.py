"""``nightferry start``: an execution that is followed, interrupted and resumed."""

from __future__ import annotations

import io
import json
import re
import signal
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from rich.console import Console

from nightferry.backend.executions import WorkflowExecution
from nightferry.cli.run.start import report_end
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from tests.chaos.engines import until
from tests.cli.terminal import nightferry, on_terminal, start


def test_a_pipe_gets_a_line_for_each_start_and_end(root: Path) -> None:
    ended = nightferry(root, "start", "marks")
    assert ended.returncode == 0
    lines = ended.stdout.splitlines()
    assert sum(": started (run " in line for line in lines) == 5
    assert sum(": succeeded after " in line for line in lines) == 5
    assert lines[-1].startswith("marks succeeded after ")
    found = json.loads(nightferry(root, "status", "marks", "--json").stdout)
    assert [execution["status"] for execution in found["executions"]] == ["SUCCEEDED"]


def test_a_failure_reports_the_state_the_exit_code_and_the_next_commands(root: Path) -> None:
    ended = nightferry(root, "start", "fails")
    assert ended.returncode == 1
    assert "three: failed: exit code 3" in ended.stdout
    assert "Error: States.TaskFailed" in ended.stdout
    assert "nightferry logs fails-" in ended.stdout
    stored = "Stored a notice for failures, because this machine sends none. See: nightferry notifications\n"
    assert ended.stdout.count(stored) == 1
    id = ended.stdout.rsplit(maxsplit=1)[1]
    assert nightferry(root, "logs", id).stdout == "leaving\n"
    shown = nightferry(root, "status", id).stdout
    assert "FAILED" in shown
    redriven = nightferry(root, "redrive", id)
    assert redriven.returncode == 1
    assert redriven.stdout.count(stored) == 1, "only the notice of this attempt"
    assert re.search(r"^three\t\d\tfailed\t[^\t]+\texit code 3$", shown, re.MULTILINE)


def test_the_result_is_one_line_however_long_the_names_are() -> None:
    now, output = datetime.now(UTC), io.StringIO()
    ended = WorkflowExecution("monthly-20260101", "monthly", "SUCCEEDED", now, now, {}, {}, None, None)
    backend = SimpleNamespace(stored_notices=lambda _id: [])
    report_end(cast(Any, backend), ended, Console(file=output, width=20), "local")
    assert output.getvalue() == "monthly succeeded after 0.0 s (execution monthly-20260101)\n"


def test_the_name_of_a_task_is_answered_with_its_command(root: Path) -> None:
    for words, cure in (
        (("start", "three"), "Workflow 'three' not found. It is a task. Run it with nightferry run three."),
        (("run", "fails"), "Task 'fails' not found. It is a workflow. Start it with nightferry start fails."),
        (
            ("run", "--since", "x", "fails"),
            "Task 'fails' not found. It is a workflow. Start it with nightferry start fails.",
        ),
        (("env", "fails"), "Task 'fails' not found. It is a workflow. Start it with nightferry start fails."),
        (("start", "fials"), "Workflow 'fials' not found. Did you mean fails?"),
    ):
        ended = nightferry(root, *words)
        assert (ended.returncode, ended.stderr) == (2, f"nightferry: {cure}\n")


def test_json_is_the_execution_at_its_end(root: Path) -> None:
    ended = nightferry(root, "start", "fails", "--json")
    assert ended.returncode == 1
    execution = json.loads(ended.stdout)
    assert (execution["workflow"], execution["status"], execution["error"]) == ("fails", "FAILED", "States.TaskFailed")
    assert "three: failed: exit code 3" in ended.stderr


def test_an_input_that_the_workflow_does_not_read_is_refused(root: Path) -> None:
    ended = nightferry(root, "start", "fails", "--input", '{"day": 1}')
    assert ended.returncode == 2
    assert ended.stderr == "nightferry: Workflow 'fails' does not read 'day' of its input. It reads: nothing.\n"


def test_a_terminal_shows_the_states(root: Path) -> None:
    code, drawn = on_terminal(root, "start", "fails")
    assert code == 1
    assert "✗" in drawn
    assert "exit code 3" in drawn
    assert "Traceback" not in drawn


def test_a_command_that_resumes_an_interrupted_execution_reports_it(root: Path) -> None:
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    id = backend.start_workflow("stays", {})  # no engine runs it yet
    with start(root, "run", "three") as process:
        assert process.stderr is not None
        assert (
            process.stderr.readline()
            == f"Waiting for {id} to end. Press Ctrl-C to exit; the next command continues the work.\n"
        )
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 3
    assert backend.execution(id).interrupted


def test_an_interrupted_execution_is_marked_and_resumed(root: Path) -> None:
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    with start(root, "start", "marks") as killed:
        until(lambda: bool(backend.runs()), "a run was requested")
        killed.kill()
        killed.communicate(timeout=60)
    [execution] = backend.executions()
    until(lambda: backend.execution(execution.id).interrupted, "the execution is interrupted")
    assert "INTERRUPTED" in nightferry(root, "status").stdout
    ended = nightferry(root, "start", "marks")
    assert ended.returncode == 0
    assert f"Execution {execution.id} is already open" in ended.stdout
    assert [found.status for found in backend.executions()] == ["SUCCEEDED"]
