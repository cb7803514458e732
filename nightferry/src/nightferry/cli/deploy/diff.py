"""``nightferry diff``: what a change of the catalogue changes on AWS, in a reviewer's words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.environments.project import Project
from nightferry.terraform import read, synthesize
from nightferry.terraform.reading.diff import diff as changes_between
from nightferry.terraform.reading.diff import markdown as as_markdown


def diff(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file of environments/.", metavar="ENV")],
    against: Annotated[
        Path | None,
        typer.Option(
            help="The folder before the change, from nightferry synth. Default: infra in the project.",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a comment on a pull request.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what differs between the Terraform that was written before and what the catalogue would give now."""
    project = Project.find()
    against = against or project.infra
    new = synthesize(project.catalog, project.environment(env))
    changes = changes_between(read(against, env), new, env)
    if as_json:
        print_json([{"subject": change.subject, "text": change.text} for change in changes])
    elif markdown:
        typer.echo(as_markdown(changes, env), nl=False)
    elif changes:
        for change in changes:
            typer.echo(str(change))
    else:
        typer.echo(f"Nothing changes in {env}.")
