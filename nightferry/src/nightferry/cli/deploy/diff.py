"""``nightferry diff``: show reviewers the effect of a catalog change on AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.cli.terminal.streams import echo, echo_block
from nightferry.environments.project import Project
from nightferry.terraform import read, synthesize
from nightferry.terraform.reading.diff import diff as changes_between
from nightferry.terraform.reading.diff import format_markdown


def diff(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a file in environments/.", metavar="ENV")],
    against: Annotated[
        Path | None,
        typer.Option(
            help="Folder with the files that nightferry synth wrote before. Default: infra in the project.",
            metavar="FOLDER",
            show_default=False,
        ),
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown for a pull request comment.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the differences between the written Terraform files and the current catalog."""
    project = Project.find()
    against = against or project.infra
    new = synthesize(project.catalog, project.environment(env))
    changes = changes_between(read(against, env), new, env)
    if as_json:
        print_json([{"subject": change.subject, "text": change.text} for change in changes])
    elif markdown:
        echo_block(format_markdown(changes, env), nl=False)
    elif changes:
        for change in changes:
            echo(str(change))
    else:
        echo(f"No changes in {env}.")
