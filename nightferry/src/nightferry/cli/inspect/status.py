"""``nightferry status``: show runs and executions, and the states of an execution."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from nightferry.backend.executions import ExecutionSummary, WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.cli.terminal.follow import format_state_rows, render_states
from nightferry.cli.terminal.options import AsJson, Env, format_env_option, open_backend, print_json
from nightferry.cli.terminal.output import Terminal, print_fields, print_rows
from nightferry.clock import get_clock
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.presentation.durations import format_duration
from nightferry.presentation.failures import explain_execution, explain_run
from nightferry.presentation.inputs import describe_run, format_inputs, redact_run
from nightferry.presentation.progress import StepProgress

_STYLES = {"SUCCEEDED": "green", "FAILED": "bold red", "TIMED_OUT": "bold red", "ABORTED": "yellow", "RUNNING": "cyan",
           "INTERRUPTED": "yellow"}  # fmt: skip


def status(
    id: Annotated[
        str | None,
        typer.Argument(help="A run or execution (its ID or a unique prefix), a task, or a workflow.", metavar="ID"),
    ] = None,
    env: Env = "local",
    limit: Annotated[int, typer.Option(help="Maximum number of executions and runs.", min=1)] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the latest executions and runs, or the details of one of them."""
    project = Project.find()
    backend = open_backend(project, env)
    if id is None:
        _print_overview(project.catalog, backend, None, None, limit, as_json)
        return
    if id in project.catalog.tasks or id in project.catalog.workflows:
        task = id if id in project.catalog.tasks else None
        workflow = id if id in project.catalog.workflows else None
        _print_overview(project.catalog, backend, task, workflow, limit, as_json)
        return
    try:
        execution = backend.execution(id)
    except UnknownName:
        _print_run(project.catalog, backend, backend.run(id), env, as_json)
        return
    _print_execution(backend, execution, as_json)


def _print_overview(
    catalog: Catalog, backend: Backend, task: str | None, workflow: str | None, limit: int, as_json: bool
) -> None:
    executions = [] if task and not workflow else backend.executions(ExecutionFilter(workflow=workflow), limit=limit)
    runs = [] if workflow and not task else backend.runs(RunFilter(task=task), limit=limit)
    if as_json:
        print_json({"executions": [asdict(e) for e in executions], "runs": [describe_run(catalog, r) for r in runs]})
        return
    console = Terminal()
    if not executions and not runs:
        console.print(
            "No runs or executions yet. See: nightferry tasks, nightferry run TASK, nightferry start WORKFLOW"
        )
        return
    if not console.is_terminal:
        print_rows(
            console, [("execution", e.id, e.workflow, *_format_execution_columns(e, _ignore_style)) for e in executions]
        )
        print_rows(console, [("run", run.id, run.task, *_format_run_columns(run, _ignore_style)) for run in runs])
        return
    if executions:
        table = Table("Execution", "Status", "Started", "Duration", title="Executions", title_justify="left", box=None)
        for execution in executions:
            table.add_row(execution.id, *_format_execution_columns(execution, _apply_style))
        console.print(table)
    if runs:
        table = Table("Run", "Task", "Status", "Started", "Duration", title="Runs", title_justify="left", box=None)
        for run in runs:
            table.add_row(run.id[:12], run.task, *_format_run_columns(run, _apply_style))
        console.print(table)


def _print_run(catalog: Catalog, backend: Backend, run: TaskRun, env: str, as_json: bool) -> None:
    failed = run.status == "STOPPED" and not run.succeeded and run.execution is None
    repeated_by = backend.find_repeat(run.id) if failed else None
    planned = backend.find_planned_retry(run.id) if failed else None
    if as_json:
        result = backend.result(run)
        print_json(
            {**describe_run(catalog, run), "result": result, "repeated_by": repeated_by, "next_attempt_at": planned}
        )
        return
    run = redact_run(catalog, run)
    console = Terminal()
    console.print(f"Run {run.id}", highlight=False)
    inputs = format_inputs(run)
    fields = {
        "Task": run.task,
        "Status": format_run_status(run)[0],
        "Reason": run.reason,
        "Last error": explain_run(backend, run),
        "Result": json.dumps(result, ensure_ascii=False) if (result := backend.result(run)) else None,
        "Arguments": inputs.pop("Arguments"),
        "Execution": run.execution,
        "Started by": run.started_by,
        "Scheduled": _format_time(run.scheduled_at) if run.scheduled_at else None,
        "Attempt": _format_attempt(catalog, run),
        "Repeats": run.repeats,
        "Repeated by": repeated_by,
        "Next at": _format_time(planned) if planned else None,
        **inputs,
        "Requested": _format_time(run.created_at),
        "Started": _format_time(run.started_at) if run.started_at else None,
        "Stopped": _format_time(run.stopped_at) if run.stopped_at else None,
    }
    print_fields(console, fields)
    for sentence in backend.troubleshooting(run):
        console.print(f"  {'':<11} {sentence}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"  {'Log':<11} nightferry logs {run.id[:12]}{format_env_option(env)}", highlight=False)
    for name, link in run.links.items():
        console.print(f"  {name:<11} {link}", highlight=False, markup=False, soft_wrap=True)


def _format_attempt(catalog: Catalog, run: TaskRun) -> str | None:
    """Return the number of a task's attempt; None for a task without retry."""
    task = catalog.tasks.get(run.task)
    if run.attempt == 1 and (task is None or task.retry is None or run.execution is not None):
        return None
    of = f" of {task.retry.attempts + 1}" if task is not None and task.retry is not None else ""
    return f"{run.attempt}{of}"


def _print_execution(backend: Backend, execution: WorkflowExecution, as_json: bool) -> None:
    states = backend.state_history(execution.id)
    if as_json:
        print_json({**vars(execution), "states": [asdict(state) for state in states]})
        return
    console = Terminal()
    text, style = _format_execution_status(execution)
    console.print(f"Execution {execution.id}: [{style}]{text}[/]", highlight=False)
    runs = {run.id: run for run in backend.runs(RunFilter(execution=execution.id), limit=1000)}
    tasks = [state for state in states if state.type == "Task"]
    if console.is_terminal:
        console.print(render_states(tasks, runs, StepProgress()))
    else:
        print_rows(console, format_state_rows(tasks, runs))
    for line in explain_execution(backend, execution, states, runs):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if execution.interrupted:
        console.print(f"No engine is running it. Resume with: nightferry start {execution.workflow}", highlight=False)


def _format_execution_status(execution: ExecutionSummary) -> tuple[str, str]:
    text = "INTERRUPTED" if execution.interrupted else execution.status
    return text, _STYLES[text]


def format_run_status(run: TaskRun) -> tuple[str, str]:
    """Return the status of a run and its style."""
    if run.status == "QUEUED" and run.not_before is not None:
        return f"attempt {run.attempt} at {_format_time(run.not_before)}", "cyan"
    if run.status != "STOPPED":
        return run.status, "cyan"
    if run.stopped_by_user:
        return "stopped" if run.exit_code is None else f"stopped, exit code {run.exit_code}", "yellow"
    if run.exit_code is None:
        return "NO EXIT CODE", "bold red"
    return f"exit code {run.exit_code}", "green" if run.exit_code == 0 else "bold red"


def _apply_style(text: str, style: str) -> str:
    return f"[{style}]{text}[/]"


def _ignore_style(text: str, style: str) -> str:  # noqa: ARG001
    return text


def _format_execution_columns(execution: ExecutionSummary, style: Callable[[str, str], str]) -> list[str]:
    return [style(*_format_execution_status(execution)), *_format_times(execution.started_at, execution.stopped_at)]


def _format_run_columns(run: TaskRun, style: Callable[[str, str], str]) -> list[str]:
    return [style(*format_run_status(run)), *_format_times(run.created_at, run.stopped_at)]


def _format_times(started: datetime, stopped: datetime | None) -> list[str]:
    return [_format_time(started), format_duration(((stopped or get_clock().now()) - started).total_seconds())]


def _format_time(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"
