"""``run-ecs-task ENV TASK AUTHOR [ARGUMENT …]``: run a task in an environment on AWS, by hand or from CI."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from nightferry.backend.request_checks import get_task
from nightferry.backend.runs import RunRequest
from nightferry.cli.run.task_options import TaskCommand, TaskOptions
from nightferry.cli.terminal.actions import Confirm, Reason, confirm_by_hand, make_recorder
from nightferry.cli.terminal.completion import complete_environment, complete_task
from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.options import print_json, print_status
from nightferry.cli.terminal.output import Terminal
from nightferry.cli.terminal.running import follow_to_end, parse_variables
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_CI_AUTHOR = "ci"
_AUTHOR = re.compile(r"[^\W\d_][\w .'/-]{0,63}")
_USAGE = "Usage: run-ecs-task ENV TASK AUTHOR [--SETTING=VALUE …] [ARGUMENT …]"
_OPTIONS_WITH_VALUE = frozenset(
    {"-e", "--cpu", "--memory", "--attach", "--reason", "--confirm", "--show-completion", "--install-completion"}
)
_FLAGS = frozenset({"--dry-run", "--raw", "--help", "-h"})

app = typer.Typer(
    name="run-ecs-task",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)


class UsageError(NightferryError):
    """The command line does not match ENV TASK AUTHOR [ARGUMENT …]. The message has the reason."""


@app.command(cls=TaskCommand)
def run_ecs_task(
    env: Annotated[
        str,
        typer.Argument(
            help="Environment on AWS: a file in environments/.", metavar="ENV", autocompletion=complete_environment
        ),
    ] = "",
    task: Annotated[str, typer.Argument(help="A declared task.", metavar="TASK", autocompletion=complete_task)] = "",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Name of the person who runs the task (omit it if CI is set), then arguments for its program.",
            metavar="AUTHOR [ARGUMENT …]",
        ),
    ] = None,
    variables: Annotated[
        list[str] | None,
        typer.Option("-e", help="Set a variable of the run. Repeat the option for more.", metavar="NAME=VALUE"),
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units (1024 = 1 vCPU). Default: the task's.")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB. Default: the task's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and print the request without starting the task.")
    ] = False,
    reason: Reason = "",
    confirm: Confirm = "",
    raw: Annotated[bool, typer.Option("--raw", help="Print log lines unchanged, also on a terminal.")] = False,
    attach: Annotated[
        str | None, typer.Option(help="Follow this run instead of starting a new one.", metavar="ID")
    ] = None,
) -> None:
    """Run a task on AWS, follow its log to the last line, and exit with its exit code.

    Exit codes: the container's own; 125 if it did not start; 126 if AWS refused the call; 130 if you stopped following
    and the task continues; 2 for a usage error.

    Options must come before ARGUMENT, or they are arguments of the task's program. Each setting of the task is an
    option too; **nightferry run TASK --help** lists them.
    """
    if not env or not (task or attach):
        raise UsageError(f"{'ENV' if not env else 'TASK'} is missing. {_USAGE}")
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        raise UsageError(f"Environment '{env}' is not on AWS. Use: nightferry run {task} --env {env}")
    from nightferry.aws.backend import AwsBackend  # requires an extra, whose absence run_script reports

    backend = AwsBackend(project, environment, report=print_status)
    if attach is not None:
        raise typer.Exit(follow_to_end(backend, backend.run(attach).id, env, Terminal(), raw=raw))
    declared = get_task(project.catalog, task)
    author, arguments = _split_author(words or [], project.catalog.tasks.keys())
    request = RunRequest(task, arguments, parse_variables(variables), cpu, memory, author)
    checked = backend.request(request)
    if dry_run:
        print_json(checked)
        return
    confirm_by_hand([declared], env, confirm)
    with make_recorder(project, backend, author).record("run", task, reason) as outcome:
        id = backend.run_task(request)
        outcome.text, outcome.ids = "The run was requested.", [id]
    print_status(f"Started {task} (run {id}). Attach from another terminal: run-ecs-task {env} --attach {id}")
    raise typer.Exit(follow_to_end(backend, id, env, Terminal(), raw=raw))


def _split_author(words: Sequence[str], tasks: object) -> tuple[str, list[str]]:
    """Return the author and the arguments; raises UsageError."""
    if os.environ.get("CI"):
        return _CI_AUTHOR, list(words)
    if not words:
        raise UsageError(f"AUTHOR is missing: the name of the person who runs the task. {_USAGE}")
    author, *arguments = words
    if "@" in author:
        raise UsageError("AUTHOR is an email address. ECS stores it with the task, so use a name such as jane-doe.")
    if not _AUTHOR.fullmatch(author) or author in tasks:  # type: ignore[operator]
        raise UsageError(f"AUTHOR '{author}' is not the name of a person. {_USAGE}")
    return author, arguments


def reorder_arguments(words: Sequence[str], find_options: Callable[[str], TaskOptions | None]) -> list[str]:
    """Return the words with the options of ``run-ecs-task`` first and the arguments after ``--``.

    The arguments start with the first word after AUTHOR that is neither an option of ``run-ecs-task`` nor a setting of
    the task, whose options ``find_options`` returns. The options among the arguments are thereby not parsed.
    """
    positions = 2 if os.environ.get("CI") else 3
    options: list[str] = []
    positionals: list[str] = []
    rest = list(words)
    while rest:
        word = rest[0]
        name = word.partition("=")[0]
        if word == "--":
            rest = rest[1:]
            break
        if name in _FLAGS:
            options.append(rest.pop(0))
        elif name in _OPTIONS_WITH_VALUE:
            taken = 1 if "=" in word else 2
            options += rest[:taken]
            rest = rest[taken:]
        elif name.startswith("--") and len(positionals) > 1 and (task := find_options(positionals[1])) is not None:
            options += task.take(rest)
        elif len(positionals) < positions and not (word.startswith("-") and len(word) > 1):
            positionals.append(rest.pop(0))
        elif len(positionals) < positions:
            options.append(rest.pop(0))  # the parser reports unknown options
        else:
            break
    return [*options, "--", *positionals, *rest]


def main() -> None:
    """Run the console script ``run-ecs-task``."""
    completing = any(name.endswith("_COMPLETE") for name in os.environ)
    run_script(
        "run-ecs-task",
        lambda: app(None if completing else reorder_arguments(sys.argv[1:], _find_options), prog_name="run-ecs-task"),
    )


def _find_options(name: str) -> TaskOptions | None:
    catalog = Project.find().catalog
    return TaskOptions.read(catalog, catalog.tasks[name]) if name in catalog.tasks else None
