"""``nightferry run``: run a task, follow it, and exit with its exit code."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import typer

from nightferry.backend.request_checks import get_task
from nightferry.backend.runs import RunRequest
from nightferry.cli.run.task_help import format_task_help
from nightferry.cli.run.task_options import CommandOptions, TaskCommand, TaskOptions, find_task, rewrite
from nightferry.cli.terminal.actions import Confirm, Reason, confirm_by_hand, make_recorder
from nightferry.cli.terminal.completion import complete_task
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.running import follow_to_end, parse_variables
from nightferry.cli.terminal.streams import echo
from nightferry.environments.project import Project
from nightferry.errors import CatalogNotFound
from nightferry.presentation.inputs import describe_run

_HELP_OPTIONS = frozenset({"--help", "-h"})


class RunCommand(TaskCommand):
    """The command with an option for each setting of its task, which its help describes."""

    _task_help = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments after the settings of the task have become variables."""
        if ctx.resilient_parsing:  # for the completion of a command line that is not complete
            return super().parse_args(ctx, args)
        options = CommandOptions.read(self.params)
        words = args[: args.index("--")] if "--" in args else args
        wants_help = bool(_HELP_OPTIONS & {*words})
        try:
            project = Project.find()
        except CatalogNotFound:
            if not wants_help:
                raise
            return super().parse_args(ctx, args)
        task = find_task(words, options, project.catalog)
        if task is not None and wants_help:
            self._task_help = format_task_help(project, task)
        elif task is not None:
            args = rewrite(args, options, TaskOptions.read(project.catalog, task))
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help of the command, and of the task's settings."""
        super().format_help(ctx, formatter)
        if self._task_help:
            echo(self._task_help)


app = typer.Typer(add_completion=False, rich_markup_mode="markdown")


@app.command("run", cls=RunCommand)
def run(
    task: Annotated[
        str, typer.Argument(help="A declared task; see nightferry tasks.", metavar="TASK", autocompletion=complete_task)
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="Arguments for the task's program, after --.", metavar="ARGUMENT"),
    ] = None,
    env: Env = "local",
    variables: Annotated[
        list[str] | None,
        typer.Option("-e", help="Set a variable of the run. Repeat the option for more.", metavar="NAME=VALUE"),
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units (1024 = 1 vCPU). Default: the task's.")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB. Default: the task's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print the request without starting the task.")
    ] = False,
    detach: Annotated[bool, typer.Option(help="Print the run's ID and exit without following it.")] = False,
    reason: Reason = "",
    confirm: Confirm = "",
    raw: Annotated[bool, typer.Option(help="Print log lines unchanged, also on a terminal.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a task and follow it. Exit with the task's exit code, or 125 if it did not start.

    Each setting of the task is an option too, such as --since=2026-11-01. **nightferry run TASK --help** lists them.
    With --json, the log is on standard error, and the run is printed at its end.
    """
    project = Project.find()
    backend = open_backend(project, env)
    settings = parse_variables(variables)
    request = RunRequest(task, arguments or (), settings, cpu, memory)
    backend.request(request)  # A mistake is reported before any call that may fail, and is not recorded.
    author = backend.author()
    request = replace(request, started_by=author)
    if dry_run:
        print_json(backend.request(request))
        return
    confirm_by_hand([get_task(project.catalog, task)], env, confirm)
    with make_recorder(project, backend, author).record("run", task, reason) as outcome:
        id = backend.run_task(request)
        outcome.text, outcome.ids = "The run was requested.", [id]
    if detach:
        backend.detach()
        if as_json:
            print_json(describe_run(project.catalog, backend.run(id)))
        else:
            echo(id)
        return
    code = follow_to_end(backend, id, env, Terminal(stderr=as_json), raw=raw)
    if as_json:
        ended = backend.run(id)
        print_json({**describe_run(project.catalog, ended), "result": backend.result(ended)})
    raise typer.Exit(code)
