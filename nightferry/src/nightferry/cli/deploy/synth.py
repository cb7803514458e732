"""``nightferry synth``: write the Terraform files of an environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightferry.environments.project import Project
from nightferry.terraform import synthesize, write


def synth(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file in environments/.", metavar="ENV")],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for ecs-tasks/ENV and modules. Default: infra in the project.", show_default=False),
    ] = None,
) -> None:
    """Write the Terraform files of an environment on AWS: tasks, workflows, schedules and triggers."""
    project = Project.find()
    out = out or project.infra
    files = synthesize(project.catalog, project.environment(env))
    changed = write(files, out)
    typer.echo(f"{len(files)} files in {out / 'ecs-tasks' / env} and {out / 'modules'}, {len(changed)} changed.")
