"""``nightferry synth``: write the Terraform files of an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightferry.cli.terminal.streams import echo
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.environments.surprises import find_surprises
from nightferry.terraform import synthesize, write


def synth(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file in environments/.", metavar="ENV")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for ecs-tasks/ENV and modules. Default: infra in the project.",
            show_default=False,
            metavar="FOLDER",
        ),
    ] = None,
) -> None:
    """Write the Terraform files of an environment on AWS: tasks, workflows, schedules and triggers.

    A warning names what the deployment will lack, such as alarms that notify nobody.
    """
    project = Project.find()
    out = out or project.infra
    environment = project.environment(env)
    files = synthesize(project.catalog, environment)
    changed = write(files, out)
    echo(f"{len(files)} files in {out / 'ecs-tasks' / env} and {out / 'modules'}, {len(changed)} changed.")
    for surprise in find_surprises(AwsResources(project.catalog, environment)):
        echo(f"Warning: {surprise}", err=True)
