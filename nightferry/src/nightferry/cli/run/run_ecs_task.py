"""``run-ecs-task ENV TASK AUTHOR [COMMAND …]``: run one task in an environment on AWS, by hand or from CI."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console

from nightferry.aws.backend import AwsBackend
from nightferry.backend.interface import RunRequest
from nightferry.backend.request_checks import declared_task
from nightferry.cli.terminal.completion import environment_names, task_names
from nightferry.cli.terminal.entry import run_script
from nightferry.cli.terminal.options import print_json, tell
from nightferry.cli.terminal.running import follow_to_the_end
from nightferry.cli.terminal.running import variables as parsed
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_AUTHOR_IN_CI = "ci"
_AUTHOR = re.compile(r"[^\W\d_][\w .'/-]{0,63}")
_TAKES_VALUE = frozenset({"-e", "--cpu", "--memory", "--attach", "--show-completion", "--install-completion"})
_FLAGS = frozenset({"--dry-run", "--raw", "--no-raw", "--no-dry-run", "--help", "-h"})

app = typer.Typer(
    name="run-ecs-task",
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False},
)


class BadCall(NightferryError):
    """The command line is not ENV TASK AUTHOR [COMMAND …]; the message says what is wrong with it."""


@app.command()
def run_ecs_task(
    env: Annotated[
        str, typer.Argument(help="Environment on AWS.", metavar="ENV", autocompletion=environment_names)
    ] = "",
    task: Annotated[str, typer.Argument(help="A declared task.", metavar="TASK", autocompletion=task_names)] = "",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Who runs it (left out where CI is set), then the command to run instead of the task's own.",
            metavar="AUTHOR [COMMAND …]",
        ),
    ] = None,
    variables: Annotated[
        list[str] | None, typer.Option("-e", help="Set a variable, K=V; may be given several times.", metavar="K=V")
    ] = None,
    cpu: Annotated[int | None, typer.Option(help="CPU units instead of the task's (1024 = one vCPU).")] = None,
    memory: Annotated[int | None, typer.Option(help="Memory in MiB instead of the task's.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print the request; start nothing.")
    ] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Lines as the task wrote them, also on a terminal.")] = False,
    attach: Annotated[
        str | None, typer.Option(help="Watch a run that goes on instead of starting one.", metavar="ID")
    ] = None,
) -> None:
    """Run a task on AWS, follow its log to the last line, and exit with its exit code.

    Exit codes: the container's own; 125 it never started; 126 AWS refused; 130 no longer watched, it goes on; 2 a
    mistake in the call. Options stand before COMMAND.
    """
    if not env or not (task or attach):
        raise BadCall(f"{'ENV' if not env else 'TASK'} is missing. It is: run-ecs-task ENV TASK AUTHOR [COMMAND …]")
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        raise BadCall(f"Environment '{env}' is not on AWS. Try: nightferry run {task} --env {env}")
    place = AwsBackend(project, environment, tell=tell)
    if attach is not None:
        raise typer.Exit(follow_to_the_end(place, place.run(attach).id, env, Console(), raw=raw))
    declared_task(project.catalog, task)
    author, command = _author(words or [], project.catalog.tasks.keys())
    request = RunRequest(task, command or None, parsed(variables), cpu, memory, author)
    if dry_run:
        print_json(place.request(request))
        return
    id = place.run_task(request)
    tell(f"{task} is asked for (run {id}). From elsewhere: run-ecs-task {env} --attach {id}")
    raise typer.Exit(follow_to_the_end(place, id, env, Console(), raw=raw))


def _author(words: Sequence[str], tasks: object) -> tuple[str, list[str]]:
    """Who runs it, and the words of the command; raises BadCall."""
    if os.environ.get("CI"):
        return _AUTHOR_IN_CI, list(words)
    if not words:
        raise BadCall("AUTHOR is missing: who runs it? run-ecs-task ENV TASK AUTHOR [COMMAND …]")
    author, *command = words
    if "@" in author:
        raise BadCall("AUTHOR is kept with the task, so it is a name such as jane-doe and no e-mail address.")
    if not _AUTHOR.fullmatch(author) or author in tasks:  # type: ignore[operator]
        raise BadCall(f"AUTHOR is '{author}', which is no name. It is: run-ecs-task ENV TASK AUTHOR [COMMAND …]")
    return author, command


def arranged(words: Sequence[str]) -> list[str]:
    """The words with our options first and COMMAND behind ``--``, so that its options are its own.

    COMMAND begins with the first word behind AUTHOR that is none of our options.
    """
    positions = 2 if os.environ.get("CI") else 3
    options: list[str] = []
    places: list[str] = []
    rest = list(words)
    while rest:
        word = rest[0]
        name = word.partition("=")[0]
        if word == "--":
            rest = rest[1:]
            break
        if name in _FLAGS:
            options.append(rest.pop(0))
        elif name in _TAKES_VALUE:
            taken = 1 if "=" in word else 2
            options += rest[:taken]
            rest = rest[taken:]
        elif len(places) < positions and not (word.startswith("-") and len(word) > 1):
            places.append(rest.pop(0))
        elif len(places) < positions:
            options.append(rest.pop(0))  # unknown: the parser says so
        else:
            break
    return [*options, "--", *places, *rest]


def main() -> None:
    """Run the console script ``run-ecs-task``."""
    completing = any(name.endswith("_COMPLETE") for name in os.environ)
    words = None if completing else arranged(sys.argv[1:])
    run_script("run-ecs-task", lambda: app(words, prog_name="run-ecs-task"))
