"""The part of ``nightferry redrive`` that retries the failed starts in a dead-letter queue on AWS."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from nightferry.audit.journal import ActionJournal
from nightferry.aws.actions import read_author
from nightferry.aws.executions.dead_letters import DeadLetter, NotStarted, Queue, Refused, list_queue_names
from nightferry.aws.session import Aws
from nightferry.cli.terminal.actions import make_recorder
from nightferry.cli.terminal.options import print_json
from nightferry.cli.terminal.streams import echo
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project


def is_queue(resources: AwsResources, name: str) -> bool:
    """Return True if ``name`` is the short or full name of a dead-letter queue of the deployment."""
    names = list_queue_names(resources)
    return name in names or name in names.values()


def redrive_queue(
    project: Project, resources: AwsResources, name: str, reason: str, *, dry_run: bool, as_json: bool
) -> None:
    """Retry the failed starts in a queue and record the action, or only list them. Exit with 1 if one fails again."""
    aws = Aws(resources.aws.region, resources.aws.account)
    if dry_run:
        _redrive_queue(resources, aws, name, dry_run=True, as_json=as_json)
        return
    recorder = make_recorder(project, ActionJournal(project.state, resources.environment.name), read_author(aws))
    with recorder.record("retry-starts", name, reason) as outcome:
        outcome.text = _redrive_queue(resources, aws, name, dry_run=False, as_json=as_json)


def _redrive_queue(resources: AwsResources, aws: Aws, name: str, *, dry_run: bool, as_json: bool) -> str:
    """Retry or list the failed starts in a queue, and return the result in words. Exit with 1 if one fails again."""
    queue = Queue.find(resources, aws, name)
    results: list[dict[str, str]] = []
    remaining: list[DeadLetter] = []
    try:
        for letter in queue.receive():
            remaining.append(letter)
            outcome = ""
            if not dry_run:
                try:
                    outcome = letter.retry()
                    queue.delete(letter)
                    remaining.remove(letter)
                except (NotStarted, Refused) as problem:
                    outcome = f"not started: {problem}"
            results.append({"id": letter.id, "what": letter.source, "why": letter.reason, "outcome": outcome})
            if not as_json:
                _print_result(letter, outcome)
    finally:
        # Letters are returned only after the last one was received, because returned letters are received again.
        for letter in remaining:
            queue.return_letter(letter)
    failed = 0 if dry_run else len(remaining)
    summary = f"{len(results) - failed} started and deleted, {failed} returned to the queue."
    if as_json:
        print_json(results)
    elif not results:
        echo("The queue has no dead letters.")
    elif not dry_run:
        echo(summary)
    if failed:
        raise typer.Exit(1)
    return summary


def _print_result(letter: DeadLetter, outcome: str) -> None:
    sent = datetime.fromtimestamp(letter.sent_at_ms / 1000, UTC).astimezone()
    echo(f"{sent:%Y-%m-%d %H:%M:%S}  {letter.source}")
    if letter.reason:
        echo(f"    reason: {letter.reason}")
    if outcome:
        echo(f"    → {outcome}")
