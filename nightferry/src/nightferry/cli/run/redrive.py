"""``nightferry redrive``: a failed execution again from the state that failed; what could not start, once more."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from nightferry.aws.executions.dead_letters import DeadLetter, NotStarted, Queue, Refused, queue_names
from nightferry.aws.session import Aws
from nightferry.cli.run.start import tell_end
from nightferry.cli.terminal.follow import follow_execution
from nightferry.cli.terminal.options import AsJson, Env, backend, print_json
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_QUEUES = ("triggers", "schedules", "logs")


def redrive(
    what: Annotated[
        str,
        typer.Argument(
            help="An execution that failed; or a queue of dead letters: triggers, schedules, logs.", metavar="ID|QUEUE"
        ),
    ],
    env: Env = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and start nothing.")] = False,
    detach: Annotated[bool, typer.Option(help="Do not follow: print the execution's id and leave.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a failed execution again from the state that failed, or what could not start at all.

    A dead letter is deleted only after its start succeeded. Trying twice starts once.
    An execution is followed; exit code 0 if it succeeded. Of dead letters, 1 if anything did not start.
    """
    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        if what in _QUEUES:
            raise NightferryError(
                "On this machine nothing is dead-lettered: a trigger or schedule whose start fails is tried again."
            )
        _execution(project, env, what, dry_run, detach)
        return
    resources = AwsResources(project.catalog, environment)
    names = queue_names(resources)
    if what in names or what in names.values():
        _letters(resources, what, dry_run, as_json)
        return
    _execution(project, env, what, dry_run, detach)


def _execution(project: Project, env: str, id: str, dry_run: bool, detach: bool) -> None:
    place = backend(project, env)
    execution = place.redrive(id, dry_run=dry_run)
    if dry_run:
        typer.echo(f"{execution} could go on from the state that failed.")
        return
    sys.stderr.write(f"{execution} goes on from the state that failed.\n")
    if detach:
        place.detach()
        typer.echo(execution)
        return
    console = Console()
    tell_end(follow_execution(place, execution, console, env=env), console, env)


def _letters(resources: AwsResources, name: str, dry_run: bool, as_json: bool) -> None:
    queue = Queue.find(resources, Aws(resources.aws.region, resources.aws.account), name)
    results: list[dict[str, str]] = []
    kept: list[DeadLetter] = []
    try:
        for letter in queue.letters():
            kept.append(letter)
            outcome = ""
            if not dry_run:
                try:
                    outcome = letter.again()
                    queue.delete(letter)
                    kept.remove(letter)
                except (NotStarted, Refused) as problem:
                    outcome = f"not started: {problem}"
            results.append({"id": letter.id, "what": letter.what, "why": letter.why, "outcome": outcome})
            if not as_json:
                _tell(letter, outcome)
    finally:
        # Not before the last was read: it would be read again.
        for letter in kept:
            queue.put_back(letter)
    failed = 0 if dry_run else len(kept)
    if as_json:
        print_json(results)
    elif not results:
        typer.echo("No dead letters.")
    elif not dry_run:
        typer.echo(f"{len(results) - failed} started and deleted, {failed} still in the queue.")
    if failed:
        raise typer.Exit(1)


def _tell(letter: DeadLetter, outcome: str) -> None:
    written = datetime.fromtimestamp(letter.written / 1000, UTC).astimezone()
    typer.echo(f"{written:%Y-%m-%d %H:%M:%S}  {letter.what}")
    if letter.why:
        typer.echo(f"    because {letter.why}")
    if outcome:
        typer.echo(f"    → {outcome}")
