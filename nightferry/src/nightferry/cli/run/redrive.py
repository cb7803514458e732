"""``nightferry redrive``: continue a failed execution, start a failed run again, or retry failed starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from nightferry.backend.interface import Backend
from nightferry.backend.request_checks import get_task
from nightferry.backend.runs import TaskRun
from nightferry.cli.run.start import report_end
from nightferry.cli.terminal.actions import Confirm, Reason, confirm_by_hand, make_recorder
from nightferry.cli.terminal.follow import SeenExecution, follow_execution
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json, print_status, refuse_task_name
from nightferry.cli.terminal.output import Terminal, print_fields
from nightferry.cli.terminal.running import follow_to_end
from nightferry.cli.terminal.streams import echo
from nightferry.environments.aws_resources import QUEUES, AwsResources
from nightferry.environments.project import Project
from nightferry.errors import NightferryError, UnknownName
from nightferry.presentation.inputs import format_inputs, redact_run


def redrive(
    target: Annotated[
        str,
        typer.Argument(
            help=f"A failed execution or run, or a queue: {', '.join(QUEUES)}.",
            metavar="ID|QUEUE",
        ),
    ],
    env: Env = "local",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check the execution or run, or list the failed starts. Start nothing."),
    ] = False,
    detach: Annotated[bool, typer.Option(help="Print the ID and exit without following the execution or run.")] = False,
    reason: Reason = "",
    confirm: Confirm = "",
    as_json: AsJson = False,
) -> None:
    """Continue a failed execution, start a failed run again, or retry the starts in a dead-letter queue.

    An execution continues at the state that failed; the exit code is 0 if it succeeds. A run starts again with the same
    inputs, as a new run; the exit code is that of the task. Only what is new is printed. A run is repeated once, and a
    step of a workflow runs again by a redrive of its execution.

    A dead letter is deleted only after its start succeeds, and a repeated retry starts it only once. The exit code is 1
    if a start fails again.
    """
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        if target in QUEUES:
            raise NightferryError(
                "The local engine has no dead-letter queues: it retries a failed start of a trigger or schedule."
            )
        _redrive(project, env, target, _Options(dry_run, detach, as_json, reason, confirm))
        return
    from nightferry.cli.run.redrive_queue import is_queue, redrive_queue  # This machine needs no extra.

    resources = AwsResources(project.catalog, environment)
    if is_queue(resources, target):
        redrive_queue(project, resources, target, reason, dry_run=dry_run, as_json=as_json)
        return
    _redrive(project, env, target, _Options(dry_run, detach, as_json, reason, confirm))


@dataclass(frozen=True)
class _Options:
    """The options of the command for an execution or a run."""

    dry_run: bool
    detach: bool
    as_json: bool
    reason: str
    confirm: str


def _redrive(project: Project, env: str, id: str, options: _Options) -> None:
    dry_run, as_json = options.dry_run, options.as_json
    if as_json and not dry_run:
        raise NightferryError("Without --dry-run, --json applies to a queue only. Add --dry-run, or omit --json.")
    backend = open_backend(project, env)
    try:
        execution = backend.execution(id).id
    except UnknownName:
        refuse_task_name(project, id, env)
        run = backend.run(id)
        if dry_run:
            backend.redrive_run(run.id, dry_run=True)
            _print_repeat(redact_run(project.catalog, run), as_json)
        else:
            confirm_by_hand([get_task(project.catalog, run.task)], env, options.confirm)
            with make_recorder(project, backend, backend.author()).record("redrive-run", run.id, options.reason) as out:
                new = backend.redrive_run(run.id)
                out.text, out.ids = "The run starts again.", [new]
            _follow_repeat(backend, env, run, new, options.detach)
        return
    if dry_run:
        backend.redrive(execution, dry_run=True)
        if as_json:
            print_json({"continues": execution})
        else:
            echo(f"{execution} can continue at the state that failed.")
    else:
        _redrive_execution(project, backend, env, execution, options)


def _print_repeat(run: TaskRun, as_json: bool) -> None:
    """Print the inputs with which a run, given redacted, can start again."""
    if as_json:
        size = {"cpu": run.cpu, "memory": run.memory}
        print_json({"repeats": run.id, "task": run.task, "args": run.args, "env": run.env, **size})
        return
    echo(f"Run {run.id} of {run.task} can start again, with the same inputs:")
    print_fields(Terminal(), format_inputs(run))


def _follow_repeat(backend: Backend, env: str, run: TaskRun, id: str, detach: bool) -> None:
    print_status(f"Run {run.id} of {run.task} starts again with the same inputs, as run {id}.")
    if detach:
        backend.detach()
        echo(id)
        return
    raise typer.Exit(follow_to_end(backend, id, env, Terminal(), raw=False))


def _redrive_execution(project: Project, backend: Backend, env: str, id: str, options: _Options) -> None:
    seen = None if options.detach else SeenExecution.read(backend, id)
    notices = len(backend.stored_notices(id))
    with make_recorder(project, backend, backend.author()).record("redrive", id, options.reason) as outcome:
        execution = backend.redrive(id)
        outcome.text = "The execution continues at the state that failed."
    echo(f"{execution} continues at the state that failed.", err=True)
    if options.detach:
        backend.detach()
        echo(execution)
        return
    console = Terminal()
    ended = follow_execution(backend, execution, console, env=env, seen=seen)
    report_end(backend, ended, console, env, notices)
