"""``nightferry rollback``: back to the image that was deployed before."""

from __future__ import annotations

from typing import Annotated

import typer

from nightferry.aws.rollback import Plan, carry_out, plan
from nightferry.aws.session import Aws
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.errors import NightferryError

_WORDS = {
    "copy": "gets a copy of {revision}",
    "as it is": "is of that version already",
    "no such version": "did not exist in that version, and stays as it is",
}


def rollback(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file of environments/.", metavar="ENV")],
    to: Annotated[
        str | None, typer.Option("--to", help="Tag of an image instead of the one before.", metavar="TAG")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what it would do, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let all tasks start with the image that was deployed before. What runs goes on; migrations are not undone."""
    project = Project.find()
    environment = project.environment(env)
    resources = AwsResources(project.catalog, environment)
    if environment.aws is None:
        raise NightferryError(f"Environment '{env}' is this machine: there is no image. Check out the commit before.")
    aws = Aws(environment.aws.region, environment.aws.account)
    planned = plan(resources, aws, to)
    _tell(planned, env)
    if dry_run:
        typer.echo("Nothing was changed.")
        return
    if not yes:
        typer.confirm(f"Roll {env} back to {planned.target}?", abort=True)
    for step in carry_out(resources, aws, planned):
        if step.action == "copy":
            typer.echo(f"{step.family}: done.")
    typer.echo(f"Tasks that start from now on in {env} run {planned.target}.")


def _tell(plan: Plan, env: str) -> None:
    direction = f"from {plan.current} to {plan.target}" if plan.current != plan.target else f"to {plan.target}"
    typer.echo(f"Rollback of {env} {direction}:")
    for step in plan.steps:
        typer.echo(f"  {step.family} {_WORDS[step.action].format(revision=step.revision)}")
    typer.echo(
        "Not undone: migrations of a database, and changes of workflows, schedules, triggers and roles.\n"
        f"To bring those back too, deploy version {plan.target} to {env}."
    )
