"""``nightferry start``: start a workflow and follow its execution."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console

from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.interface import Backend
from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.cli.terminal.actions import Reason, make_recorder
from nightferry.cli.terminal.completion import complete_workflow
from nightferry.cli.terminal.follow import follow_execution
from nightferry.cli.terminal.notices import format_stored_notices
from nightferry.cli.terminal.options import AsJson, Env, format_env_option, open_backend, parse_input, print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.streams import echo
from nightferry.environments.project import Project
from nightferry.presentation.durations import format_duration
from nightferry.presentation.failures import explain_execution


def start(
    workflow: Annotated[
        str,
        typer.Argument(
            help="A declared workflow; see nightferry workflows.", metavar="WORKFLOW", autocompletion=complete_workflow
        ),
    ],
    env: Env = "local",
    input: Annotated[str, typer.Option("--input", help="The execution's input.", metavar="JSON")] = "{}",
    detach: Annotated[bool, typer.Option(help="Print the execution's ID and exit without following it.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Start a workflow and follow it. Exit with 0 if it succeeds, otherwise with 1.

    With --json, the states are on standard error, and the execution is printed at its end.

    If an execution was interrupted (the engine was killed, or the machine lost power), it is resumed instead.
    """
    value = parse_input(input)
    project = Project.find()
    backend = open_backend(project, env)
    before = {execution.id for execution in backend.executions(ExecutionFilter(workflow=workflow))}
    author = backend.author()
    with make_recorder(project, backend, author).record("start", workflow, reason) as outcome:
        id = backend.start_workflow(workflow, value, author)
        outcome.text = "Nothing was started, because an execution was open." if id in before else "It was started."
        outcome.ids = [id]
    console = Terminal(stderr=as_json)
    if id in before:
        unused = " It keeps its own input; --input is ignored." if value != {} else ""
        console.print(f"Execution {id} is already open. Following it.{unused}", highlight=False, soft_wrap=True)
    if detach:
        backend.detach()
        if as_json:
            print_json(vars(backend.execution(id)))
        else:
            echo(id)
        return
    ended = follow_execution(backend, id, console, env=env)
    if as_json:
        print_json(vars(ended))
    report_end(backend, ended, console, env)


def report_end(backend: Backend, ended: WorkflowExecution, console: Console, env: str, notices: int = 0) -> None:
    """Print the result of an execution. Exit with 1 unless it succeeded.

    ``notices`` is the number of its notices that were stored before, by an earlier attempt.
    """
    id, workflow = ended.id, ended.workflow
    took = format_duration(((ended.stopped_at or ended.started_at) - ended.started_at).total_seconds())
    status = ended.status.lower().replace("_", " ")
    console.print(f"{workflow} {status} after {took} (execution {id})", highlight=False, soft_wrap=True)
    stored = format_stored_notices(backend.stored_notices(id)[notices:], env)
    explanation: Iterable[str] = ()
    if ended.status != "SUCCEEDED":
        runs = {run.id: run for run in backend.runs(RunFilter(execution=id), limit=1000)}
        explanation = explain_execution(backend, ended, backend.state_history(id), runs)
    for line in [*explanation, *stored]:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if ended.status == "SUCCEEDED":
        return
    console.print(
        f"See: nightferry status {id}{format_env_option(env)}; nightferry logs {id}{format_env_option(env)}",
        highlight=False,
        soft_wrap=True,
    )
    raise typer.Exit(1)
