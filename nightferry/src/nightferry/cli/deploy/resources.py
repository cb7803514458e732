"""``nightferry resources``: list the resources that the synthesized files create on AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nightferry.cli.terminal.options import AsJson, print_json
from nightferry.cli.terminal.streams import echo
from nightferry.environments.project import Project
from nightferry.terraform import read
from nightferry.terraform.reading.inventory import build_inventory, format_lines


def resources(
    env: Annotated[str, typer.Option("--env", help="Environment on AWS: a folder in ecs-tasks/.", metavar="ENV")],
    infra: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the synthesized files. Default: infra in the project.", show_default=False, metavar="FOLDER"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the resources, IAM statements and container definitions in the synthesized Terraform.

    The committed files are read, and their modules expanded. Values that only Terraform can compute are shown as
    expressions.
    """
    listed = build_inventory(read(infra or Project.find().infra, env), env)
    if as_json:
        print_json(listed.to_json())
        return
    for line in format_lines(listed):
        echo(line)
