"""``longshore redrive``: a failed execution again from the state that failed; what could not start, once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from longshore.cli.options import AsJson, Env, print_json

if TYPE_CHECKING:
    from longshore.aws.dead_letters import DeadLetter
    from longshore.existing import Existing
    from longshore.project import Project


def redrive(
    what: Annotated[
        str,
        typer.Argument(
            help="An execution that failed; or a queue of dead letters: triggers, schedules, logs.", metavar="ID|QUEUE"
        ),
    ],
    env: Env = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show, and start nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a failed execution again from the state that failed, or what could not start at all.

    A dead letter is deleted only after its start succeeded. Trying twice starts once.
    Exit code 1 if anything did not start.
    """
    from longshore.existing import Existing
    from longshore.project import Project

    project = Project.find()
    environment = project.environment(env)
    if environment.aws is None:
        _locally(project, env, what, dry_run)
        return
    from longshore.aws.dead_letters import queue_names

    existing = Existing(project.catalog, environment)
    names = queue_names(existing)
    if what in names or what in names.values():
        _letters(existing, what, dry_run, as_json)
        return
    from longshore.aws.redrive import redrive as on_aws
    from longshore.aws.session import Aws

    arn = on_aws(existing, Aws(existing.aws.region, existing.aws.account), what, dry_run=dry_run)
    typer.echo(f"{arn} {'could go' if dry_run else 'goes'} on from the state that failed.")


def _locally(project: Project, env: str, id: str, dry_run: bool) -> None:
    from longshore.errors import LongshoreError
    from longshore.local.backend import LocalBackend
    from longshore.local.redrive import redrive as locally

    if id in ("triggers", "schedules", "logs"):
        raise LongshoreError(
            "On this machine nothing is dead-lettered: a trigger or schedule whose start fails is tried again."
        )
    place = LocalBackend(project, project.environment(env))
    execution = place.execution(id)
    if dry_run:
        typer.echo(f"Execution {execution.id} is {execution.status}.")
        return
    declared = project.catalog.workflows.get(execution.workflow)
    locally(place.store, execution.id, alone=declared is not None and declared.overlap != "allow")
    place.detach()
    typer.echo(f"{execution.id} goes on from the state that failed. Follow it: longshore status {execution.id}")


def _letters(existing: Existing, name: str, dry_run: bool, as_json: bool) -> None:
    from longshore.aws.dead_letters import NotStarted, Queue, Refused
    from longshore.aws.session import Aws

    queue = Queue.find(existing, Aws(existing.aws.region, existing.aws.account), name)
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
    from datetime import UTC, datetime

    written = datetime.fromtimestamp(letter.written / 1000, UTC).astimezone()
    typer.echo(f"{written:%Y-%m-%d %H:%M:%S}  {letter.what}")
    if letter.why:
        typer.echo(f"    because {letter.why}")
    if outcome:
        typer.echo(f"    → {outcome}")
