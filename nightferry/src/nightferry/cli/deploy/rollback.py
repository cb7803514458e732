"""``nightferry rollback``: roll tasks back to the previously deployed image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from nightferry.audit.journal import ActionJournal
from nightferry.aws.actions import read_author
from nightferry.aws.rollback import Plan, RollbackStep, plan_rollback, roll_back
from nightferry.aws.session import Aws
from nightferry.cli.terminal.actions import Reason, make_recorder
from nightferry.cli.terminal.output import confirm
from nightferry.cli.terminal.streams import echo
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_DESCRIPTIONS = {
    "copy": "will use a copy of {revision}",
    "unchanged": "already has this version",
    "version not found": "did not exist in this version and stays unchanged",
}


def rollback(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file in environments/.", metavar="ENV")],
    to: Annotated[
        str | None, typer.Option("--to", help="Tag of the image to use. Default: the previous tag.", metavar="TAG")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan without changing anything.")] = False,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not prompt for confirmation.")] = False,
) -> None:
    """Roll tasks back to the previously deployed image. Running tasks continue.

    Database migrations are not reverted.
    """
    project = Project.find()
    environment = project.environment(env)
    resources = AwsResources(project.catalog, environment)
    if environment.aws is None:
        raise NightferryError(
            f"Environment '{env}' runs on this machine without an image. Check out the previous commit instead."
        )
    aws = Aws(environment.aws.region, environment.aws.account)
    plan = plan_rollback(resources, aws, to)
    _print_plan(plan, env)
    if dry_run:
        echo("Nothing was changed.")
        return
    if not yes:
        confirm(f"Roll {env} back to {plan.target}?")
    recorder = make_recorder(project, ActionJournal(project.state, env), read_author(aws))
    with recorder.record("rollback", plan.target, reason) as outcome:
        copied = [step.family for step in _roll_back(resources, aws, plan)]
        outcome.text = f"{len(copied)} tasks use image {plan.target} instead of {plan.current}."
    echo(f"New runs in {env} use image {plan.target}.")


def _roll_back(resources: AwsResources, aws: Aws, plan: Plan) -> Iterator[RollbackStep]:
    """Yield the steps that were done, and print each."""
    for step in roll_back(resources, aws, plan):
        if step.action == "copy":
            echo(f"{step.family}: done.")
            yield step


def _print_plan(plan: Plan, env: str) -> None:
    direction = f"from {plan.current} to {plan.target}" if plan.current != plan.target else f"to {plan.target}"
    echo(f"Rollback of {env} {direction}:")
    for step in plan.steps:
        echo(f"  {step.family} {_DESCRIPTIONS[step.action].format(revision=step.revision)}")
    echo(
        "Not reverted: database migrations, and changes of workflows, schedules, triggers and roles.\n"
        f"To revert those changes, deploy version {plan.target} to {env}."
    )
